// From a packet's addresses and ports to its flow: open addressing with linear probing. An entry is two
// words, a reference and the tuple's whole hash, so that probing, deleting and growing touch no record.
import type { Random } from '../env/random.ts';
import type { RecordForm } from './form.ts';
import { IPV4_KEY_WORDS } from './record.ts';

const SMALLEST = 1_024;
/** Linear probing stays short below this: 1.9 probes a hit, 4.6 a miss at the most on average. */
const LARGEST_LOAD = 0.65;
/** Bits of a hash that choose an entry's home: with the factor, 2 or 3, they fit in a word. */
const HOME_BITS = 28;
/** Places of the old entries that each key added empties while the index grows; it is done before it must grow again. */
const STEP = 32;

/**
 * An index over the two keys of every record of one form. A reference is `slot * 2 + direction`; its key is
 * the record's way of that direction. The home of an entry grows with the upper bits of its hash, so
 * growing walks the old and the new entries in the same order, which caches like. It grows in steps, one with each key
 * that is added, or nobody would be served for as long as a million entries take; until then keys are looked up in
 * both. The places are two or three times a power of two, so that fewer of them stay empty than if they doubled at once.
 *
 * A key's first three words, which are all of an IPv4 key, are handled without a loop.
 */
export class TupleIndex {
  readonly #words: Int32Array;
  /** The same, in the array type of a frame's words: the engine makes faster code of one type. */
  readonly #unsigned: Uint32Array;
  readonly #keyWords: number;
  readonly #slotWords: number;
  /** A table of 256 words for each byte of a key. */
  readonly #random: Int32Array;
  #entries: Entries;
  /** Entries that have not moved yet: those from the place `#moved` on, and some that wrapped around; or none. */
  #old: Entries | undefined;
  #moved = 0;
  #count = 0;

  /**
   * @param words the slots of the table
   * @param reserve keys for which there is room from the start
   */
  constructor(words: Int32Array, form: RecordForm, random: Random, reserve: number) {
    this.#entries = entriesFor(Math.max(SMALLEST, reserve / LARGEST_LOAD));
    this.#words = words;
    this.#unsigned = new Uint32Array(words.buffer);
    this.#keyWords = form.keyWords;
    this.#slotWords = form.slotWords;
    this.#random = Int32Array.from({ length: 4 * form.keyWords * 256 }, () => random.uint32());
  }

  /** Bytes of the index. */
  get bytes(): number {
    return this.#entries.words.byteLength + (this.#old?.words.byteLength ?? 0);
  }

  /**
   * Looks up a key: the words from `key[at]` on, as they lie in a frame.
   * @returns `slot * 2 + direction`, or -1
   */
  find(key: Uint32Array, at: number): number {
    const words = this.#words;
    const entries = this.#entries;
    const pairs = entries.words;
    const isLong = this.#keyWords > IPV4_KEY_WORDS;
    const first = key[at] | 0;
    const second = key[at + 1] | 0;
    const third = key[at + 2] | 0;
    let hash = this.#hashShort(first, second, third);
    if (isLong) hash ^= this.#hashRest(key, at);
    let place = homeOf(entries, hash);
    for (;;) {
      const reference = pairs[2 * place] - 1;
      if (reference < 0)
        return this.#old === undefined ? -1 : this.#findOld(this.#old, hash, key, at);
      if (pairs[2 * place + 1] === hash) {
        const known = this.#keyAt(reference);
        if (
          words[known] === first &&
          words[known + 1] === second &&
          words[known + 2] === third &&
          (!isLong || this.#hasSameRest(known, key, at))
        ) {
          return reference;
        }
      }
      if (++place === entries.places) place = 0;
    }
  }

  /** Looks up a key among the entries that have not moved yet. */
  #findOld(old: Entries, hash: number, key: Uint32Array, at: number): number {
    for (let place = homeOf(old, hash); old.words[2 * place] !== 0; place = after(old, place)) {
      if (old.words[2 * place + 1] !== hash) continue;
      const reference = old.words[2 * place] - 1;
      const known = this.#keyAt(reference);
      let word = 0;
      while (word < this.#keyWords && this.#unsigned[known + word] === key[at + word]) word++;
      if (word === this.#keyWords) return reference;
    }
    return -1;
  }

  /** Adds the key that stands in the records for `reference`, which must not be there yet. */
  add(reference: number): void {
    if (this.#old !== undefined) this.#move(this.#old, STEP);
    if (this.#count + 1 > LARGEST_LOAD * this.#entries.places) this.#grow();
    put(this.#entries, reference + 1, this.#hashOf(reference));
    this.#count++;
  }

  /** Takes a key out; the record must still hold it. */
  remove(reference: number): void {
    const hash = this.#hashOf(reference);
    let entries = this.#entries;
    let place = placeOf(entries, reference, hash);
    if (place < 0 && this.#old !== undefined) {
      entries = this.#old;
      place = placeOf(entries, reference, hash);
    }
    if (place < 0) return;
    takeOut(entries, place);
    this.#count--;
  }

  #keyAt(reference: number): number {
    return (reference >> 1) * this.#slotWords + (reference & 1) * this.#keyWords;
  }

  #hashOf(reference: number): number {
    const words = this.#words;
    const at = this.#keyAt(reference);
    return (
      this.#hashShort(words[at], words[at + 1], words[at + 2]) ^ this.#hashRest(this.#unsigned, at)
    );
  }

  #hasSameRest(known: number, key: Uint32Array, at: number): boolean {
    for (let word = IPV4_KEY_WORDS; word < this.#keyWords; word++) {
      if (this.#unsigned[known + word] !== key[at + word]) return false;
    }
    return true;
  }

  #grow(): void {
    this.#old = this.#entries;
    this.#moved = 0;
    this.#entries = entriesFor(this.#old.places + 1);
    this.#move(this.#old, STEP);
  }

  /** Empties the next `count` places of the old entries. */
  #move(old: Entries, count: number): void {
    const { words, places } = old;
    const end = Math.min(this.#moved + count, places);
    for (let place = this.#moved; place < end; place++) {
      // Others that belong before it move up to a place that is free again.
      while (words[2 * place] !== 0) {
        const stored = words[2 * place];
        const hash = words[2 * place + 1];
        takeOut(old, place);
        put(this.#entries, stored, hash);
      }
    }
    this.#moved = end;
    if (end === places) this.#old = undefined;
  }

  /**
   * Simple tabulation: each byte of the key picks a random word of its own table. Linear probing over it
   * takes constant expected time for any set of keys (Patrascu and Thorup, "The Power of Simple Tabulation
   * Hashing", 2012), so a stranger who does not know the tables cannot choose tuples that collide.
   */
  #hashShort(first: number, second: number, third: number): number {
    const random = this.#random;
    return (
      random[first & 255] ^
      random[256 + ((first >>> 8) & 255)] ^
      random[512 + ((first >>> 16) & 255)] ^
      random[768 + (first >>> 24)] ^
      random[1024 + (second & 255)] ^
      random[1280 + ((second >>> 8) & 255)] ^
      random[1536 + ((second >>> 16) & 255)] ^
      random[1792 + (second >>> 24)] ^
      random[2048 + (third & 255)] ^
      random[2304 + ((third >>> 8) & 255)] ^
      random[2560 + ((third >>> 16) & 255)] ^
      random[2816 + (third >>> 24)]
    );
  }

  /** What the words behind the first three add to the hash: 0 for an IPv4 key. */
  #hashRest(key: Uint32Array, at: number): number {
    const random = this.#random;
    let hash = 0;
    for (let index = IPV4_KEY_WORDS; index < this.#keyWords; index++) {
      const word = key[at + index] | 0;
      const table = 1024 * index;
      hash ^=
        random[table + (word & 255)] ^
        random[table + 256 + ((word >>> 8) & 255)] ^
        random[table + 512 + ((word >>> 16) & 255)] ^
        random[table + 768 + (word >>> 24)];
    }
    return hash;
  }
}

/** `factor << bits` places of two words each: a reference, plus 1 so that 0 is none, and its key's hash. */
interface Entries {
  readonly words: Int32Array;
  readonly places: number;
  readonly factor: number;
  readonly shift: number;
}

/** Entries with at least `places` places, and at most half of that more. */
function entriesFor(places: number): Entries {
  const bits = Math.ceil(Math.log2(places)) - 1;
  const half = 3 * 2 ** (bits - 1);
  const factor = places <= half ? 3 : 2;
  const all = factor === 3 ? half : 2 * 2 ** bits;
  const shift = HOME_BITS - Math.log2(all / factor);
  // The system hands out the pages of a large array when they are first written.
  return { words: new Int32Array(2 * all), places: all, factor, shift };
}

/** Where an entry with this hash is looked for first. */
const homeOf = ({ factor, shift }: Entries, hash: number): number =>
  Math.imul(hash >>> (32 - HOME_BITS), factor) >>> shift;

const after = ({ places }: Entries, place: number): number =>
  place + 1 === places ? 0 : place + 1;

function put(entries: Entries, stored: number, hash: number): void {
  let place = homeOf(entries, hash);
  while (entries.words[2 * place] !== 0) place = after(entries, place);
  entries.words[2 * place] = stored;
  entries.words[2 * place + 1] = hash;
}

/** The place of a reference whose key has this hash; -1 if it is not there. */
function placeOf(entries: Entries, reference: number, hash: number): number {
  const { words } = entries;
  let place = homeOf(entries, hash);
  while (words[2 * place] !== reference + 1) {
    if (words[2 * place] === 0) return -1;
    place = after(entries, place);
  }
  return place;
}

/** Frees a place. Later entries move up, so there are no tombstones. */
function takeOut(entries: Entries, place: number): void {
  const { words } = entries;
  let hole = place;
  for (let next = after(entries, hole); words[2 * next] !== 0; next = after(entries, next)) {
    const home = homeOf(entries, words[2 * next + 1]);
    // An entry may move to the hole if the hole lies between its home and its place.
    if (distanceTo(entries, home, next) < distanceTo(entries, hole, next)) continue;
    words[2 * hole] = words[2 * next];
    words[2 * hole + 1] = words[2 * next + 1];
    hole = next;
  }
  words[2 * hole] = 0;
}

/** Places from `from` on until `to`, around the end if need be. */
const distanceTo = ({ places }: Entries, from: number, to: number): number =>
  to >= from ? to - from : to - from + places;
