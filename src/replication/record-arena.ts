// Room for records that come and go: bytes side by side, found by their flow and, for each owner, in the order in
// which they came. Nothing is allocated while it need not grow.
import { flowHash } from './flow-hash.ts';
import { MAX_MEMBERS } from './member.ts';
import { MAX_RECORD_BYTES } from './messages.ts';

const FIRST_CAPACITY = 256;
const NONE = -1;

/** A place is a number that holds until it is removed. Owners are members' ids. */
export class RecordArena {
  readonly #seed: number;
  #size = 0;
  #serial = 0;
  #capacity = FIRST_CAPACITY;
  #bytes = new Uint8Array(FIRST_CAPACITY * MAX_RECORD_BYTES);
  #lengths = new Uint8Array(FIRST_CAPACITY);
  /** Bytes of the flow that a place is found by; 0: it is not found by one. */
  #flowLengths = new Uint8Array(FIRST_CAPACITY);
  #owners = new Uint8Array(FIRST_CAPACITY);
  #ranks = new Uint8Array(FIRST_CAPACITY);
  #states = new Uint8Array(FIRST_CAPACITY);
  /** Places in use by state. */
  readonly #counts = new Uint32Array(256);
  #tickets = new Uint32Array(FIRST_CAPACITY);
  #datagrams = new Uint32Array(FIRST_CAPACITY);
  #serials = new Float64Array(FIRST_CAPACITY);
  /** The places of one bucket; of the free ones, too. */
  #chain = new Int32Array(FIRST_CAPACITY);
  /** Those of one owner, from the oldest on. */
  #newer = new Int32Array(FIRST_CAPACITY);
  #older = new Int32Array(FIRST_CAPACITY);
  #buckets = new Int32Array(FIRST_CAPACITY).fill(NONE);
  readonly #oldestOf = new Int32Array(MAX_MEMBERS).fill(NONE);
  readonly #newestOf = new Int32Array(MAX_MEMBERS).fill(NONE);
  #free = NONE;
  /** Places below this one were used. */
  #high = 0;

  /** @param seed of the hash of flows */
  constructor(seed: number) {
    this.#seed = seed;
  }

  get size(): number {
    return this.#size;
  }

  /** Grows with every `add`. */
  get serial(): number {
    return this.#serial;
  }

  /** The lowest serial of what is here; infinity if nothing is. */
  get oldest(): number {
    let oldest = Number.POSITIVE_INFINITY;
    if (this.#size === 0) return oldest;
    for (const place of this.#oldestOf) {
      if (place !== NONE) oldest = Math.min(oldest, this.#serials[place]);
    }
    return oldest;
  }

  /** The serial of what is at a place; 0 for nothing. */
  serialOf(place: number): number {
    return this.#serials[place];
  }

  /**
   * Keeps `bytes`.
   * @param flowLength how many of them are the flow that they are found by; 0 if they are not to be found
   */
  add(
    owner: number,
    ticket: number,
    rank: number,
    state: number,
    bytes: Uint8Array,
    flowLength: number,
  ): number {
    if (this.#free === NONE && this.#high === this.#capacity) this.#grow();
    let place = this.#free;
    if (place === NONE) place = this.#high++;
    else this.#free = this.#chain[place];
    this.#size++;
    this.#bytes.set(bytes, place * MAX_RECORD_BYTES);
    this.#lengths[place] = bytes.length;
    this.#flowLengths[place] = flowLength;
    this.#owners[place] = owner;
    this.#ranks[place] = rank;
    this.#states[place] = state;
    this.#counts[state]++;
    this.#tickets[place] = ticket;
    this.#datagrams[place] = 0;
    this.#serials[place] = ++this.#serial;
    if (flowLength > 0) this.#link(place);
    const newest = this.#newestOf[owner];
    this.#older[place] = newest;
    this.#newer[place] = NONE;
    if (newest === NONE) this.#oldestOf[owner] = place;
    else this.#newer[newest] = place;
    this.#newestOf[owner] = place;
    return place;
  }

  remove(place: number): void {
    this.#counts[this.#states[place]]--;
    if (this.#flowLengths[place] > 0) this.#unlink(place);
    const owner = this.#owners[place];
    const older = this.#older[place];
    const newer = this.#newer[place];
    if (older === NONE) this.#oldestOf[owner] = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newestOf[owner] = older;
    else this.#older[newer] = older;
    this.#serials[place] = 0;
    this.#chain[place] = this.#free;
    this.#free = place;
    this.#size--;
  }

  clear(): void {
    this.#size = this.#high = 0;
    this.#counts.fill(0);
    this.#free = NONE;
    this.#buckets.fill(NONE);
    this.#oldestOf.fill(NONE);
    this.#newestOf.fill(NONE);
  }

  /** The first place whose bytes begin with the first `length` bytes of `flow`, or -1. */
  first(flow: Uint8Array, length: number): number {
    return this.#matching(this.#buckets[this.#bucketOf(flow, 0, length)], flow, length);
  }

  /** The one after `place`; ask before `place` is removed. */
  next(place: number, flow: Uint8Array, length: number): number {
    return this.#matching(this.#chain[place], flow, length);
  }

  /** The place that an owner has had longest, or -1. */
  oldestOf(owner: number): number {
    return this.#oldestOf[owner];
  }

  /** The bytes of a place: a view that holds until the next `add` or `remove`. */
  record(place: number): Uint8Array {
    const at = place * MAX_RECORD_BYTES;
    return this.#bytes.subarray(at, at + this.#lengths[place]);
  }

  equals(place: number, bytes: Uint8Array): boolean {
    if (this.#lengths[place] !== bytes.length) return false;
    const at = place * MAX_RECORD_BYTES;
    for (let index = 0; index < bytes.length; index++) {
      if (this.#bytes[at + index] !== bytes[index]) return false;
    }
    return true;
  }

  owner(place: number): number {
    return this.#owners[place];
  }

  rank(place: number): number {
    return this.#ranks[place];
  }

  ticket(place: number): number {
    return this.#tickets[place];
  }

  state(place: number): number {
    return this.#states[place];
  }

  /** How many places are in this state, a number below 256. */
  count(state: number): number {
    return this.#counts[state];
  }

  setState(place: number, state: number): void {
    this.#counts[this.#states[place]]--;
    this.#counts[state]++;
    this.#states[place] = state;
  }

  datagram(place: number): number {
    return this.#datagrams[place];
  }

  setDatagram(place: number, datagram: number): void {
    this.#datagrams[place] = datagram;
  }

  #matching(from: number, flow: Uint8Array, length: number): number {
    let place = from;
    while (place !== NONE && !this.#begins(place, flow, length)) place = this.#chain[place];
    return place;
  }

  #begins(place: number, flow: Uint8Array, length: number): boolean {
    if (this.#flowLengths[place] !== length) return false;
    const at = place * MAX_RECORD_BYTES;
    for (let index = 0; index < length; index++) {
      if (this.#bytes[at + index] !== flow[index]) return false;
    }
    return true;
  }

  #link(place: number): void {
    const bucket = this.#bucketOf(this.#bytes, place * MAX_RECORD_BYTES, this.#flowLengths[place]);
    this.#chain[place] = this.#buckets[bucket];
    this.#buckets[bucket] = place;
  }

  #unlink(place: number): void {
    const bucket = this.#bucketOf(this.#bytes, place * MAX_RECORD_BYTES, this.#flowLengths[place]);
    let before = this.#buckets[bucket];
    if (before === place) {
      this.#buckets[bucket] = this.#chain[place];
      return;
    }
    while (this.#chain[before] !== place) before = this.#chain[before];
    this.#chain[before] = this.#chain[place];
  }

  #bucketOf(bytes: Uint8Array, at: number, length: number): number {
    return flowHash(bytes, at, length, this.#seed) & (this.#capacity - 1);
  }

  #grow(): void {
    const to = this.#capacity * 2;
    this.#bytes = grown(this.#bytes, new Uint8Array(to * MAX_RECORD_BYTES));
    this.#lengths = grown(this.#lengths, new Uint8Array(to));
    this.#flowLengths = grown(this.#flowLengths, new Uint8Array(to));
    this.#owners = grown(this.#owners, new Uint8Array(to));
    this.#ranks = grown(this.#ranks, new Uint8Array(to));
    this.#states = grown(this.#states, new Uint8Array(to));
    this.#tickets = grown(this.#tickets, new Uint32Array(to));
    this.#datagrams = grown(this.#datagrams, new Uint32Array(to));
    this.#serials = grown(this.#serials, new Float64Array(to));
    this.#chain = grown(this.#chain, new Int32Array(to));
    this.#newer = grown(this.#newer, new Int32Array(to));
    this.#older = grown(this.#older, new Int32Array(to));
    this.#capacity = to;
    // Every place is in use, or there would be no need to grow.
    this.#buckets = new Int32Array(to).fill(NONE);
    for (let place = 0; place < this.#high; place++) {
      if (this.#flowLengths[place] > 0) this.#link(place);
    }
  }
}

function grown<T extends Uint8Array | Uint32Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
