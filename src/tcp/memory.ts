// The bytes that all connections of a stack hold together, with a limit, so that no number of strangers makes
// us keep more (Linux: tcp_mem).

const MEBI = 1_048_576;
/** Half of what Linux would take on a machine with 8 GiB. */
export const DEFAULT_MEMORY_LIMIT = 512 * MEBI;

/** Bytes of a block. */
export const BLOCK = 65_536;
/** Free blocks that are kept for the next writer. */
const MAX_FREE_BLOCKS = 64;

export class Memory {
  /** Bytes at most. Above 3/4 of it windows do not grow; at it nothing is kept that came out of order. */
  readonly limit: number;
  readonly #pressure: number;
  readonly #blocks: Uint8Array<ArrayBuffer>[] = [];
  #held = 0;

  constructor(limit: number = DEFAULT_MEMORY_LIMIT) {
    this.limit = limit;
    this.#pressure = (limit / 4) * 3;
  }

  /** Bytes held now. */
  get held(): number {
    return this.#held;
  }

  get isUnderPressure(): boolean {
    return this.#held > this.#pressure;
  }

  get isExhausted(): boolean {
    return this.#held >= this.limit;
  }

  /** @param bytes what is held in addition; negative when it is freed */
  hold(bytes: number): void {
    this.#held += bytes;
  }

  /** A block of `BLOCK` bytes, whatever they are. Fresh ones would keep the garbage collector busy. */
  takeBlock(): Uint8Array<ArrayBuffer> {
    return this.#blocks.pop() ?? Buffer.allocUnsafeSlow(BLOCK);
  }

  /** Takes back a block that nobody refers to any more. */
  giveBlock(block: Uint8Array<ArrayBuffer>): void {
    if (this.#blocks.length < MAX_FREE_BLOCKS) this.#blocks.push(block);
  }
}

/** For buffers that belong to no stack. */
export const unboundedMemory = new Memory(Number.POSITIVE_INFINITY);
