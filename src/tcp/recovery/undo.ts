// Taking back a reduction of the window that turns out to have been needless: by timestamps (Eifel, RFC 3522
// and 4015), by reports of duplicates (RFC 3708), or by F-RTO (RFC 5682).

import type { Connection } from '../connection.ts';
import type { Segment } from '../segment.ts';
import { distance } from '../sequence.ts';
import { anyRetransmitted, unmarkLost } from './flight.ts';
import { PERSISTENCE } from './rack.ts';

/** Notes where a reduction begins, so that it can be taken back. */
export function beginUndo({ recovery, snd }: Connection): void {
  recovery.undoMarker = snd.una;
  recovery.undoRetrans = recovery.retransOut > 0 ? recovery.retransOut : -1;
  // A probe of the tail that is under way is a retransmission too.
  if (recovery.tlpEnd >= 0 && recovery.tlpRetrans) {
    recovery.undoRetrans = Math.max(0, recovery.undoRetrans) + 1;
  }
}

/** RFC 3522, 3.2: the echo is older than the first retransmission, so the original has arrived. */
function isEchoOfOriginal(
  { recovery, ts, stack, negotiated }: Connection,
  segment: Segment,
): boolean {
  const { options } = segment;
  if (recovery.retransAt < 0) return false;
  if (!negotiated.timestamps || !options.hasTimestamps || options.timestampEcho === 0) return false;
  return distance(options.timestampEcho, stack.timestamp(recovery.retransAt, ts.offset)) < 0;
}

function mayUndo(connection: Connection, segment: Segment): boolean {
  const { recovery } = connection;
  if (recovery.undoMarker < 0) return false;
  return recovery.undoRetrans === 0 || isEchoOfOriginal(connection, segment);
}

function undoReduction(connection: Connection, unmark: boolean, now: number): void {
  const { recovery, congestion, ecn } = connection;
  if (unmark) unmarkLost(connection);
  if (recovery.priorSsthresh > 0) {
    congestion.cwnd = Math.max(congestion.cwnd, recovery.priorCwnd);
    if (recovery.priorSsthresh > congestion.ssthresh) {
      congestion.ssthresh = recovery.priorSsthresh;
      ecn.cwr = false;
    }
    connection.stack.counters.undos++;
  }
  congestion.usedAt = now;
  recovery.undoMarker = -1;
  // What is outstanding is looked at again.
  recovery.rackAdvanced = true;
}

/**
 * RFC 6582, section 4: without reports the phase lasts until something above the point is acknowledged, or
 * duplicates of what was needlessly repeated would begin a new one.
 */
function preventsReopening(connection: Connection): boolean {
  const { recovery, snd, negotiated } = connection;
  if (snd.una !== recovery.point || negotiated.sack) return false;
  if (!anyRetransmitted(connection)) recovery.retransAt = -1;
  return true;
}

/** The point is acknowledged: undo if possible; true if the phase must last all the same. */
export function undoRecovery(connection: Connection, segment: Segment, now: number): boolean {
  const { recovery } = connection;
  if (mayUndo(connection, segment)) undoReduction(connection, false, now);
  else if (recovery.reoPersist > 0) recovery.reoPersist--;
  if (preventsReopening(connection)) return true;
  recovery.phase = 'open';
  recovery.reneged = false;
  return false;
}

/** Every retransmission has been reported as needless. */
export function undoByDsack(connection: Connection, now: number): boolean {
  const { recovery } = connection;
  if (recovery.undoMarker < 0 || recovery.undoRetrans !== 0) return false;
  recovery.reoPersist = Math.min(PERSISTENCE, recovery.reoPersist + 1);
  undoReduction(connection, false, now);
  return true;
}

/** After a timeout; `spurious` if F-RTO has shown it. */
export function undoLoss(
  connection: Connection,
  segment: Segment,
  spurious: boolean,
  now: number,
): boolean {
  const { recovery, retransmit, negotiated, stack } = connection;
  if (!spurious && !mayUndo(connection, segment)) return false;
  undoReduction(connection, true, now);
  retransmit.timeouts = 0;
  stack.counters.spuriousTimeouts++;
  if (preventsReopening(connection)) return true;
  if (spurious || negotiated.sack) {
    recovery.phase = 'open';
    recovery.reneged = false;
  }
  return true;
}

/** A partial acknowledgment that is the original's (RFC 4015): 'undone', 'wait' for more, or 'no'. */
export function undoPartially(
  connection: Connection,
  segment: Segment,
  now: number,
): 'undone' | 'wait' | 'no' {
  const { recovery } = connection;
  if (recovery.undoMarker < 0 || !isEchoOfOriginal(connection, segment)) return 'no';
  // The originals of what was repeated and is still out may be lost after all.
  if (recovery.retransOut > 0) return 'wait';
  if (!anyRetransmitted(connection)) recovery.retransAt = -1;
  undoReduction(connection, true, now);
  return 'undone';
}

/** The phase to be in once nothing is known to be lost. */
export function keepOpen(connection: Connection): void {
  const { recovery, snd } = connection;
  const doubtful = recovery.sackedOut + recovery.lostOut > 0 || anyRetransmitted(connection);
  const phase = doubtful ? 'disorder' : 'open';
  if (recovery.phase === phase) return;
  recovery.phase = phase;
  recovery.point = snd.nxt;
}
