// The round-trip estimator and the retransmission timeout (RFC 6298), with Linux's refinements.
import { MILLISECOND, type Micros, NEVER, SECOND } from '../env/clock.ts';
import type { Connection } from './connection.ts';
import type { AckFacts } from './recovery/ack.ts';
import type { Segment } from './segment.ts';
import { distance, isAfter, isBefore } from './sequence.ts';
import type { RttState } from './state.ts';

/** RFC 6298 asks for one second; Linux takes 200 ms, and so do we. */
export const MIN_RTO: Micros = 200 * MILLISECOND;
export const MAX_RTO: Micros = 120 * SECOND;
export const INITIAL_RTO: Micros = SECOND;
/** RFC 6298, 5.7: what data begins with after a handshake that gave no sample. */
const FALLBACK_RTO: Micros = 3 * SECOND;
/** The smallest round trip is forgotten after this time (Linux: tcp_min_rtt_wlen). */
const MIN_WINDOW: Micros = 300 * SECOND;
/** A timer that is late by more than this was not late by chance. */
const STALL: Micros = 50 * MILLISECOND;
/** An echo this old, in ms, is nobody's round trip. */
const MAX_ECHO = 600_000;

/** A class: objects of a literal are made for whole numbers each time, and made anew when they get the first fraction. */
class Rtt implements RttState {
  srtt = 0;
  mdev = 0;
  mdevMax = 0;
  rttvar = 0;
  windowEnd = 0;
  min = NEVER;
  minAt = 0;
  rto = INITIAL_RTO;
  timedEnd = -1;
  timedAt = 0;
}

export const rttState = (): RttState => new Rtt();

/**
 * Takes one sample (RFC 6298, 2.2 and 2.3). The variation is the largest of a round trip and decays from one to
 * the next, so that many samples in one do not make it forget; a round trip that becomes shorter raises it by
 * an eighth only of what a longer one would.
 */
export function sample(state: RttState, rtt: Micros, una: number, nxt: number): void {
  const measured = Math.max(Math.floor(rtt), 1);
  if (state.srtt === 0) {
    state.srtt = measured;
    state.mdev = measured / 2;
    state.rttvar = Math.max(state.mdev, MIN_RTO / 4);
    state.mdevMax = state.rttvar;
    state.windowEnd = nxt;
  } else {
    const error = measured - Math.floor(state.srtt);
    state.srtt = Math.max(state.srtt + error / 8, 1);
    let change = Math.abs(error) - Math.floor(state.mdev);
    if (error < 0 && change > 0) change = Math.floor(change / 8);
    state.mdev += change / 4;
    if (state.mdev > state.mdevMax) {
      state.mdevMax = state.mdev;
      if (state.mdevMax > state.rttvar) state.rttvar = state.mdevMax;
    }
    if (isAfter(una, state.windowEnd)) {
      if (state.mdevMax < state.rttvar) state.rttvar -= (state.rttvar - state.mdevMax) / 4;
      state.windowEnd = nxt;
      state.mdevMax = MIN_RTO / 4;
    }
  }
  // Linux bounds the variation, not the sum, from below: RTO = SRTT + max(4 * RTTVAR, 200 ms).
  state.rto = Math.min(Math.floor(state.srtt) + Math.floor(4 * state.rttvar), MAX_RTO);
}

/** Takes the smallest round trip of the last minutes, which RACK and CUBIC build on. */
function noteMinimum(state: RttState, rtt: Micros, maybeDelayed: boolean, now: Micros): void {
  // What may include the peer's delay of its acknowledgment does not raise it.
  if (maybeDelayed && rtt > state.min) return;
  if (rtt > state.min && now - state.minAt <= MIN_WINDOW) return;
  state.min = Math.max(rtt, 1);
  state.minAt = now;
}

/** The round trip by the peer's echo of our timestamp (RFC 7323, 4.1); -1 without one that can be true. */
function echoed({ negotiated, stack, ts }: Connection, { options }: Segment, now: Micros): Micros {
  if (!negotiated.timestamps || !options.hasTimestamps || options.timestampEcho === 0) return -1;
  const elapsed = distance(stack.timestamp(now, ts.offset), options.timestampEcho);
  if (elapsed < 0 || elapsed >= MAX_ECHO) return -1;
  return Math.max(elapsed, 1) * MILLISECOND;
}

/** Takes a sample from the acknowledgment of a SYN: of the SYN itself, or by timestamps. */
export function sampleRtt(connection: Connection, segment: Segment, now: Micros): void {
  const { rtt, snd } = connection;
  if (rtt.timedEnd >= 0 && isBefore(segment.ack, rtt.timedEnd)) return;
  const measured = rtt.timedEnd >= 0 ? now - rtt.timedAt : echoed(connection, segment, now);
  rtt.timedEnd = -1;
  if (measured >= 0) {
    sample(rtt, measured, snd.una, snd.nxt);
    noteMinimum(rtt, measured, false, now);
  } else if (connection.retransmit.timeouts > 0) {
    rtt.rto = FALLBACK_RTO;
    rtt.mdev = FALLBACK_RTO / 4;
    rtt.rttvar = rtt.mdev;
    rtt.mdevMax = rtt.mdev;
  }
}

/**
 * Takes a sample from an acknowledgment of data: of the oldest segment that it covers, or reports, and that was
 * sent once (Karn); else by timestamps if it acknowledges something.
 * @param firstAt when the first and the last of the segments that it covers were sent; -1 without any
 * @returns whether there was a sample
 */
export function sampleAck(
  connection: Connection,
  segment: Segment,
  ack: AckFacts,
  firstAt: Micros,
  lastAt: Micros,
  now: Micros,
): boolean {
  const { rtt, snd, congestion, congestionControl, retransmit } = connection;
  let measured: Micros = -1;
  let latest: Micros = -1;
  if (firstAt >= 0 && !ack.retransAcked) {
    measured = now - firstAt;
    latest = now - lastAt;
  }
  if (ack.firstSackedAt >= 0) {
    if (measured < 0) measured = now - ack.firstSackedAt;
    latest = now - ack.lastSackedAt;
  }
  if (measured < 0 && ack.acked) {
    measured = echoed(connection, segment, now);
    latest = measured;
  }
  if (measured < 0) return false;
  // Our own timer is overdue: this machine stood still, and the acknowledgment has waited for it.
  if (now - retransmit.at > STALL) return false;
  noteMinimum(rtt, latest, ack.maybeDelayed, now);
  sample(rtt, measured, snd.una, snd.nxt);
  retransmit.backoff = 0;
  congestionControl.measure(congestion, latest, snd.una, snd.nxt);
  return true;
}

/**
 * The timer expired: the next timeout is twice as long, and stays so until there is a new sample (RFC 6298,
 * 5.5; Karn's algorithm).
 */
export function backOff(state: RttState): void {
  state.rto = Math.min(2 * state.rto, MAX_RTO);
}

/** The pause before a window probe, after `backoff` in a row (RFC 9293, 3.8.6.1). */
export const persistInterval = (state: RttState, backoff: number): Micros =>
  Math.min(Math.max(state.rto, MIN_RTO) * 2 ** Math.min(backoff, 10), MAX_RTO);
