// Deadlines in order: a binary heap that leaves postponed timers where they are until they surface.
import { type Micros, NEVER } from './clock.ts';

/** One deadline that may be moved as often as needed; moving it later costs one store. */
export class Timer {
  /** When it is due, or `NEVER`. */
  at: Micros = NEVER;
  /** The key under which it lies in the heap; at most `at`. */
  queuedAt: Micros = NEVER;
  /** Its place in the heap, or -1. */
  index = -1;
  readonly due: (now: Micros) => void;

  constructor(due: (now: Micros) => void) {
    this.due = due;
  }
}

/** All timers of a host. Nothing here reads a clock: `run` is told the time. */
export class Timers {
  readonly #heap: Timer[] = [];

  /** How many timers are armed or waiting to be discarded. */
  get size(): number {
    return this.#heap.length;
  }

  /** How many timers are armed: the number that a host without work should bring to its minimum. */
  get armed(): number {
    return this.#heap.reduce((count, timer) => count + (timer.at === NEVER ? 0 : 1), 0);
  }

  /** No timer is due before this time; it may be early, never late. */
  get nextAt(): Micros {
    return this.#heap.length > 0 ? this.#heap[0].queuedAt : NEVER;
  }

  /** Arms, moves or (with `NEVER`) disarms a timer. */
  set(timer: Timer, at: Micros): void {
    timer.at = at;
    if (timer.index < 0) {
      if (at === NEVER) return;
      timer.index = this.#heap.length;
      timer.queuedAt = at;
      this.#heap.push(timer);
      this.#up(timer.index);
    } else if (at < timer.queuedAt) {
      timer.queuedAt = at;
      this.#up(timer.index);
    }
  }

  /** Disarms a timer and takes it out at once, so that what it refers to can be freed. */
  remove(timer: Timer): void {
    timer.at = NEVER;
    if (timer.index >= 0) this.#take(timer.index);
  }

  /**
   * Calls the timers due at `now` in the order of their deadlines, not more often than there are timers: one that
   * sets itself again while it runs cannot keep this from coming to an end.
   */
  run(now: Micros): number {
    let ran = 0;
    for (let budget = this.#heap.length; budget > 0; ) {
      const first = this.#heap[0];
      if (first === undefined || first.queuedAt > now) break;
      if (first.at > first.queuedAt) {
        // It was moved later: others may be due before it, though both are due now.
        if (first.at === NEVER) this.#take(0);
        else {
          first.queuedAt = first.at;
          this.#down(0);
        }
        continue;
      }
      this.#take(0);
      first.at = NEVER;
      budget--;
      ran++;
      first.due(now);
    }
    return ran;
  }

  #take(index: number): void {
    const heap = this.#heap;
    const taken = heap[index];
    const last = heap.pop();
    taken.index = -1;
    taken.queuedAt = NEVER;
    if (last === undefined || last === taken) return;
    heap[index] = last;
    last.index = index;
    this.#up(index);
    this.#down(last.index);
  }

  #up(start: number): void {
    const heap = this.#heap;
    const timer = heap[start];
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent].queuedAt <= timer.queuedAt) break;
      heap[index] = heap[parent];
      heap[index].index = index;
      index = parent;
    }
    heap[index] = timer;
    timer.index = index;
  }

  #down(start: number): void {
    const heap = this.#heap;
    const timer = heap[start];
    let index = start;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].queuedAt < heap[child].queuedAt) child++;
      if (heap[child].queuedAt >= timer.queuedAt) break;
      heap[index] = heap[child];
      heap[index].index = index;
      index = child;
    }
    heap[index] = timer;
    timer.index = index;
  }
}
