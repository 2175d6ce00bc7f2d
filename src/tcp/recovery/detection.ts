// How loss is found, behind one small interface: by the peer's reports and by time (RACK, RFC 8985), or,
// for a peer that does not report, by counting duplicate acknowledgments (NewReno, RFC 6582).
import type { Micros } from '../../env/clock.ts';
import type { Connection } from '../connection.ts';
import type { AckFacts } from './ack.ts';
import { markLost, segmentSize, segmentsOf, splitEntry } from './flight.ts';
import { boundReordering, rackIdentify } from './rack.ts';
import { LOST } from './sent-queue.ts';

export interface LossDetection {
  readonly name: 'rack' | 'newreno';
  /** `count` duplicate acknowledgments came. */
  duplicates(connection: Connection, count: number): void;
  /** `segments` segments were acknowledged cumulatively. */
  acknowledged(connection: Connection, segments: number): void;
  /** What was counted is void: a new flight begins. */
  reset(connection: Connection): void;
  /** Marks what is lost, now that `ack` has come. */
  identify(connection: Connection, ack: AckFacts, now: Micros): void;
}

export const rack: LossDetection = {
  name: 'rack',

  // Reports tell more than their number does.
  duplicates() {},
  acknowledged() {},
  reset() {},

  identify(connection, ack, now) {
    if (connection.sent.count === 0) return;
    const before = connection.recovery.retransOut;
    if (rackIdentify(connection, now)) ack.setTimer = false;
    if (connection.recovery.retransOut < before) ack.lostRetrans = true;
  },
};

/**
 * Each duplicate says that some segment has arrived, but not more than are in flight; true if it had to be
 * bounded, which means that segments overtake each other, or are duplicated.
 */
function boundDuplicates({ recovery }: Connection): boolean {
  const holes = Math.min(Math.max(recovery.lostOut, 1), recovery.packetsOut);
  if (recovery.sackedOut + holes <= recovery.packetsOut) return false;
  recovery.sackedOut = recovery.packetsOut - holes;
  return true;
}

function checkReordering(connection: Connection, addend: number): void {
  if (!boundDuplicates(connection)) return;
  const { recovery } = connection;
  recovery.reordering = boundReordering(recovery.packetsOut + addend);
  recovery.reordSeen++;
}

export const newRenoDetection: LossDetection = {
  name: 'newreno',

  duplicates(connection, count) {
    if (count === 0) return;
    const { recovery } = connection;
    // RFC 5681, 3.2: not more of them than segments were in flight, or a liar buys a segment with each.
    if (recovery.duplicates === 0) recovery.duplicateLimit = recovery.packetsOut;
    recovery.duplicates += count;
    if (recovery.duplicates > recovery.duplicateLimit) return;
    const before = recovery.sackedOut;
    recovery.sackedOut += count;
    checkReordering(connection, 0);
    if (recovery.sackedOut > before) recovery.delivered += recovery.sackedOut - before;
  },

  acknowledged(connection, segments) {
    const { recovery } = connection;
    if (segments > 0) {
      recovery.duplicates = 0;
      // One filled the hole, the others are those that the duplicates spoke of.
      recovery.delivered += Math.max(segments - recovery.sackedOut, 1);
      recovery.sackedOut = Math.max(0, recovery.sackedOut - (segments - 1));
    }
    checkReordering(connection, segments);
  },

  reset({ recovery }) {
    recovery.sackedOut = 0;
  },

  identify(connection, ack) {
    const { recovery, sent } = connection;
    if (sent.count === 0) return;
    const { phase } = recovery;
    const begins =
      phase !== 'recovery' && phase !== 'loss' && recovery.sackedOut >= recovery.reordering;
    // RFC 6582, 3.2 step 3: after a partial acknowledgment what starts here is lost as well.
    const partial = phase === 'recovery' && ack.advanced;
    if ((!begins && !partial) || (sent.flags(0) & LOST) !== 0) return;
    const size = segmentSize(connection);
    if (sent.segments(0) > 1 && segmentsOf(sent.length(0), size) > 1) {
      splitEntry(connection, 0, size);
    }
    markLost(connection, 0);
  },
};

export const detectionOf = ({ negotiated }: Connection): LossDetection =>
  negotiated.sack ? rack : newRenoDetection;
