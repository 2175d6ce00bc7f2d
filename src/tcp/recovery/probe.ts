// The tail loss probe (RFC 8985, section 7): when no acknowledgment comes, something is sent that asks for one,
// before the retransmission timer has to clear the flight away.
import { type Micros, NEVER } from '../../env/clock.ts';
import type { Connection } from '../connection.ts';
import { isAfter, isBefore } from '../sequence.ts';
import type { AckFacts } from './ack.ts';
import { segmentSize, splitEntry } from './flight.ts';
import { beginReduction, endReduction } from './reduction.ts';
import { repeat } from './retransmit.ts';
import { rearmTimeout } from './timers.ts';
import { keepOpen } from './undo.ts';

/**
 * The probe timer has fired.
 * @param sendNew sends one segment of new data if the peer's window takes it
 */
export function sendProbe(
  connection: Connection,
  now: Micros,
  sendNew: (connection: Connection, now: Micros) => boolean,
): void {
  const { recovery, sent, snd, retransmit, stack } = connection;
  // One at a time.
  if (recovery.tlpEnd < 0 && sent.count > 0) {
    recovery.tlpRetrans = false;
    let probed = sendNew(connection, now);
    if (!probed) {
      const last = lastSegment(connection);
      probed = repeat(connection, last, 1, now);
      recovery.tlpRetrans = probed;
    }
    if (probed) {
      recovery.tlpEnd = snd.nxt;
      stack.counters.tailProbes++;
      // The retransmission timer counts from now.
      retransmit.at = NEVER;
    }
  }
  rearmTimeout(connection, now);
}

/** The entry that is the last segment, split off its train if need be. */
function lastSegment(connection: Connection): number {
  const { sent } = connection;
  const last = sent.count - 1;
  const before = (sent.segments(last) - 1) * segmentSize(connection);
  if (before <= 0 || sent.length(last) <= before) return last;
  splitEntry(connection, last, before);
  return last + 1;
}

/** RFC 8985, 7.4: what an acknowledgment says about the probe. */
export function takeProbeAck(
  connection: Connection,
  acknowledged: number,
  ack: AckFacts,
  now: Micros,
): void {
  const { recovery } = connection;
  if (isBefore(acknowledged, recovery.tlpEnd)) return;
  if (!recovery.tlpRetrans || ack.dsackTlp) {
    // New data has arrived, or both the original and the probe.
    recovery.tlpEnd = -1;
  } else if (isAfter(acknowledged, recovery.tlpEnd)) {
    // The probe has repaired a loss, which asks for the usual reaction.
    beginReduction(connection);
    recovery.phase = 'cwr';
    endReduction(connection, now);
    keepOpen(connection);
  } else if (!ack.advanced && !ack.isNoDuplicate && !ack.sacked) {
    recovery.tlpEnd = -1;
  }
}
