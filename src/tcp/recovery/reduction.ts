// Shrinking the window: by proportional rate reduction (RFC 6937) after a loss or a congestion mark.
import type { Micros } from '../../env/clock.ts';
import { NO_THRESHOLD } from '../congestion/control.ts';
import type { Connection } from '../connection.ts';
import { anyRetransmitted, inFlight } from './flight.ts';
import { isCalm, isReducing } from './state.ts';
import { beginUndo } from './undo.ts';

/** The threshold to return to: three quarters of the window are worth it, whatever slow start had before. */
export function currentThreshold({ recovery, congestion }: Connection): number {
  const { cwnd, ssthresh } = congestion;
  return isReducing(recovery) ? ssthresh : Math.max(ssthresh, (cwnd >> 1) + (cwnd >> 2));
}

/** RFC 6937, section 3: what recovery begins with. */
export function beginReduction(connection: Connection): void {
  const { recovery, congestion, congestionControl, snd, ecn } = connection;
  recovery.point = snd.nxt;
  recovery.tlpEnd = -1;
  congestion.count = 0;
  recovery.priorCwnd = congestion.cwnd;
  recovery.prrDelivered = 0;
  recovery.prrOut = 0;
  congestion.ssthresh = congestionControl.threshold(congestion);
  // RFC 3168, 6.1.2: the peer is told, on the next new segment.
  if (ecn.ok) ecn.cwr = true;
}

/**
 * RFC 6937: one segment out for so many delivered that the window comes down to the threshold in one round
 * trip; below it, as many as were delivered, one more if the cumulative acknowledgment advances and nothing
 * more is lost (slow start reduction bound), else no more (conservative).
 */
export function reduce(
  connection: Connection,
  delivered: number,
  lost: number,
  advanced: boolean,
): void {
  const { recovery, congestion } = connection;
  if (delivered <= 0 || recovery.priorCwnd === 0) return;
  const pipe = inFlight(connection);
  const delta = congestion.ssthresh - pipe;
  recovery.prrDelivered += delivered;
  let allowed: number;
  if (delta < 0) {
    allowed =
      Math.ceil((congestion.ssthresh * recovery.prrDelivered) / recovery.priorCwnd) -
      recovery.prrOut;
  } else {
    allowed = Math.max(recovery.prrDelivered - recovery.prrOut, delivered);
    if (advanced && lost === 0) allowed++;
    allowed = Math.min(delta, allowed);
  }
  // The first retransmission goes out in any case.
  allowed = Math.max(allowed, recovery.prrOut > 0 ? 0 : 1);
  congestion.cwnd = pipe + allowed;
}

/** The window is the threshold from now on, unless the reduction was taken back. */
export function endReduction(connection: Connection, now: Micros): void {
  const { recovery, congestion } = connection;
  const holds = recovery.phase === 'cwr' || recovery.undoMarker >= 0;
  if (congestion.ssthresh === NO_THRESHOLD || !holds) return;
  congestion.cwnd = congestion.ssthresh;
  congestion.usedAt = now;
}

/** Something is lost: recovery begins (RFC 6675, section 5, step 4). */
export function enterRecovery(connection: Connection, echo: boolean): void {
  const { recovery, stack } = connection;
  recovery.priorSsthresh = 0;
  if (!anyRetransmitted(connection)) recovery.retransAt = -1;
  beginUndo(connection);
  if (!isReducing(recovery)) {
    if (!echo) recovery.priorSsthresh = currentThreshold(connection);
    beginReduction(connection);
  }
  recovery.phase = 'recovery';
  stack.counters.fastRetransmits++;
}

/** A congestion mark came back (RFC 3168, 6.1.2): the window shrinks once for a round trip. */
export function enterCwr(connection: Connection): void {
  const { recovery } = connection;
  recovery.priorSsthresh = 0;
  if (!isCalm(recovery)) return;
  recovery.undoMarker = -1;
  beginReduction(connection);
  recovery.phase = 'cwr';
}
