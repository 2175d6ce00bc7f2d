// What has arrived: bytes in order that wait for the reader, and bytes out of order that wait for a gap.
//
// Out-of-order bytes lie in pages, at the place that their sequence number gives them. A page is made when its
// first byte comes, so that no pattern of small segments costs more than the window, and one byte at the far
// end of a window does not cost all of it.
import { BLOCK, type Memory, unboundedMemory } from './memory.ts';
import { Ranges } from './ranges.ts';
import { advance, distance } from './sequence.ts';

/** Chunks below this size are gathered in one block, so that tiny segments do not cost an object each. */
const GATHERED = 16_384;
const MAX_RANGES = 1_024;
/** Bytes of a page: a power of two, which divides the sequence space, so that places survive its wrap. */
const PAGE_BITS = 13;
const PAGE = 1 << PAGE_BITS;
const PAGE_MASK = PAGE - 1;
/** Ranges whose order of arrival is remembered: what a SACK option has room for. */
const RECENT = 4;

export class ReceiveBuffer {
  /** The ranges beyond the next expected number that have arrived. */
  readonly gaps = new Ranges(MAX_RANGES);
  #memory: Memory;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #block: Uint8Array<ArrayBuffer> | undefined;
  #blockUsed = 0;
  /** Pages by the upper bits of the sequence numbers that they hold. */
  #pages: Map<number, Uint8Array<ArrayBuffer>> | undefined;
  /** A number in each of the ranges that came last, the latest first. */
  #recent: Uint32Array | undefined;
  #recentCount = 0;

  constructor(memory: Memory = unboundedMemory) {
    this.#memory = memory;
  }

  /** Bytes in order that wait for the reader. */
  get length(): number {
    return this.#length;
  }

  /** Ranges whose order of arrival is known, 0 to 4. */
  get recentCount(): number {
    return this.#recentCount;
  }

  /** A sequence number in the range that came `index` before the latest. */
  recent(index: number): number {
    return this.#recent === undefined ? 0 : this.#recent[index];
  }

  /** Appends bytes in order; they are copied. */
  append(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (size === 0) return;
    this.#length += size;
    this.#memory.hold(size);
    if (size >= GATHERED / 2) {
      const chunk =
        size >= BLOCK / 2
          ? this.#memory.takeBlock().subarray(0, size)
          : Buffer.allocUnsafeSlow(size);
      chunk.set(bytes.subarray(start, end));
      this.#chunks.push(chunk);
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
    const fresh = new Uint8Array(last === undefined ? size : GATHERED);
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
      this.#taken(chunk.length);
      return chunk;
    }
    this.#chunks[0] = chunk.subarray(max);
    this.#taken(max);
    return chunk.subarray(0, max);
  }

  /** Passes all bytes in order to `sink`, which must not keep them, and forgets them; their number. */
  drain(sink: (bytes: Uint8Array) => void): number {
    const before = this.#length;
    for (let chunk = this.read(); chunk !== undefined; chunk = this.read()) {
      sink(chunk);
      // Part of a block may be somebody's already who has read it, and then another offset is left.
      const { buffer, byteOffset } = chunk;
      if (buffer.byteLength === BLOCK && byteOffset === 0 && buffer instanceof ArrayBuffer) {
        this.#memory.giveBlock(new Uint8Array(buffer));
      }
    }
    return before;
  }

  #taken(bytes: number): void {
    this.#length -= bytes;
    this.#memory.hold(-bytes);
  }

  /**
   * Keeps bytes that came ahead of what is expected. False if they make one gap too many and were not kept.
   * The caller has cut them to the window.
   */
  store(bytes: Uint8Array, start: number, end: number, seq: number): boolean {
    const last = advance(seq, end - start);
    if (!this.gaps.add(seq, last)) return false;
    this.#noteRecent(seq);
    this.#pages ??= new Map();
    let from = start;
    let at = seq;
    while (from < end) {
      const part = Math.min(end - from, PAGE - (at & PAGE_MASK));
      this.#page(this.#pages, at).set(bytes.subarray(from, from + part), at & PAGE_MASK);
      from += part;
      at = advance(at, part);
    }
    return true;
  }

  /** Moves what follows `next` without a gap to the reader; the new next expected number. */
  take(next: number): number {
    const { gaps } = this;
    gaps.dropBefore(next);
    let end = next;
    if (gaps.count > 0 && gaps.start(0) === next) {
      end = gaps.end(0);
      let at = next;
      while (at !== end) {
        const from = at & PAGE_MASK;
        const part = Math.min(distance(end, at), PAGE - from);
        const page = this.#pages?.get(at >>> PAGE_BITS);
        if (page === undefined) throw new Error('bytes that were kept are gone');
        this.append(page, from, from + part);
        at = advance(at, part);
      }
      gaps.dropBefore(end);
    }
    this.#freePages(end);
    return end;
  }

  /** Forgets what came out of order. */
  dropGaps(): void {
    this.gaps.clear();
    this.#freePages(0);
  }

  /** The connection is over: what is left to be read is the reader's own affair. */
  disown(): void {
    this.dropGaps();
    this.#memory.hold(-this.#length);
    this.#memory = unboundedMemory;
  }

  clear(): void {
    if (this.#length > 0) {
      this.#chunks.length = 0;
      this.#taken(this.#length);
    }
    this.#block = undefined;
    this.dropGaps();
  }

  /** The new range that holds `seq` is the latest; what has become part of it is forgotten. */
  #noteRecent(seq: number): void {
    this.#recent ??= new Uint32Array(RECENT);
    const recent = this.#recent;
    const latest = this.gaps.indexOf(seq);
    let kept = 0;
    let carried = seq;
    for (let i = 0; i < this.#recentCount; i++) {
      const index = this.gaps.indexOf(recent[i]);
      if (index < 0 || index === latest) continue;
      const moved = recent[i];
      recent[kept++] = carried;
      carried = moved;
    }
    if (kept < RECENT) recent[kept++] = carried;
    this.#recentCount = kept;
  }

  #page(pages: Map<number, Uint8Array<ArrayBuffer>>, seq: number): Uint8Array<ArrayBuffer> {
    const key = seq >>> PAGE_BITS;
    let page = pages.get(key);
    if (page === undefined) {
      page = new Uint8Array(PAGE);
      pages.set(key, page);
      this.#memory.hold(PAGE);
    }
    return page;
  }

  /** Frees the pages of which nothing at or beyond `next` is kept. */
  #freePages(next: number): void {
    const pages = this.#pages;
    if (pages === undefined) return;
    if (this.gaps.count === 0) {
      this.#memory.hold(-PAGE * pages.size);
      this.#pages = undefined;
      this.#recentCount = 0;
      return;
    }
    for (const key of pages.keys()) {
      // The last number of the page, counted from what is expected.
      if (distance((key << PAGE_BITS) | PAGE_MASK, next) >= 0) continue;
      pages.delete(key);
      this.#memory.hold(-PAGE);
    }
  }
}
