// The round-trip estimator and the retransmission timeout (RFC 6298).
import { MILLISECOND, type Micros, SECOND } from '../env/clock.ts';
import type { Connection } from './connection.ts';
import type { Segment } from './segment.ts';
import { distance, isBefore } from './sequence.ts';
import type { RttState } from './state.ts';

/** RFC 6298 asks for one second; Linux takes 200 ms, and so do we. */
export const MIN_RTO: Micros = 200 * MILLISECOND;
export const MAX_RTO: Micros = 120 * SECOND;
export const INITIAL_RTO: Micros = SECOND;

export const rttState = (): RttState => ({
  srtt: 0,
  rttvar: 0,
  rto: INITIAL_RTO,
  timedEnd: -1,
  timedAt: 0,
});

/** Takes one sample (RFC 6298, 2.2 and 2.3). */
export function sample(state: RttState, rtt: Micros): void {
  if (state.srtt === 0) {
    state.srtt = Math.max(rtt, 1);
    state.rttvar = rtt / 2;
  } else {
    state.rttvar += (Math.abs(state.srtt - rtt) - state.rttvar) / 4;
    state.srtt += (rtt - state.srtt) / 8;
  }
  // Linux bounds the variation, not the sum, from below: RTO = SRTT + max(4 * RTTVAR, 200 ms).
  state.rto = Math.min(state.srtt + Math.max(4 * state.rttvar, MIN_RTO), MAX_RTO);
}

/** Takes a sample from an acknowledgment of new data: of the segment that was timed, or by timestamps. */
export function sampleRtt(connection: Connection, segment: Segment, now: Micros): void {
  const { rtt, negotiated, stack, ts } = connection;
  const { options } = segment;
  if (rtt.timedEnd >= 0) {
    if (isBefore(segment.ack, rtt.timedEnd)) return;
    rtt.timedEnd = -1;
    sample(rtt, now - rtt.timedAt);
  } else if (negotiated.timestamps && options.hasTimestamps && options.timestampEcho !== 0) {
    const elapsed = distance(stack.timestamp(now, ts.offset), options.timestampEcho);
    // An echo from the future, or from ages ago, is nobody's round trip.
    if (elapsed >= 0 && elapsed < 600_000) sample(rtt, Math.max(elapsed, 1) * MILLISECOND);
  }
}

/**
 * The timer expired: the next timeout is twice as long, and stays so until there is a new sample (RFC 6298,
 * 5.5; Karn's algorithm).
 */
export function backOff(state: RttState): void {
  state.rto = Math.min(2 * state.rto, MAX_RTO);
}

/** The pause before a window probe, after `probes` in a row (RFC 9293, 3.8.6.1). */
export const persistInterval = (state: RttState, probes: number): Micros =>
  Math.min(state.rto * 2 ** Math.min(probes, 20), MAX_RTO);
