// Which connection a segment belongs to: by both ends' addresses and ports.
import type { Address, Endpoint } from '../ip/address.ts';

/** What is found by its two ends. */
export interface Flow {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

const SMALLEST = 16;

/**
 * A hash table with open addressing (linear probing, at most half full, no tombstones), for what a `Map` is
 * bad at: entries that come and go all the time. See `Roster` for why.
 */
export class FlowMap<T extends Flow> {
  readonly #seed: number;
  #flows: (T | undefined)[] = new Array(SMALLEST);
  #hashes = new Int32Array(SMALLEST);
  #size = 0;

  /** @param seed unknown to strangers, so that they cannot choose flows that collide; any integer */
  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  get size(): number {
    return this.#size;
  }

  get(local: Address, localPort: number, remote: Address, remotePort: number): T | undefined {
    const hash = this.#hash(local, localPort, remote, remotePort);
    return this.#flows[this.#find(hash, local, localPort, remote, remotePort)];
  }

  /** Enters a flow, unless there is one with the same ends already; true if it was entered. */
  add(flow: T): boolean {
    if (2 * this.#size >= this.#flows.length) this.#grow();
    const hash = this.#hashOf(flow);
    const slot = this.#slotOf(flow, hash);
    if (this.#flows[slot] !== undefined) return false;
    this.#flows[slot] = flow;
    this.#hashes[slot] = hash;
    this.#size++;
    return true;
  }

  /** Takes a flow out; false if it is not in here, or another with the same ends is. */
  delete(flow: T): boolean {
    const slot = this.#slotOf(flow, this.#hashOf(flow));
    if (this.#flows[slot] !== flow) return false;
    this.#size--;
    this.#close(slot);
    return true;
  }

  /** Every flow, in no order. Flows may be deleted by whoever walks over a copy, not meanwhile. */
  *values(): IterableIterator<T> {
    for (const flow of this.#flows) if (flow !== undefined) yield flow;
  }

  /** The slot of a flow with these ends, or the free one where it belongs. */
  #find(
    hash: number,
    local: Address,
    localPort: number,
    remote: Address,
    remotePort: number,
  ): number {
    const flows = this.#flows;
    const mask = flows.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const flow = flows[slot];
      if (flow === undefined) return slot;
      if (
        this.#hashes[slot] === hash &&
        flow.remote.port === remotePort &&
        flow.local.port === localPort &&
        flow.remote.address === remote &&
        flow.local.address === local
      ) {
        return slot;
      }
    }
  }

  #slotOf({ local, remote }: Flow, hash: number): number {
    return this.#find(hash, local.address, local.port, remote.address, remote.port);
  }

  /** Frees a slot, and moves what its flow had pushed on back towards where it belongs. */
  #close(slot: number): void {
    const flows = this.#flows;
    const hashes = this.#hashes;
    const mask = flows.length - 1;
    let free = slot;
    for (let next = (free + 1) & mask; flows[next] !== undefined; next = (next + 1) & mask) {
      // It may move if the free slot lies between where it belongs and where it is.
      if (((next - hashes[next]) & mask) < ((next - free) & mask)) continue;
      flows[free] = flows[next];
      hashes[free] = hashes[next];
      free = next;
    }
    flows[free] = undefined;
  }

  #grow(): void {
    const flows = this.#flows;
    const hashes = this.#hashes;
    const mask = 2 * flows.length - 1;
    this.#flows = new Array(2 * flows.length);
    this.#hashes = new Int32Array(2 * flows.length);
    for (let from = 0; from < flows.length; from++) {
      if (flows[from] === undefined) continue;
      let slot = hashes[from] & mask;
      while (this.#flows[slot] !== undefined) slot = (slot + 1) & mask;
      this.#flows[slot] = flows[from];
      this.#hashes[slot] = hashes[from];
    }
  }

  #hashOf({ local, remote }: Flow): number {
    return this.#hash(local.address, local.port, remote.address, remote.port);
  }

  #hash(local: Address, localPort: number, remote: Address, remotePort: number): number {
    let hash = mixAddress(mixAddress(this.#seed, local), remote);
    hash = mix(hash, (localPort << 16) | remotePort);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
    return hash ^ (hash >>> 13);
  }
}

const mix = (hash: number, word: number): number => {
  const mixed = Math.imul(hash ^ word, 0x9e37_79b1);
  return mixed ^ (mixed >>> 15);
};

function mixAddress(hash: number, address: Address): number {
  if (typeof address === 'number') return mix(hash, address);
  let mixed = hash;
  for (let at = 0; at < address.length; at += 2) {
    mixed = mix(mixed, (address.charCodeAt(at) << 8) | address.charCodeAt(at + 1));
  }
  return mixed;
}
