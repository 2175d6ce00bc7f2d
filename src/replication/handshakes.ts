/**
 * Handshakes that one member has begun: the SYNs that it answered, as the message SYN tells them, until they are known
 * to be complete. The last 1,024 of them; a newer one takes the place of the oldest, so that strangers cannot fill
 * memory with SYNs.
 */
import type { Micros } from '../env/clock.ts';
import { flowHash } from './flow-hash.ts';
import { MAX_SYN_BYTES, synFlowAt, synFlowLength, synHeaderAt } from './messages.ts';

/** A power of two. */
const CAPACITY = 1_024;
const STRIDE = (MAX_SYN_BYTES + 7) & ~7;
const NONE = -1;
/** Where a TCP header has its sequence number. */
const SEQ_AT = 4;

export class Handshakes {
  /** What the messages said, each where `at` says. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(CAPACITY * STRIDE);
  readonly view: DataView<ArrayBuffer> = new DataView(this.bytes.buffer);
  readonly #seed: number;
  /** 0: it is over. */
  readonly #lengths = new Uint8Array(CAPACITY);
  readonly #notedAt = new Float64Array(CAPACITY);
  readonly #tries = new Uint8Array(CAPACITY);
  /** Places whose flows have one hash. */
  readonly #chain = new Int16Array(CAPACITY).fill(NONE);
  readonly #buckets = new Int16Array(CAPACITY).fill(NONE);
  #next = 0;
  #open = 0;

  /** @param seed of the hash of flows, which strangers choose */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** How many are not over. */
  get open(): number {
    return this.#open;
  }

  /** They are numbered in their order: from this one, the oldest that is still here, ... */
  get first(): number {
    return Math.max(0, this.#next - CAPACITY);
  }

  /** ... to the one before this. */
  get next(): number {
    return this.#next;
  }

  /**
   * Notes the SYN whose message lies at `at` in `view`, in the place of an earlier one of its flow.
   * @param length bytes of the message's payload, at most `MAX_SYN_BYTES`
   * @param tries how often it was answered unasked before this
   */
  note(view: DataView, at: number, length: number, now: Micros, tries = 0): void {
    const place = this.#next % CAPACITY;
    const to = place * STRIDE;
    if (this.#lengths[place] > 0) this.#remove(place);
    for (let byte = 0; byte < length; byte++) this.bytes[to + byte] = view.getUint8(at + byte);
    const flowLength = synFlowLength(this.view, to);
    const bucket = this.#bucketOf(this.bytes, synFlowAt(to), flowLength);
    const before = this.#find(bucket, this.bytes, synFlowAt(to), flowLength);
    if (before !== NONE) this.#remove(before);
    this.#lengths[place] = length;
    this.#notedAt[place] = now;
    this.#tries[place] = tries;
    this.#chain[place] = this.#buckets[bucket];
    this.#buckets[bucket] = place;
    this.#next++;
    this.#open++;
  }

  /** The handshake of a flow is complete, or will never be. */
  end(flow: Uint8Array): void {
    if (this.#open === 0) return;
    const number = this.find(flow);
    if (number >= 0) this.close(number);
  }

  /** The number of a flow's handshake, or -1. */
  find(flow: Uint8Array): number {
    const place = this.#find(this.#bucketOf(flow, 0, flow.length), flow, 0, flow.length);
    // Numbers of one place are a whole round apart.
    return place === NONE ? -1 : this.#next - 1 - ((this.#next - 1 - place) % CAPACITY);
  }

  /** The same for a number. */
  close(number: number): void {
    if (this.isOpen(number)) this.#remove(number % CAPACITY);
  }

  isOpen(number: number): boolean {
    return number >= this.first && number < this.#next && this.#lengths[number % CAPACITY] > 0;
  }

  /** Where it lies in `bytes`, and how many they are. */
  at(number: number): number {
    return (number % CAPACITY) * STRIDE;
  }

  length(number: number): number {
    return this.#lengths[number % CAPACITY];
  }

  /** The flow that it is about; valid until the next `note`. */
  flow(number: number): Uint8Array {
    const at = this.at(number);
    return this.bytes.subarray(synFlowAt(at), synHeaderAt(this.view, at));
  }

  /** The client's initial sequence number. */
  irs(number: number): number {
    return this.view.getUint32(synHeaderAt(this.view, this.at(number)) + SEQ_AT);
  }

  notedAt(number: number): Micros {
    return this.#notedAt[number % CAPACITY];
  }

  /** How often it was answered unasked before it was noted. */
  tries(number: number): number {
    return this.#tries[number % CAPACITY];
  }

  #find(bucket: number, bytes: Uint8Array, flowAt: number, flowLength: number): number {
    let place = this.#buckets[bucket];
    while (place !== NONE && !this.#isOf(place, bytes, flowAt, flowLength)) {
      place = this.#chain[place];
    }
    return place;
  }

  #isOf(place: number, bytes: Uint8Array, flowAt: number, flowLength: number): boolean {
    const at = place * STRIDE;
    if (synFlowLength(this.view, at) !== flowLength) return false;
    for (let byte = 0; byte < flowLength; byte++) {
      if (this.bytes[synFlowAt(at) + byte] !== bytes[flowAt + byte]) return false;
    }
    return true;
  }

  #remove(place: number): void {
    const at = place * STRIDE;
    const bucket = this.#bucketOf(this.bytes, synFlowAt(at), synFlowLength(this.view, at));
    let before = this.#buckets[bucket];
    if (before === place) this.#buckets[bucket] = this.#chain[place];
    else {
      while (this.#chain[before] !== place) before = this.#chain[before];
      this.#chain[before] = this.#chain[place];
    }
    this.#lengths[place] = 0;
    this.#open--;
  }

  #bucketOf(bytes: Uint8Array, at: number, length: number): number {
    return flowHash(bytes, at, length, this.#seed) & (CAPACITY - 1);
  }
}
