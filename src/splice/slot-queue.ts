// Slots in the order of their last packet: a doubly linked list whose links lie in the slots.
import { FOLLOWING, PREVIOUS, SLOT_WORDS } from './slot.ts';

/** A slot is in one queue at most. All operations cost the same, however many slots wait. */
export class SlotQueue {
  readonly #words: Int32Array;
  /** The slot that waits longest, or -1. */
  first = -1;
  #last = -1;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  push(slot: number): void {
    const words = this.#words;
    words[slot * SLOT_WORDS + PREVIOUS] = this.#last;
    words[slot * SLOT_WORDS + FOLLOWING] = -1;
    if (this.#last < 0) this.first = slot;
    else words[this.#last * SLOT_WORDS + FOLLOWING] = slot;
    this.#last = slot;
  }

  /** Takes out a slot that is in this queue. */
  remove(slot: number): void {
    const words = this.#words;
    const previous = words[slot * SLOT_WORDS + PREVIOUS];
    const following = words[slot * SLOT_WORDS + FOLLOWING];
    if (previous < 0) this.first = following;
    else words[previous * SLOT_WORDS + FOLLOWING] = following;
    if (following < 0) this.#last = previous;
    else words[following * SLOT_WORDS + PREVIOUS] = previous;
  }
}
