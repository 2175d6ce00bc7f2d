// An acknowledgment in the name of a direction's receiver, for a sender whose last segments were lost.
import type { Frame } from '../link/frame.ts';
import { OwnSegment, speakAsSender, TIMESTAMPS_LENGTH, writeOwnSegment } from './own-packet.ts';
import { RECEIVER_MSS, RECEIVER_SACK_FLAG, SCALES_AND_FLAGS, TIMESTAMPS_FLAG } from './record.ts';
import { ACKED, NEXT } from './slot.ts';
import type { SpliceTable } from './table.ts';

/**
 * Segments that a report claims: with three, RFC 6675 (section 4, IsLost) and RFC 8985 (section 6.2) take all
 * before them for lost at once.
 */
const CLAIMED = 3;

const segment = new OwnSegment();

/** The largest segment that both ends accept, options included: what a full one of either is. */
export function fullSegment(table: SpliceTable, slot: number): number {
  const sizes = table.words[slot * table.slotWords + table.form.transport + RECEIVER_MSS];
  return Math.min(sizes & 0xffff, sizes >>> 16);
}

/** The data in such a segment. */
export function fullPayload(table: SpliceTable, slot: number): number {
  const flags = table.words[slot * table.slotWords + table.form.transport + SCALES_AND_FLAGS];
  return fullSegment(table, slot) - ((flags & TIMESTAMPS_FLAG) !== 0 ? TIMESTAMPS_LENGTH : 0);
}

/** True if the sender of a direction takes SACK blocks. */
export function takesSack(table: SpliceTable, slot: number, direction: number): boolean {
  const flags = table.words[slot * table.slotWords + table.form.transport + SCALES_AND_FLAGS];
  return (flags & (RECEIVER_SACK_FLAG << (1 - direction))) !== 0;
}

/**
 * Writes what the receiver of a direction says already, once more, to the direction's sender; both must have been
 * heard. If the sender takes SACK, a block claims the last segments under way, though they have not arrived.
 *
 * No byte is lost by that: what is reported may be thrown away by its receiver until it is acknowledged, so the
 * sender keeps it until then, and sends it again when the acknowledgments stop there (RFC 2018, section 8).
 * @param window the field that the receiver announced last, as it went out
 */
export function writeReport(
  table: SpliceTable,
  slot: number,
  direction: number,
  window: number,
  frame: Frame,
): void {
  const { words } = table;
  const seen = slot * table.slotWords + table.seen;
  const back = 1 - direction;
  const acked = words[seen + ACKED + direction];
  const next = words[seen + NEXT + direction];
  speakAsSender(table, slot, back, words[seen + NEXT + back], segment);
  segment.window = window;
  segment.sack = takesSack(table, slot, direction);
  // A block that begins where the acknowledgment ends would make no sense (RFC 2018, section 4).
  const claimed = Math.min(CLAIMED * fullSegment(table, slot), ((next - acked) | 0) - 1);
  segment.edges[0] = next - claimed;
  segment.edges[1] = next;
  writeOwnSegment(table, slot, back, segment, frame);
}
