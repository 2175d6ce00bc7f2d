// Bytes that were written and are not yet acknowledged: the writer's own chunks, not copied until they go
// into a frame, unless they are so small that their objects would outweigh them.
import type { Frame } from '../link/frame.ts';
import { BLOCK, type Memory, unboundedMemory } from './memory.ts';

/** Chunks below this size are gathered in blocks while others wait. */
const SMALL = 1_024;
const GATHERED = 16_384;
/** From here on a copy goes into a block of the pool; shorter ones would waste too much of it. */
const WORTH_A_BLOCK = BLOCK / 4;

/** Offsets count from the oldest unacknowledged byte. */
export class SendBuffer {
  #chunks: Uint8Array[] = [];
  /** The block of the pool that the chunk of the same index fills, if there is any such chunk. */
  #pooled: (Uint8Array<ArrayBuffer> | undefined)[] | undefined;
  #first = 0;
  /** Bytes of the first chunk that are acknowledged already. */
  #skip = 0;
  #length = 0;
  // Where the last copy ended, since the next one nearly always starts there.
  #cursorChunk = 0;
  #cursorOffset = 0;
  #block: Uint8Array<ArrayBuffer> | undefined;
  #blockUsed = 0;
  readonly #memory: Memory;

  constructor(memory: Memory = unboundedMemory) {
    this.#memory = memory;
  }

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  /** Takes bytes over; the caller must not change them any more. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#length += bytes.length;
    this.#memory.hold(bytes.length);
    if (bytes.length < SMALL && this.#chunks.length > 0) this.#gather(bytes);
    else this.#chunks.push(bytes);
  }

  /** Appends bytes that the caller may change afterwards. */
  copy(bytes: Uint8Array): void {
    let from = 0;
    for (let left = bytes.length; left >= WORTH_A_BLOCK; left = bytes.length - from) {
      const size = Math.min(left, BLOCK);
      const block = this.#memory.takeBlock();
      const part = bytes.subarray(from, from + size);
      block.set(part);
      this.#pooled ??= [];
      this.#pooled[this.#chunks.length] = block;
      this.append(size === BLOCK ? block : block.subarray(0, size));
      from += size;
    }
    if (from < bytes.length) this.append(Uint8Array.prototype.slice.call(bytes, from));
  }

  #gather(bytes: Uint8Array): void {
    const last = this.#chunks.length - 1;
    const tail = this.#chunks[last];
    let block = this.#block;
    if (block !== undefined && tail.buffer === block.buffer) {
      const end = this.#blockUsed + bytes.length;
      if (end <= block.length) {
        block.set(bytes, this.#blockUsed);
        this.#blockUsed = end;
        this.#chunks[last] = block.subarray(tail.byteOffset, end);
        return;
      }
    }
    block = new Uint8Array(GATHERED);
    block.set(bytes);
    this.#block = block;
    this.#blockUsed = bytes.length;
    this.#chunks.push(block.subarray(0, bytes.length));
  }

  /** Copies `length` bytes from `offset` on into a frame. They must be there. */
  copyTo(frame: Frame, at: number, offset: number, length: number): void {
    let index = this.#first;
    let start = -this.#skip;
    if (this.#cursorChunk > this.#first && this.#cursorOffset <= offset) {
      index = this.#cursorChunk;
      start = this.#cursorOffset;
    }
    while (start + this.#chunks[index].length <= offset) start += this.#chunks[index++].length;
    let to = at;
    let from = offset - start;
    let left = length;
    while (left > 0) {
      const chunk = this.#chunks[index];
      const part = Math.min(left, chunk.length - from);
      const whole = from === 0 && part === chunk.length;
      frame.bytes.set(whole ? chunk : chunk.subarray(from, from + part), to);
      to += part;
      left -= part;
      if (left === 0) break;
      start += chunk.length;
      from = 0;
      index++;
    }
    this.#cursorChunk = index;
    this.#cursorOffset = start;
  }

  /** Forgets the first `count` bytes. */
  release(count: number): void {
    this.#length -= count;
    this.#memory.hold(-count);
    this.#skip += count;
    this.#cursorOffset -= count;
    while (this.#first < this.#chunks.length && this.#skip >= this.#chunks[this.#first].length) {
      this.#skip -= this.#chunks[this.#first].length;
      if (this.#pooled !== undefined) this.#giveBack(this.#pooled, this.#first);
      // The slot must not keep the bytes alive.
      this.#chunks[this.#first++] = NOTHING;
    }
    if (this.#first === this.#chunks.length) {
      if (this.#first > 0) this.#chunks.length = 0;
      this.#pooled = undefined;
      this.#block = undefined;
      this.#first = 0;
      this.#cursorChunk = 0;
    } else if (this.#first >= 64 && 2 * this.#first >= this.#chunks.length) {
      this.#chunks.splice(0, this.#first);
      this.#pooled?.splice(0, this.#first);
      this.#cursorChunk -= this.#first;
      this.#first = 0;
    }
  }

  #giveBack(pooled: (Uint8Array<ArrayBuffer> | undefined)[], index: number): void {
    const block = pooled[index];
    if (block !== undefined) this.#memory.giveBlock(block);
    pooled[index] = undefined;
  }

  clear(): void {
    if (this.#pooled !== undefined) {
      for (let i = this.#first; i < this.#pooled.length; i++) this.#giveBack(this.#pooled, i);
      this.#pooled = undefined;
    }
    this.#chunks = [];
    this.#block = undefined;
    this.#first = 0;
    this.#skip = 0;
    this.#memory.hold(-this.#length);
    this.#length = 0;
    this.#cursorChunk = 0;
    this.#cursorOffset = 0;
  }
}

const NOTHING = new Uint8Array(0);
