// The segment that an ICMP error quotes, whatever the address family: which it may be, and how it is put
// back into the terms of the end point that sent it.
import type { Frame } from '../link/frame.ts';
import { change32, updateFull } from '../wire/checksum.ts';
import * as tcp from '../wire/tcp.ts';
import { addTo, ofWords } from './field.ts';
import { SEQ_SHIFT } from './record.ts';
import { NEXT, NEXT_KNOWN, REACH, STATUS } from './slot.ts';
import type { SpliceTable } from './table.ts';

/** Not about a spliced packet. */
export const NOT_SPLICED = -1;
/** About one, but damaged, implausible or at the end of its life. */
export const REFUSED = -2;

/** The least that is quoted of a packet's payload (RFC 792): ports and sequence number. */
export const QUOTED_PAYLOAD = 8;

/** Bytes of a flow that may have passed by way of other members, beyond what this one saw. */
export const ELSEWHERE = 0x10_0000;

/** RFC 5927, section 4.1: the segment quoted at `segment` must be one that may still be in flight. */
export function isPlausible(
  table: SpliceTable,
  slot: number,
  direction: number,
  view: DataView,
  segment: number,
): boolean {
  const record = slot * table.slotWords;
  const at = record + table.form.seen;
  if ((table.words[at + STATUS] & (NEXT_KNOWN << direction)) === 0) return true;
  const shift = table.words[record + table.form.transport + SEQ_SHIFT + direction];
  const seq = (view.getInt32(segment + tcp.SEQ_AT) - shift) | 0;
  const ahead = (seq - table.words[at + NEXT + direction]) | 0;
  return ahead <= ELSEWHERE && ahead > -REACH;
}

/**
 * Translates back what identifies a segment that had gone out in a direction: ports, SEQ, ACK and, when it
 * was quoted, the checksum.
 * @param segment where the quoted header starts, and `end` where the quote ends
 * @param addresses what the quoted packet's addresses, already translated, add to a sum
 */
export function restoreSegment(
  table: SpliceTable,
  slot: number,
  direction: number,
  frame: Frame,
  segment: number,
  end: number,
  addresses: number,
): void {
  const { view, words } = frame;
  const { keyWords, transport } = table.form;
  const records = table.words;
  const record = slot * table.slotWords;
  const ports = records[record + keyWords * direction + keyWords - 1];
  let change = addresses + ofWords(change32(words[segment >> 2] | 0, ports));
  words[segment >> 2] = ports;
  const shifts = record + transport + SEQ_SHIFT;
  change += addTo(view, segment + tcp.SEQ_AT, -records[shifts + direction] | 0);
  if (segment + tcp.FLAGS_AT < end && (tcp.flags(view, segment) & tcp.ACK) !== 0) {
    change += addTo(view, segment + tcp.ACK_AT, records[shifts + 1 - direction]);
  }
  if (segment + tcp.CHECKSUM_AT + 2 <= end) {
    tcp.setChecksum(view, segment, updateFull(tcp.checksum(view, segment), change));
  }
}
