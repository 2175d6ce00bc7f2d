// What has arrived: bytes in order that wait for the reader, and bytes out of order that wait for a gap.
//
// Out-of-order bytes lie in a ring, at the place that their sequence number gives them. It is as large as the
// numbers that it spans, so that no pattern of small segments costs more than the window.
import { Ranges } from './ranges.ts';
import { advance, distance, isBefore, later } from './sequence.ts';

/** Chunks below this size are gathered in one block, so that tiny segments do not cost an object each. */
const BLOCK = 16_384;
const MAX_RANGES = 64;
/** The smallest ring. All are powers of two, which divide the sequence space: a place survives its wrap. */
const MIN_RING = 32_768;

export class ReceiveBuffer {
  /** The ranges beyond the next expected number that have arrived. */
  readonly gaps = new Ranges(MAX_RANGES);
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #block: Uint8Array<ArrayBuffer> | undefined;
  #blockUsed = 0;
  #ring: Uint8Array<ArrayBuffer> | undefined;

  /** Bytes in order that wait for the reader. */
  get length(): number {
    return this.#length;
  }

  /** Appends bytes in order; they are copied. */
  append(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (size === 0) return;
    this.#length += size;
    if (size >= BLOCK / 2) {
      this.#chunks.push(bytes.slice(start, end));
      return;
    }
    const last = this.#chunks.at(-1);
    const block = this.#block;
    const room = block !== undefined && this.#blockUsed + size <= block.length;
    if (block !== undefined && room && last?.buffer === block.buffer) {
      block.set(bytes.subarray(start, end), this.#blockUsed);
      this.#blockUsed += size;
      this.#chunks[this.#chunks.length - 1] = block.subarray(last.byteOffset, this.#blockUsed);
      return;
    }
    // A short message alone must not pin a whole block.
    const fresh = new Uint8Array(last === undefined ? size : BLOCK);
    fresh.set(bytes.subarray(start, end));
    this.#block = fresh;
    this.#blockUsed = size;
    this.#chunks.push(fresh.subarray(0, size));
  }

  /** The next bytes in order, at most `max`; undefined if there are none. They are the reader's then. */
  read(max = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    const chunk = this.#chunks[0];
    if (chunk === undefined || max <= 0) return undefined;
    if (chunk.length <= max) {
      this.#chunks.shift();
      if (this.#chunks.length === 0) this.#block = undefined;
      this.#length -= chunk.length;
      return chunk;
    }
    this.#chunks[0] = chunk.subarray(max);
    this.#length -= max;
    return chunk.subarray(0, max);
  }

  /**
   * Keeps bytes that came ahead of `next`. False if they make one gap too many and were not kept.
   * The caller has cut them to the window.
   */
  store(bytes: Uint8Array, start: number, end: number, seq: number): boolean {
    const ring = this.#roomFor(seq, advance(seq, end - start));
    if (!this.gaps.add(seq, advance(seq, end - start))) return false;
    place(ring, seq, bytes, start, end);
    return true;
  }

  /** Moves what follows `next` without a gap to the reader; the new next expected number. */
  take(next: number): number {
    this.gaps.dropBefore(next);
    if (this.gaps.count === 0 || this.gaps.start(0) !== next || this.#ring === undefined) {
      if (this.gaps.count === 0) this.#ring = undefined;
      return next;
    }
    const end = this.gaps.end(0);
    const size = distance(end, next);
    const from = next % this.#ring.length;
    const first = Math.min(size, this.#ring.length - from);
    this.append(this.#ring, from, from + first);
    this.append(this.#ring, 0, size - first);
    this.gaps.dropBefore(end);
    if (this.gaps.count === 0) this.#ring = undefined;
    return end;
  }

  clear(): void {
    if (this.#length > 0) this.#chunks.length = 0;
    this.#length = 0;
    this.#block = undefined;
    this.#ring = undefined;
    this.gaps.clear();
  }

  /** A ring in which `[start, end)` finds a place beside what is kept already. */
  #roomFor(start: number, end: number): Uint8Array<ArrayBuffer> {
    const { gaps } = this;
    let first = start;
    let last = end;
    if (gaps.count > 0) {
      if (isBefore(gaps.start(0), first)) first = gaps.start(0);
      last = later(gaps.end(gaps.count - 1), last);
    }
    const old = this.#ring;
    const span = distance(last, first);
    if (old !== undefined && span <= old.length) return old;
    const ring = new Uint8Array(Math.max(MIN_RING, 2 ** Math.ceil(Math.log2(span))));
    for (let i = 0; old !== undefined && i < gaps.count; i++) {
      const size = distance(gaps.end(i), gaps.start(i));
      const from = gaps.start(i) % old.length;
      const part = Math.min(size, old.length - from);
      place(ring, gaps.start(i), old, from, from + part);
      place(ring, advance(gaps.start(i), part), old, 0, size - part);
    }
    this.#ring = ring;
    return ring;
  }
}

/** Copies `bytes[start, end)` to where the sequence number `seq` lies in a ring. */
function place(ring: Uint8Array, seq: number, bytes: Uint8Array, start: number, end: number): void {
  const at = seq % ring.length;
  const first = Math.min(end - start, ring.length - at);
  ring.set(bytes.subarray(start, start + first), at);
  if (first < end - start) ring.set(bytes.subarray(start + first, end), 0);
}
