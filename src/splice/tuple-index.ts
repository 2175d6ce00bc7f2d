// From a packet's addresses and ports to its flow: open addressing with linear probing. An entry is two
// words, a reference and the tuple's whole hash, so that probing, deleting and growing touch no record.
import type { Random } from '../env/random.ts';
import * as slots from './slot.ts';

const { SLOT_WORDS } = slots;
/** Words of a key: source, destination, ports. */
const KEY_WORDS = 3;
const SMALLEST = 1_024;
/** Linear probing stays short below this: 1.7 probes a hit, 3.6 a miss at the most on average. */
const LARGEST_LOAD = 0.6;

/**
 * An index over the two keys of every IPv4 record. A reference is `slot * 2 + direction`; its key stands
 * in `words` at `slot * SLOT_WORDS + 3 * direction`. The place of an entry is given by the upper bits of
 * its hash, so growing walks the old and the new entries in the same order, which caches like.
 */
export class Ipv4TupleIndex {
  readonly #words: Int32Array;
  /** A table of 256 words for each of the 12 bytes of a key. */
  readonly #random: Int32Array;
  #entries: Int32Array;
  #mask: number;
  #shift: number;
  #count = 0;

  /** @param reserve keys for which there is room from the start */
  constructor(words: Int32Array, random: Random, reserve: number) {
    const bits = Math.ceil(Math.log2(Math.max(SMALLEST, reserve / LARGEST_LOAD)));
    this.#entries = new Int32Array(2 * 2 ** bits);
    this.#mask = 2 ** bits - 1;
    this.#shift = 32 - bits;
    this.#words = words;
    this.#random = Int32Array.from({ length: 12 * 256 }, () => random.uint32());
  }

  /** Bytes of the index. */
  get bytes(): number {
    return this.#entries.byteLength;
  }

  /**
   * Looks up a packet by the words of its header as they lie in a frame, int32.
   * @returns `slot * 2 + direction`, or -1
   */
  find(source: number, destination: number, ports: number): number {
    const words = this.#words;
    const entries = this.#entries;
    const hash = this.#hash(source, destination, ports);
    for (let place = hash >>> this.#shift; ; place = (place + 1) & this.#mask) {
      const reference = entries[2 * place] - 1;
      if (reference < 0) return -1;
      if (entries[2 * place + 1] !== hash) continue;
      const key = this.#keyAt(reference);
      if (words[key] === source && words[key + 1] === destination && words[key + 2] === ports) {
        return reference;
      }
    }
  }

  /** Adds the key that stands in the records for `reference`, which must not be there yet. */
  add(reference: number): void {
    if (this.#count + 1 > LARGEST_LOAD * (this.#mask + 1)) this.#grow();
    this.#place(reference + 1, this.#hashOf(reference));
    this.#count++;
  }

  /** Takes a key out; the record must still hold it. Later entries move up, so there are no tombstones. */
  remove(reference: number): void {
    const entries = this.#entries;
    const mask = this.#mask;
    let hole = this.#hashOf(reference) >>> this.#shift;
    while (entries[2 * hole] !== reference + 1) {
      if (entries[2 * hole] === 0) return;
      hole = (hole + 1) & mask;
    }
    for (let next = (hole + 1) & mask; entries[2 * next] !== 0; next = (next + 1) & mask) {
      const home = entries[2 * next + 1] >>> this.#shift;
      // An entry may move to the hole if the hole lies between its home and its place.
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      entries[2 * hole] = entries[2 * next];
      entries[2 * hole + 1] = entries[2 * next + 1];
      hole = next;
    }
    entries[2 * hole] = 0;
    this.#count--;
  }

  #keyAt(reference: number): number {
    return (reference >> 1) * SLOT_WORDS + (reference & 1) * KEY_WORDS;
  }

  #hashOf(reference: number): number {
    const key = this.#keyAt(reference);
    return this.#hash(this.#words[key], this.#words[key + 1], this.#words[key + 2]);
  }

  #place(stored: number, hash: number): void {
    let place = hash >>> this.#shift;
    while (this.#entries[2 * place] !== 0) place = (place + 1) & this.#mask;
    this.#entries[2 * place] = stored;
    this.#entries[2 * place + 1] = hash;
  }

  #grow(): void {
    const old = this.#entries;
    this.#entries = new Int32Array(2 * old.length);
    this.#mask = 2 * this.#mask + 1;
    this.#shift--;
    for (let at = 0; at < old.length; at += 2) if (old[at] !== 0) this.#place(old[at], old[at + 1]);
  }

  /**
   * Simple tabulation: each byte of the key picks a random word of its own table. Linear probing over it
   * takes constant expected time for any set of keys (Patrascu and Thorup, "The Power of Simple Tabulation
   * Hashing", 2012), so a stranger who does not know the tables cannot choose tuples that collide.
   */
  #hash(source: number, destination: number, ports: number): number {
    const random = this.#random;
    return (
      random[source & 255] ^
      random[256 + ((source >>> 8) & 255)] ^
      random[512 + ((source >>> 16) & 255)] ^
      random[768 + (source >>> 24)] ^
      random[1024 + (destination & 255)] ^
      random[1280 + ((destination >>> 8) & 255)] ^
      random[1536 + ((destination >>> 16) & 255)] ^
      random[1792 + (destination >>> 24)] ^
      random[2048 + (ports & 255)] ^
      random[2304 + ((ports >>> 8) & 255)] ^
      random[2560 + ((ports >>> 16) & 255)] ^
      random[2816 + (ports >>> 24)]
    );
  }
}
