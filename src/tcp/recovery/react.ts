// What an acknowledgment that is more than routine does to the phases of recovery (RFC 5681, 6582, 6675, 8985).
import type { Micros } from '../../env/clock.ts';
import { MILLISECOND } from '../../env/clock.ts';
import type { Connection } from '../connection.ts';
import type { Segment } from '../segment.ts';
import { advance, isAfter, isBefore } from '../sequence.ts';
import type { AckFacts } from './ack.ts';
import { detectionOf } from './detection.ts';
import { anyRetransmitted } from './flight.ts';
import { noteReordering } from './rack.ts';
import { endReduction, enterCwr, enterRecovery } from './reduction.ts';
import { isCalm } from './state.ts';
import { startTimer } from './timers.ts';
import { keepOpen, undoByDsack, undoLoss, undoPartially, undoRecovery } from './undo.ts';

/** What is to be sent afterwards: nothing of its own accord, new data first (F-RTO), or what is lost. */
export type Sequel = 'none' | 'new' | 'lost';

/** A peer that seems to have thrown away what it reported gets this time at least to prove otherwise. */
const RENEGING_PAUSE: Micros = 10 * MILLISECOND;

/** @param duplicates how many duplicate acknowledgments it counts for */
export function react(
  connection: Connection,
  segment: Segment,
  ack: AckFacts,
  duplicates: number,
  now: Micros,
): Sequel {
  const { recovery, snd, rtt } = connection;
  if (recovery.packetsOut === 0) recovery.sackedOut = 0;
  // A congestion mark must not be undone.
  if (ack.echo) recovery.priorSsthresh = 0;
  if (ack.reneging && ack.advanced) {
    startTimer(connection, 'rto', now + Math.max(rtt.srtt / 2, RENEGING_PAUSE));
    ack.setTimer = false;
    return 'none';
  }
  if (recovery.phase === 'open') recovery.retransAt = -1;
  else if (!isBefore(snd.una, recovery.point) && endsPhase(connection, segment, now)) return 'none';
  switch (recovery.phase) {
    case 'recovery':
      return inRecovery(connection, segment, ack, duplicates, now);
    case 'loss':
      return inLoss(connection, segment, ack, duplicates, now);
    default:
      return inPeace(connection, ack, duplicates, now);
  }
}

/** The point is acknowledged; true if nothing more is to be done. */
function endsPhase(connection: Connection, segment: Segment, now: Micros): boolean {
  const { recovery, snd } = connection;
  if (recovery.phase === 'cwr') {
    // It is held until something above the point is acknowledged, which carried our CWR.
    if (snd.una !== recovery.point) {
      endReduction(connection, now);
      recovery.phase = 'open';
    }
  } else if (recovery.phase === 'recovery') {
    detectionOf(connection).reset(connection);
    // Ended after undoing, which keeps the marker of what was not undone.
    if (undoRecovery(connection, segment, now)) return true;
    endReduction(connection, now);
  }
  return false;
}

function inRecovery(
  connection: Connection,
  segment: Segment,
  ack: AckFacts,
  duplicates: number,
  now: Micros,
): Sequel {
  const { recovery } = connection;
  const detection = detectionOf(connection);
  if (!ack.advanced) detection.duplicates(connection, duplicates);
  else {
    const undone = undoPartially(connection, segment, now);
    // The hole was filled by what was late, not by what was repeated.
    if (undone !== 'no') noteReordering(connection, ack.priorUna);
    if (undone === 'wait') return 'none';
    if (undone === 'undone') keepOpen(connection);
  }
  if (undoByDsack(connection, now)) tryToOpen(connection, ack);
  detection.identify(connection, ack, now);
  if (recovery.phase !== 'recovery') {
    if (recovery.lostOut === 0) return 'none';
    // The reduction was undone, and yet something is lost: a new one begins.
    enterRecovery(connection, ack.echo);
  }
  return 'lost';
}

function inLoss(
  connection: Connection,
  segment: Segment,
  ack: AckFacts,
  duplicates: number,
  now: Micros,
): Sequel {
  const { recovery } = connection;
  const sequel = processLoss(connection, segment, ack, duplicates, now);
  detectionOf(connection).identify(connection, ack, now);
  // `processLoss` may have ended the phase.
  const phase: string = recovery.phase;
  if (phase !== 'open' && !ack.lostRetrans) return sequel;
  return recoverOrOpen(connection, ack) ? 'lost' : sequel;
}

/** F-RTO (RFC 5682, 3.1), and the way out of the loss phase. */
function processLoss(
  connection: Connection,
  segment: Segment,
  ack: AckFacts,
  duplicates: number,
  now: Micros,
): Sequel {
  const { recovery, snd, sendBuffer, negotiated } = connection;
  const recovered = !isBefore(snd.una, recovery.point);
  if (ack.advanced && undoLoss(connection, segment, false, now)) return 'none';
  if (recovery.frto) {
    // Step 3.b: what was not sent again has arrived, so it was not lost.
    if (ack.originalDelivered && undoLoss(connection, segment, true, now)) return 'none';
    if (isAfter(snd.nxt, recovery.point)) {
      // Step 3.a: the timeout was right.
      if (ack.sacked || duplicates > 0) recovery.frto = false;
    } else if (ack.advanced && !recovered) {
      recovery.point = snd.nxt;
      // Step 2.b: new data, if there is any, shows what is behind it.
      const unsent = isAfter(advance(snd.una, sendBuffer.length), snd.nxt);
      if (unsent && isAfter(advance(snd.una, snd.wnd), snd.nxt)) return 'new';
      recovery.frto = false;
    }
  }
  if (recovered) {
    undoRecovery(connection, segment, now);
    return 'none';
  }
  if (!negotiated.sack) {
    const detection = detectionOf(connection);
    // A duplicate says that new data of step 2.b has arrived.
    if (isAfter(snd.nxt, recovery.point) && duplicates > 0) {
      detection.duplicates(connection, duplicates);
    } else if (ack.advanced) detection.reset(connection);
  }
  return 'lost';
}

function inPeace(connection: Connection, ack: AckFacts, duplicates: number, now: Micros): Sequel {
  const { recovery } = connection;
  const detection = detectionOf(connection);
  if (ack.advanced) detection.reset(connection);
  detection.duplicates(connection, duplicates);
  if (isCalm(recovery)) undoByDsack(connection, now);
  detection.identify(connection, ack, now);
  return recoverOrOpen(connection, ack) ? 'lost' : 'none';
}

/** Something is lost: recovery begins, true. Nothing is: the phase is what reports and marks make it. */
function recoverOrOpen(connection: Connection, ack: AckFacts): boolean {
  if (connection.recovery.lostOut === 0) {
    tryToOpen(connection, ack);
    return false;
  }
  enterRecovery(connection, ack.echo);
  return true;
}

function tryToOpen(connection: Connection, ack: AckFacts): void {
  const { recovery } = connection;
  if (!anyRetransmitted(connection)) recovery.retransAt = -1;
  if (ack.echo) enterCwr(connection);
  if (recovery.phase !== 'cwr') keepOpen(connection);
}
