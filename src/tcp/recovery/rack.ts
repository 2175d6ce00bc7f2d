// RACK (RFC 8985): a segment is lost if one that was sent later has arrived, and a little time has passed since.
import { MILLISECOND, type Micros } from '../../env/clock.ts';
import type { Connection } from '../connection.ts';
import { distance, isAfter, isBefore } from '../sequence.ts';
import type { AckFacts } from './ack.ts';
import { highestSacked, markLost, segmentSize } from './flight.ts';
import { EVER_RETRANS, LOST, RETRANS, SACKED } from './sent-queue.ts';

/** Recoveries for which a larger reordering window is kept (RFC 8985, 6.2 step 4). */
export const PERSISTENCE = 16;
const MAX_STEPS = 255;
/** No timer of ours is shorter (Linux: TCP_TIMEOUT_MIN). */
export const TIMEOUT_MIN: Micros = 2 * MILLISECOND;
const MAX_REORDERING = 300;

/** RFC 8985, 6.2 step 2: `(sentAt, end)` is later than what RACK knows of. */
const isLaterThan = (sentAt: Micros, end: number, at: Micros, thanEnd: number): boolean =>
  sentAt > at || (sentAt === at && isAfter(end, thanEnd));

/** A segment was delivered that was sent last at `sentAt` (RFC 8985, 6.2, steps 1 and 2). */
export function rackDelivered(
  { recovery, rtt }: Connection,
  flags: number,
  end: number,
  sentAt: Micros,
  now: Micros,
): void {
  const elapsed = now - sentAt;
  // Faster than the path allows: it is the original that has arrived, not the retransmission.
  if ((flags & EVER_RETRANS) !== 0 && elapsed < rtt.min) return;
  recovery.rackAdvanced = true;
  recovery.rackRtt = elapsed;
  if (isLaterThan(sentAt, end, recovery.rackAt, recovery.rackEnd)) {
    recovery.rackAt = sentAt;
    recovery.rackEnd = end;
  }
}

/** Something arrived late, from `low` on, and without being sent again: the path reorders (step 3). */
export function noteReordering(connection: Connection, low: number): void {
  const { recovery } = connection;
  const behind = distance(highestSacked(connection), low);
  if (behind <= 0) return;
  const size = segmentSize(connection);
  if (behind > recovery.reordering * size) {
    recovery.reordering = Math.min(Math.ceil(behind / size), MAX_REORDERING);
  }
  recovery.reordSeen++;
}

/** RFC 8985, 6.2 step 4: how long a segment may be late. */
function reorderingWindow({ recovery, rtt }: Connection): Micros {
  if (recovery.reordSeen === 0) {
    const { phase } = recovery;
    if (phase === 'recovery' || phase === 'loss') return 0;
    if (recovery.sackedOut >= recovery.reordering) return 0;
  }
  return Math.min((rtt.min / 4) * recovery.reoSteps, rtt.srtt);
}

/** For how long, at most, an entry is not lost yet. */
export const rackRemaining = (
  { recovery, sent }: Connection,
  index: number,
  window: Micros,
  now: Micros,
): Micros => recovery.rackRtt + window - (now - sent.sentAt(index));

/** Marks what is lost by now (step 5); how long until more may be, 0 if nothing is waited for. */
function detect(connection: Connection, now: Micros): Micros {
  const { sent, recovery } = connection;
  const window = reorderingWindow(connection);
  let wait = 0;
  for (let index = 0; index < sent.count; index++) {
    const flags = sent.flags(index);
    if ((flags & SACKED) !== 0) continue;
    if ((flags & LOST) !== 0 && (flags & RETRANS) === 0) continue;
    if (!isLaterThan(recovery.rackAt, recovery.rackEnd, sent.sentAt(index), sent.end(index))) {
      // What was sent once is in order of time: nothing behind it was sent earlier, but retransmissions,
      // which all lie below the point of recovery.
      if ((flags & EVER_RETRANS) === 0 && !isBefore(sent.start(index), recovery.point)) break;
      continue;
    }
    const remaining = rackRemaining(connection, index, window, now);
    if (remaining <= 0) markLost(connection, index);
    else wait = Math.max(wait, remaining);
  }
  return wait;
}

/** After an acknowledgment: marks what is lost, or sets the reordering timer; true if it did that. */
export function rackIdentify(connection: Connection, now: Micros): boolean {
  const { recovery, retransmit, rtt } = connection;
  if (!recovery.rackAdvanced) return false;
  recovery.rackAdvanced = false;
  const wait = detect(connection, now);
  if (wait === 0) return false;
  retransmit.timer = 'reorder';
  retransmit.at = now + Math.min(wait + TIMEOUT_MIN, rtt.rto);
  return true;
}

/** The reordering timer has fired; true if something is lost. */
export function rackExpired(connection: Connection, now: Micros): boolean {
  const { recovery } = connection;
  const before = recovery.lostOut - recovery.retransOut;
  detect(connection, now);
  return recovery.lostOut - recovery.retransOut !== before;
}

/** RFC 8985, 6.2 step 4: the window grows with each round trip in which a needless segment is reported. */
export function adaptReorderingWindow({ recovery }: Connection, ack: AckFacts): void {
  if (ack.priorDelivered < 0) return;
  // Once for a round trip.
  if (ack.priorDelivered < recovery.reoDelivered) recovery.reoDsack = false;
  if (recovery.reoDsack) {
    recovery.reoSteps = Math.min(MAX_STEPS, recovery.reoSteps + 1);
    recovery.reoDsack = false;
    recovery.reoDelivered = recovery.delivered;
    recovery.reoPersist = PERSISTENCE;
  } else if (recovery.reoPersist === 0) recovery.reoSteps = 1;
}

/** Bounds of what NewReno may take for reordering. */
export const boundReordering = (segments: number): number => Math.min(segments, MAX_REORDERING);
