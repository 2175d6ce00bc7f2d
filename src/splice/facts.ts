// What is known of a flow's end, as far as its slot says: the FINs that were seen, and their acknowledgments.
import { TO_BACKEND, TO_CLIENT } from './record.ts';
import { ACKED, ACKED_KNOWN, FIN_END, FIN_SEEN, STATUS } from './slot.ts';

/** The FIN of a direction was seen, or its acknowledgment; each is shifted by the direction. */
export const FIN_FACT = 0x1;
export const ACKED_FACT = 0x4;
export const FACTS_MASK = 0xf;

// `at` is where in the table's words starts what was seen of the flow.

/** True if the FIN of a direction is acknowledged, once it was seen. */
export function isFinAcked(words: Int32Array, at: number, direction: number): boolean {
  const heard = (words[at + STATUS] & (ACKED_KNOWN << direction)) !== 0;
  return heard && words[at + ACKED + direction] === words[at + FIN_END + direction];
}

export function factsOf(words: Int32Array, at: number): number {
  let facts = 0;
  for (const direction of [TO_BACKEND, TO_CLIENT]) {
    if ((words[at + STATUS] & (FIN_SEEN << direction)) === 0) continue;
    facts |= FIN_FACT << direction;
    if (isFinAcked(words, at, direction)) facts |= ACKED_FACT << direction;
  }
  return facts;
}

/** Notes what was seen elsewhere: facts of a direction, and the number behind its FIN. */
export function noteFacts(
  words: Int32Array,
  at: number,
  facts: number,
  direction: number,
  end: number,
): void {
  if ((facts & (FIN_FACT << direction)) === 0) return;
  words[at + STATUS] |= FIN_SEEN << direction;
  words[at + FIN_END + direction] = end;
  if ((facts & (ACKED_FACT << direction)) === 0) return;
  words[at + STATUS] |= ACKED_KNOWN << direction;
  words[at + ACKED + direction] = end;
}

/** True if a number lies behind the FIN of its sender, where nothing of the flow does (RFC 9293, section 3.6). */
export function isBeyondEnd(
  words: Int32Array,
  at: number,
  direction: number,
  seq: number,
): boolean {
  const isKnown = (words[at + STATUS] & (FIN_SEEN << direction)) !== 0;
  return isKnown && ((seq - words[at + FIN_END + direction]) | 0) > 0;
}
