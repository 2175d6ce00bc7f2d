// What was sent and is not acknowledged yet, in order of sequence: one entry for what left together (a segment,
// or a train of them), split only where the peer's reports or a retransmission ask for it. Typed arrays,
// lent to a connection while it has something in flight: an idle one has none.
import type { Micros } from '../../env/clock.ts';
import { isAfter } from '../sequence.ts';

/** The peer has reported it (RFC 2018). */
export const SACKED = 1;
/** A retransmission of it is in flight. */
export const RETRANS = 2;
/** It is taken for lost. */
export const LOST = 4;
/** It was sent again at least once. */
export const EVER_RETRANS = 8;
/** Its last segment carries PSH. */
export const PUSHED = 16;
/** A record of the user ends with it: it is not joined with what follows. */
export const RECORD_END = 32;

const INITIAL = 16;
/** Larger arrays are not kept for others. */
const KEPT_CAPACITY = 1_024;
const KEPT_QUEUES = 256;

/** Entries are numbered from 0, the one at SND.UNA; a split or merge moves what lies behind. */
export class SentQueue {
  count = 0;
  #head = 0;
  #capacity: number;
  #starts: Uint32Array<ArrayBuffer>;
  #lengths: Uint32Array<ArrayBuffer>;
  #segments: Uint16Array<ArrayBuffer>;
  #flags: Uint8Array<ArrayBuffer>;
  #times: Float64Array<ArrayBuffer>;
  #delivered: Uint32Array<ArrayBuffer>;

  constructor(capacity = INITIAL) {
    this.#capacity = capacity;
    this.#starts = new Uint32Array(capacity);
    this.#lengths = new Uint32Array(capacity);
    this.#segments = new Uint16Array(capacity);
    this.#flags = new Uint8Array(capacity);
    this.#times = new Float64Array(capacity);
    this.#delivered = new Uint32Array(capacity);
  }

  get capacity(): number {
    return this.#capacity;
  }

  start(index: number): number {
    return this.#starts[this.#head + index];
  }

  /** Sequence numbers, a FIN among them. */
  length(index: number): number {
    return this.#lengths[this.#head + index];
  }

  end(index: number): number {
    const at = this.#head + index;
    return (this.#starts[at] + this.#lengths[at]) >>> 0;
  }

  segments(index: number): number {
    return this.#segments[this.#head + index];
  }

  flags(index: number): number {
    return this.#flags[this.#head + index];
  }

  /** When it was sent last. */
  sentAt(index: number): Micros {
    return this.#times[this.#head + index];
  }

  /** `RecoveryState.delivered` when it was sent last. */
  delivered(index: number): number {
    return this.#delivered[this.#head + index];
  }

  setFlags(index: number, flags: number): void {
    this.#flags[this.#head + index] = flags;
  }

  setSegments(index: number, segments: number): void {
    this.#segments[this.#head + index] = segments;
  }

  setSent(index: number, now: Micros, delivered: number): void {
    this.#times[this.#head + index] = now;
    this.#delivered[this.#head + index] = delivered;
  }

  push(
    start: number,
    length: number,
    segments: number,
    flags: number,
    now: Micros,
    delivered: number,
  ): void {
    this.#reserve();
    const at = this.#head + this.count++;
    this.#starts[at] = start;
    this.#lengths[at] = length;
    this.#segments[at] = segments;
    this.#flags[at] = flags;
    this.#times[at] = now;
    this.#delivered[at] = delivered;
  }

  /** Splits an entry: its first `length` numbers, `segments` segments, stay in it, the rest becomes the next. */
  split(index: number, length: number, segments: number): void {
    this.#reserve();
    const at = this.#head + index;
    const end = this.#head + this.count;
    this.#starts.copyWithin(at + 1, at, end);
    this.#lengths.copyWithin(at + 1, at, end);
    this.#segments.copyWithin(at + 1, at, end);
    this.#flags.copyWithin(at + 1, at, end);
    this.#times.copyWithin(at + 1, at, end);
    this.#delivered.copyWithin(at + 1, at, end);
    this.count++;
    this.#lengths[at] = length;
    this.#segments[at] = segments;
    // What marks the end of something stays with the end.
    this.#flags[at] &= ~(PUSHED | RECORD_END);
    this.#starts[at + 1] = this.#starts[at] + length;
    this.#lengths[at + 1] -= length;
    this.#segments[at + 1] = Math.max(1, this.#segments[at + 1] - segments);
  }

  /** Joins an entry with the next; `segments` is what the two count together. */
  merge(index: number, segments: number, flags: number): void {
    const at = this.#head + index;
    const end = this.#head + this.count;
    this.#lengths[at] += this.#lengths[at + 1];
    this.#segments[at] = segments;
    this.#flags[at] = flags;
    this.#starts.copyWithin(at + 1, at + 2, end);
    this.#lengths.copyWithin(at + 1, at + 2, end);
    this.#segments.copyWithin(at + 1, at + 2, end);
    this.#flags.copyWithin(at + 1, at + 2, end);
    this.#times.copyWithin(at + 1, at + 2, end);
    this.#delivered.copyWithin(at + 1, at + 2, end);
    this.count--;
  }

  /** Forgets the first entry. */
  shift(): void {
    this.#head++;
    if (--this.count === 0) this.#head = 0;
  }

  /** Cuts `length` acknowledged numbers off the first entry, of which `segments` segments stay. */
  trim(length: number, segments: number): void {
    const at = this.#head;
    this.#starts[at] += length;
    this.#lengths[at] -= length;
    this.#segments[at] = segments;
  }

  /** The first entry that ends behind `seq`; `count` if none does. */
  find(seq: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isAfter(this.end(middle), seq)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  clear(): void {
    this.count = 0;
    this.#head = 0;
  }

  #reserve(): void {
    const end = this.#head + this.count;
    if (end < this.#capacity) return;
    if (this.#head >= this.#capacity >> 1) this.#moveTo(this);
    else {
      const larger = new SentQueue(2 * this.#capacity);
      this.#moveTo(larger);
      this.#capacity = larger.#capacity;
      this.#starts = larger.#starts;
      this.#lengths = larger.#lengths;
      this.#segments = larger.#segments;
      this.#flags = larger.#flags;
      this.#times = larger.#times;
      this.#delivered = larger.#delivered;
    }
    this.#head = 0;
  }

  #moveTo(target: SentQueue): void {
    const from = this.#head;
    const to = from + this.count;
    target.#starts.set(this.#starts.subarray(from, to));
    target.#lengths.set(this.#lengths.subarray(from, to));
    target.#segments.set(this.#segments.subarray(from, to));
    target.#flags.set(this.#flags.subarray(from, to));
    target.#times.set(this.#times.subarray(from, to));
    target.#delivered.set(this.#delivered.subarray(from, to));
  }
}

/** What a connection has while nothing is in flight; nothing may be pushed to it. */
export const NOTHING_SENT = new SentQueue(0);

/** The queues of one stack that no connection uses. */
export class SentQueues {
  readonly #free: SentQueue[] = [];

  take(): SentQueue {
    return this.#free.pop() ?? new SentQueue();
  }

  give(queue: SentQueue): void {
    if (queue.capacity > KEPT_CAPACITY || this.#free.length >= KEPT_QUEUES) return;
    queue.clear();
    this.#free.push(queue);
  }
}
