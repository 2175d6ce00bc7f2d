import type { LabEvent } from './event.ts';

/** Events kept for those who come late or are slow; older ones are dropped. */
const KEPT = 10_000;

/**
 * The events of a lab. Each loop over it begins with those kept and ends when the lab has ended; one
 * that lags too far misses the oldest.
 */
export class EventLog implements AsyncIterable<LabEvent> {
  readonly #kept: LabEvent[] = [];
  /** Number of events that were dropped from the front. */
  #dropped = 0;
  #ended = false;
  #wake = Promise.withResolvers<void>();

  add(event: LabEvent): void {
    this.#kept.push(event);
    // Rarely and many at a time: moving the array costs as much as its length.
    if (this.#kept.length >= 2 * KEPT) {
      this.#kept.splice(0, KEPT);
      this.#dropped += KEPT;
    }
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LabEvent, void, undefined> {
    let next = this.#dropped;
    for (;;) {
      next = Math.max(next, this.#dropped);
      if (next - this.#dropped < this.#kept.length) {
        yield this.#kept[next++ - this.#dropped];
      } else if (this.#ended) {
        return;
      } else {
        await this.#wake.promise;
      }
    }
  }

  #notify(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
