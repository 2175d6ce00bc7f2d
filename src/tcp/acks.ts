// An acknowledgment arrives (RFC 9293, section 3.10.7.4, fifth): what it says of our data and of the peer's
// window.
import type { Micros } from '../env/clock.ts';
import { NEVER } from '../env/clock.ts';
import { ECE, FIN } from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { clampToUserTimeout } from './persist.ts';
import { AckFacts } from './recovery/ack.ts';
import { takeCumulative } from './recovery/cumulative.ts';
import { highestSacked } from './recovery/flight.ts';
import { takeProbeAck } from './recovery/probe.ts';
import { adaptReorderingWindow } from './recovery/rack.ts';
import { react, type Sequel } from './recovery/react.ts';
import { retransmitLost } from './recovery/retransmit.ts';
import { takeSacks } from './recovery/sacks.ts';
import { isPending, setTransmitTimer } from './recovery/timers.ts';
import { persistInterval } from './rtt.ts';
import type { Segment } from './segment.ts';
import { sendNew, unsent } from './sender.ts';
import { advance, distance, isAfter, isBefore } from './sequence.ts';
import { challenge, takeTimestamp } from './validate.ts';
import { controlWindow } from './window-use.ts';

const facts = new AckFacts();

/** Fifth, the ACK field; false if the segment is to be dropped. */
export function takeAcknowledgment(connection: Connection, segment: Segment, now: Micros): boolean {
  const { snd, stack } = connection;
  // RFC 5961, section 5.2: an acknowledgment from outside of what may be under way is a blind guess. So is one of
  // numbers from before the connection.
  const past = Math.min(snd.maxWnd, connection.recovery.bytesAcked) + 1;
  if (isAfter(segment.ack, snd.nxt) || distance(segment.ack, snd.una) < -past) {
    stack.counters.unacceptable++;
    challenge(connection, segment, now);
    return false;
  }
  // Only now: a stranger who guesses the one number alone must not make the peer's timestamps look old.
  takeTimestamp(connection, segment, now);
  const released = apply(connection, segment, now);
  if (released > 0) {
    connection.recovery.bytesAcked += released;
    connection.handler.onAcknowledged?.(connection, released);
  }
  switch (connection.state) {
    case 'fin-wait-1':
      if (isFinAcknowledged(connection)) connection.enterFinWait2(now);
      break;
    case 'closing':
      if (isFinAcknowledged(connection)) connection.enterTimeWait(now);
      break;
    case 'last-ack':
      if (isFinAcknowledged(connection)) connection.close();
      break;
    default:
      break;
  }
  return connection.state !== 'closed' && connection.state !== 'time-wait';
}

function isFinAcknowledged({ snd }: Connection): boolean {
  return snd.finSent && snd.una === snd.nxt;
}

/** Takes the acknowledgment apart and does what recovery and congestion control ask for; bytes acknowledged. */
function apply(connection: Connection, segment: Segment, now: Micros): number {
  const { snd, recovery, negotiated, ecn, retransmit, sendBuffer } = connection;
  const ack = facts;
  ack.begin(snd.una, highestSacked(connection), recovery.sackedOut, snd.nxt);
  const delivered = recovery.delivered;
  const lost = recovery.lostOut;
  const idle = recovery.packetsOut === 0;
  const { options } = segment;
  if (isBefore(segment.ack, snd.una)) {
    // An old acknowledgment has nothing new to say but by its reports.
    if (negotiated.sack && options.sackBlocks > 0) {
      takeSacks(connection, options, segment.ack, ack, now);
      conclude(connection, segment, ack, delivered, lost, now);
    }
    return 0;
  }
  ack.hasData = segment.length > 0 || segment.has(FIN);
  ack.echo = ecn.ok && segment.has(ECE);
  ack.advanced = isAfter(segment.ack, snd.una);
  ack.windowUpdated = takeWindow(connection, segment);
  let bytes = 0;
  if (ack.advanced) {
    retransmit.timeouts = 0;
    bytes = Math.min(distance(segment.ack, snd.una), sendBuffer.length);
    sendBuffer.release(bytes);
    snd.una = segment.ack;
  }
  if (negotiated.sack && options.sackBlocks > 0) {
    takeSacks(connection, options, segment.ack, ack, now);
  }
  retransmit.probes = 0;
  if (idle) {
    if (ack.dsack) react(connection, segment, ack, 0, now);
    takeProbeAnswer(connection, now);
    if (recovery.tlpEnd >= 0) takeProbeAck(connection, segment.ack, ack, now);
    return bytes;
  }
  takeCumulative(connection, segment, ack, now);
  adaptReorderingWindow(connection, ack);
  if (recovery.tlpEnd >= 0) takeProbeAck(connection, segment.ack, ack, now);
  conclude(connection, segment, ack, delivered, lost, now);
  return bytes;
}

/** Lets recovery and congestion control draw their conclusions, and sends again what is lost. */
function conclude(
  connection: Connection,
  segment: Segment,
  ack: AckFacts,
  deliveredBefore: number,
  lostBefore: number,
  now: Micros,
): void {
  const { recovery } = connection;
  let sequel: Sequel = 'none';
  const alert = ack.sacked || ack.echo || ack.dsack;
  if (!ack.isNoDuplicate || alert || recovery.phase !== 'open') {
    const duplicate = !ack.advanced && !ack.isNoDuplicate && !ack.dsack;
    const old = isBefore(segment.ack, ack.priorUna);
    sequel = react(connection, segment, ack, duplicate && !old ? 1 : 0, now);
  }
  if (ack.setTimer) setTransmitTimer(connection, now);
  const delivered = recovery.delivered - deliveredBefore;
  if (ack.echo) recovery.deliveredCe += delivered;
  const lost = Math.max(0, recovery.lostOut - lostBefore);
  controlWindow(connection, delivered, lost, ack, now);
  if (sequel === 'new') {
    // RFC 5682, 3.1 step 2.b.
    while (sendNew(connection, now, 'no-delay'));
    if (isAfter(connection.snd.nxt, recovery.point)) return;
    recovery.frto = false;
  }
  if (sequel !== 'none') retransmitLost(connection, now);
}

/**
 * RFC 9293, 3.10.7.4: takes the window from segments that are not older than the last one that set it. Of two with
 * the same numbers the larger window counts, or 0.
 */
function takeWindow(connection: Connection, segment: Segment): boolean {
  const { snd, negotiated } = connection;
  const window = segment.window << negotiated.sendScale;
  const newer =
    isAfter(segment.ack, snd.una) ||
    isAfter(segment.seq, snd.wl1) ||
    (segment.seq === snd.wl1 && (window > snd.wnd || window === 0));
  if (!newer) return false;
  snd.wl1 = segment.seq;
  snd.wl2 = segment.ack;
  snd.wnd = window;
  if (window > snd.maxWnd) snd.maxWnd = window;
  return true;
}

/** Nothing was in flight: the peer answers a probe, or opens its window. */
function takeProbeAnswer(connection: Connection, now: Micros): void {
  const { retransmit, snd, rtt } = connection;
  const waiting = unsent(connection);
  if (waiting === 0) return;
  // What waits fits now, a segment of it at least.
  const size = Math.min(waiting, connection.mss);
  if (!isAfter(advance(snd.nxt, size), advance(snd.una, snd.wnd))) {
    retransmit.backoff = 0;
    retransmit.probesSince = -1;
    if (isPending(connection, 'persist')) retransmit.at = NEVER;
  } else if (isPending(connection, 'persist')) {
    const pause = persistInterval(rtt, retransmit.backoff);
    retransmit.at = now + clampToUserTimeout(connection, pause, retransmit.probesSince, now);
  }
}
