// Slots in the order of their last packet: a doubly linked list whose links lie in the slots.
import type { RecordForm } from './form.ts';
import { FOLLOWING, PREVIOUS } from './slot.ts';

/** A slot is in one queue at most. All operations cost the same, however many slots wait. */
export class SlotQueue {
  readonly #words: Int32Array;
  readonly #slotWords: number;
  /** Where the links of the first slot lie. */
  readonly #previous: number;
  readonly #following: number;
  /** The slot that waits longest, or -1. */
  first = -1;
  #last = -1;

  /**
   * @param words all slots
   * @param form of their records
   */
  constructor(words: Int32Array, form: RecordForm) {
    this.#words = words;
    this.#slotWords = form.slotWords;
    this.#previous = form.seen + PREVIOUS;
    this.#following = form.seen + FOLLOWING;
  }

  push(slot: number): void {
    const words = this.#words;
    const size = this.#slotWords;
    words[slot * size + this.#previous] = this.#last;
    words[slot * size + this.#following] = -1;
    if (this.#last < 0) this.first = slot;
    else words[this.#last * size + this.#following] = slot;
    this.#last = slot;
  }

  /** Takes out a slot that is in this queue. */
  remove(slot: number): void {
    const words = this.#words;
    const size = this.#slotWords;
    const previous = words[slot * size + this.#previous];
    const following = words[slot * size + this.#following];
    if (previous < 0) this.first = following;
    else words[previous * size + this.#following] = following;
    if (following < 0) this.#last = previous;
    else words[following * size + this.#previous] = previous;
  }
}
