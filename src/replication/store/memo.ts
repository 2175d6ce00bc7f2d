// What was found out about flows that nobody here knows, for a short while: bounded, whatever strangers send.
import type { Micros } from '../../env/clock.ts';
import type { Random } from '../../env/random.ts';
import { type SipKey, siphash } from '../../tcp/siphash.ts';

const BITS = 13;
/** Words of an IPv6 way. */
const MAX_WORDS = 9;

/** Nothing is known, or no longer. */
export const NOTHING = 0;
/** The store is being asked. */
export const ASKED = 1;
/** Nobody has it. */
export const UNKNOWN = 2;
/** It is another cluster's. */
export const FOREIGN = 3;
/** From here on: the member that may take it back, by its number. */
export const MEMBER = 4;

/** One place for each value of a hash: a newer entry takes the place of an older one. */
export class Memo {
  readonly #keys: readonly [SipKey, SipKey];
  readonly #words = new Uint32Array(MAX_WORDS);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  readonly #marks = new Uint32Array(2 ** BITS);
  readonly #until = new Float64Array(2 ** BITS);
  readonly #findings = new Uint16Array(2 ** BITS);

  constructor(random: Random) {
    const key = (): SipKey => Uint32Array.from({ length: 4 }, () => random.uint32());
    this.#keys = [key(), key()];
  }

  /** @param way addresses and ports of a flow's packets; a multiple of 4 bytes, 36 at most */
  get(way: Uint8Array, now: Micros): number {
    const place = this.#place(way);
    return this.#marks[place] === this.#mark(way.length) && this.#until[place] > now
      ? this.#findings[place]
      : NOTHING;
  }

  set(way: Uint8Array, finding: number, until: Micros): void {
    const place = this.#place(way);
    this.#marks[place] = this.#mark(way.length);
    this.#until[place] = until;
    this.#findings[place] = finding;
  }

  #place(way: Uint8Array): number {
    this.#bytes.set(way);
    return siphash(this.#keys[0], this.#words, way.length / 4) >>> (32 - BITS);
  }

  /** Of the way that `#place` was asked for. */
  #mark(bytes: number): number {
    return siphash(this.#keys[1], this.#words, bytes / 4) >>> 0;
  }
}
