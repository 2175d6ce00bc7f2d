// Probes for the ends of a silent flow, and resets when both are gone.
import type { Frame } from '../link/frame.ts';
import * as tcp from '../wire/tcp.ts';
import { OwnSegment, speakAsSender, writeOwnSegment } from './own-packet.ts';
import { isAckedKnown } from './question.ts';
import { SEQ_SHIFT, TO_BACKEND, TO_CLIENT } from './record.ts';
import { ACKED } from './slot.ts';
import type { SpliceTable } from './table.ts';

const segment = new OwnSegment();

/**
 * What a probe to the receiver of a direction acknowledges: what it last said; if that is not known, a number that
 * a stranger cannot guess, since it depends on both servers' initial sequence numbers.
 */
function acknowledged(table: SpliceTable, slot: number, direction: number): number {
  const { words, form } = table;
  const record = slot * table.slotWords;
  const back = 1 - direction;
  return isAckedKnown(table, slot, back)
    ? words[record + form.seen + ACKED + back]
    : words[record + form.transport + SEQ_SHIFT + TO_CLIENT];
}

/**
 * True if a reset from the client can only be the answer to a probe of a member that knew nothing of the flow: the client
 * has got that, and no such connection. A client's handshake is complete before there is a record.
 * @param seq the reset's number
 */
export const isDenial = (table: SpliceTable, slot: number, seq: number): boolean =>
  !isAckedKnown(table, slot, TO_BACKEND) && (seq | 0) === acknowledged(table, slot, TO_CLIENT);

/**
 * Writes a segment without data to the receiver of a direction, with the numbers that its receiver last
 * acknowledged, which nobody can take for an acknowledgment of more.
 *
 * A probe has the number just below what the receiver expects: "If an incoming segment is not
 * acceptable, an acknowledgment should be sent in reply" (RFC 9293, section 3.10.7.4), as keep-alives
 * have it (section 3.8.4). An end that no longer knows the connection answers with a reset, which has the number
 * that the probe acknowledges. Where we saw no packet yet the numbers are arbitrary and have the same effect.
 *
 * A reset has exactly the number that the receiver expects, or it would be challenged (RFC 5961, 3.2).
 *
 * @param reset true for a reset, false for a probe
 */
export function writeProbe(
  table: SpliceTable,
  slot: number,
  direction: number,
  reset: boolean,
  frame: Frame,
): void {
  const expected = table.words[slot * table.slotWords + table.seen + ACKED + direction];
  speakAsSender(table, slot, direction, expected - (reset ? 0 : 1), segment);
  segment.ack = acknowledged(table, slot, direction);
  segment.flags = reset ? tcp.RST | tcp.ACK : tcp.ACK;
  // The window stays 0: it means nothing in a segment that is not acceptable.
  writeOwnSegment(table, slot, direction, segment, frame);
}
