// Asks an end where it stands, also where this member knows nothing of it: the answer to a segment that is
// not acceptable has SND.NXT and RCV.NXT as they are (RFC 9293, section 3.10.7.4).
import type { Frame } from '../link/frame.ts';
import { OwnSegment, speakAsSender, writeOwnSegment } from './own-packet.ts';
import { recordEpoch, SCALES_AND_FLAGS, TIMESTAMPS_FLAG } from './record.ts';
import * as s from './slot.ts';
import type { SpliceTable } from './table.ts';

/**
 * Members' clocks differ by less, in milliseconds, and so do our timestamps at the two handshakes from the
 * record's epoch.
 */
const MARGIN_MS = 3_600_000;
/** Timestamps older than half their space look new: connections of that age are not asked in this way. */
const OLDEST_SECONDS = 20 * 86_400;
/** No window is larger (RFC 7323, section 2.3), so no number so far ahead or behind is within one. */
const FAR = 2 ** 30;

const segment = new OwnSegment();

/**
 * Whether a flow's ends can be asked by timestamps: a segment whose TSval is older than the connection is not
 * acceptable, whatever its numbers, and is answered (RFC 7323, section 5.3, R1).
 * @param wall the time of day in seconds
 */
export function hasOldTimestamps(table: SpliceTable, slot: number, wall: number): boolean {
  const flags = table.words[slot * table.slotWords + table.form.transport + SCALES_AND_FLAGS];
  if ((flags & TIMESTAMPS_FLAG) === 0) return false;
  const age = wall - recordEpoch(table.view, slot * 4 * table.slotWords, table.form);
  return age < OLDEST_SECONDS;
}

/** Whether it is known what the receiver of a direction acknowledged last. */
export const isAckedKnown = (table: SpliceTable, slot: number, direction: number): boolean =>
  (table.words[slot * table.slotWords + table.seen + s.STATUS] & (s.ACKED_KNOWN << direction)) !==
  0;

/** Whether enough was seen of a direction to ask its receiver by numbers. */
export function isDirectionKnown(table: SpliceTable, slot: number, direction: number): boolean {
  const status = table.words[slot * table.slotWords + table.seen + s.STATUS];
  return (
    (status & (s.ACKED_KNOWN << (1 - direction))) !== 0 &&
    (status & ((s.NEXT_KNOWN | s.ACKED_KNOWN) << direction)) !== 0
  );
}

/**
 * Writes a question by timestamps to the receiver of a direction; only for flows with `hasOldTimestamps`. Its
 * TSval is from before the connection began, since our timestamps are the time of day when it did.
 *
 * Linux from 6.14 on is silent about old pure acknowledgments with numbers below RCV.NXT. Where the numbers are
 * not known two questions half the number space apart are needed, of which one is not below; where RCV.NXT is known, or a
 * number up to 2^30 before it, the first is enough.
 * @param apart 0, or 2^31 for the second question
 */
export function writeOldQuestion(
  table: SpliceTable,
  slot: number,
  direction: number,
  apart: number,
  frame: Frame,
): void {
  const record = slot * table.slotWords;
  const expected = table.words[record + table.seen + s.ACKED + direction];
  speakAsSender(table, slot, direction, expected + FAR + apart, segment);
  segment.timestamp = recordEpoch(table.view, 4 * record, table.form) * 1_000 - MARGIN_MS;
  writeOwnSegment(table, slot, direction, segment, frame);
}

/**
 * Writes a question by numbers, like a keep-alive (RFC 9293, section 3.8.4), to the receiver of a direction with
 * `isDirectionKnown`. Its TSval is what the direction's sender would say about now.
 * @param millis the time in milliseconds
 */
export function writeQuestion(
  table: SpliceTable,
  slot: number,
  direction: number,
  millis: number,
  frame: Frame,
): void {
  const { words } = table;
  const seen = slot * table.slotWords + table.seen;
  const below = isAckedKnown(table, slot, direction)
    ? words[seen + s.ACKED + direction] - 1
    : words[seen + s.NEXT + direction] - FAR;
  speakAsSender(table, slot, direction, below, segment);
  segment.timestamp += (millis - words[seen + s.ACTIVITY]) | 0;
  writeOwnSegment(table, slot, direction, segment, frame);
}
