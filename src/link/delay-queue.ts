// Things that become due at a time, the earliest first, and what is due together in the order it came.
import { type Micros, NEVER } from '../env/clock.ts';

interface Entry<T> {
  readonly at: Micros;
  readonly order: number;
  readonly item: T;
}

const isEarlier = <T>(a: Entry<T>, b: Entry<T>): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order);

export class DelayQueue<T> {
  readonly #heap: Entry<T>[] = [];
  #pushed = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** When the first item is due, or `NEVER`. */
  get nextAt(): Micros {
    return this.#heap[0]?.at ?? NEVER;
  }

  push(item: T, at: Micros): void {
    const entry = { at, order: this.#pushed++, item };
    let index = this.#heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isEarlier(entry, this.#heap[parent])) break;
      this.#heap[index] = this.#heap[parent];
      index = parent;
    }
    this.#heap[index] = entry;
  }

  /** Takes the first item that is due at `now`; undefined if there is none. */
  pop(now: Micros): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    const last = this.#heap.pop();
    if (last !== undefined && last !== first) this.#sink(last);
    return first.item;
  }

  clear(): void {
    this.#heap.length = 0;
  }

  /** Puts an entry where the first one was, and lets it go down to its place. */
  #sink(entry: Entry<T>): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isEarlier(heap[child + 1], heap[child])) child++;
      if (!isEarlier(heap[child], entry)) break;
      heap[index] = heap[child];
      index = child;
    }
    heap[index] = entry;
  }
}
