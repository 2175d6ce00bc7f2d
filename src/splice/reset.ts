// What a reset is worth. It is good only with the number that its receiver expects next (RFC 5961, section 3.2), which
// lies between what that one acknowledged and what was sent.
import { ACKED, ACKED_KNOWN, NEXT, NEXT_KNOWN, STATUS } from './slot.ts';

export const GOOD = 0;
/** It does not fit: it may be a stranger's, or we missed packets. */
export const STRANGE = 1;
/**
 * It is not known what was acknowledged. It may be the answer to a question of ours, of an end that does not know the
 * connection, or not yet.
 */
export const UNKNOWN = 2;

/**
 * @param at where in the table's words starts what was seen of the flow
 * @param seq the reset's number, in its sender's count
 */
export function judgeReset(words: Int32Array, at: number, direction: number, seq: number): number {
  const status = words[at + STATUS];
  const ahead = (words[at + NEXT + direction] - seq) | 0;
  const isNextKnown = (status & (NEXT_KNOWN << direction)) !== 0;
  if ((status & (ACKED_KNOWN << direction)) === 0) {
    return isNextKnown && ahead === 0 ? GOOD : UNKNOWN;
  }
  const behind = (seq - words[at + ACKED + direction]) | 0;
  return behind < 0 || (isNextKnown && ahead < 0) ? STRANGE : GOOD;
}
