// A short sorted list of disjoint ranges of sequence numbers: what arrived out of order, or what the
// peer says it has.
import { distance, isAfter, isBefore } from './sequence.ts';

export class Ranges {
  readonly #limit: number;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** @param limit how many ranges are kept at most; what would make one more is refused */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#starts.length;
  }

  start(index: number): number {
    return this.#starts[index];
  }

  end(index: number): number {
    return this.#ends[index];
  }

  /** Bytes in all ranges together. */
  get bytes(): number {
    let sum = 0;
    for (let i = 0; i < this.#starts.length; i++) sum += distance(this.#ends[i], this.#starts[i]);
    return sum;
  }

  /** The index of the range that holds `seq`, or -1. */
  indexOf(seq: number): number {
    return this.#starts.findIndex(
      (start, index) => !isBefore(seq, start) && isBefore(seq, this.#ends[index]),
    );
  }

  /** Adds `[start, end)`, merging what touches. False if there is no room for another range. */
  add(start: number, end: number): boolean {
    let first = 0;
    while (first < this.#starts.length && isBefore(this.#ends[first], start)) first++;
    let last = first;
    let from = start;
    let to = end;
    while (last < this.#starts.length && !isAfter(this.#starts[last], end)) {
      if (isBefore(this.#starts[last], from)) from = this.#starts[last];
      if (isAfter(this.#ends[last], to)) to = this.#ends[last];
      last++;
    }
    if (last === first && this.#starts.length >= this.#limit) return false;
    this.#starts.splice(first, last - first, from);
    this.#ends.splice(first, last - first, to);
    return true;
  }

  /** Forgets everything before `seq`. */
  dropBefore(seq: number): void {
    let gone = 0;
    while (gone < this.#ends.length && !isAfter(this.#ends[gone], seq)) gone++;
    if (gone > 0) {
      this.#starts.splice(0, gone);
      this.#ends.splice(0, gone);
    }
    if (this.#starts.length > 0 && isBefore(this.#starts[0], seq)) this.#starts[0] = seq;
  }

  clear(): void {
    // Setting a length is slow, and nearly every connection ends with nothing in here.
    if (this.#ends.length === 0) return;
    this.#starts.length = 0;
    this.#ends.length = 0;
  }
}
