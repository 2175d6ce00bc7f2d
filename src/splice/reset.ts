// What a reset is worth.
import { ACKED, ACKED_KNOWN, NEXT, NEXT_KNOWN, STATUS } from './slot.ts';

/**
 * True if a reset ends the connection: with the number that its receiver expects next (RFC 5961, section 3.2), which
 * lies between what that one acknowledged and what was sent. One that does not fit may be a stranger's, or we missed packets. Where it
 * is not known what was acknowledged it may be the answer to a question of ours, of an end that does not know the connection,
 * or not yet.
 * @param at where in the table's words starts what was seen of the flow
 * @param seq the reset's number, in its sender's count
 */
export function isGoodReset(
  words: Int32Array,
  at: number,
  direction: number,
  seq: number,
): boolean {
  const status = words[at + STATUS];
  const ahead = (words[at + NEXT + direction] - seq) | 0;
  const isNextKnown = (status & (NEXT_KNOWN << direction)) !== 0;
  if ((status & (ACKED_KNOWN << direction)) === 0) return isNextKnown && ahead === 0;
  const behind = (seq - words[at + ACKED + direction]) | 0;
  // What was acknowledged was sent, if we have not seen it.
  return behind === 0 || (behind > 0 && !(isNextKnown && ahead < 0));
}
