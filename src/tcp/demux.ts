// Which connection a segment belongs to: by both ends' addresses and ports.
import { type Address, type Endpoint, endpointKey } from '../ip/address.ts';

/** What is found by its two ends. */
export interface Flow {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

type Key = number | string;

/** A map with two levels, so that no key has to be built from four parts. */
export class FlowMap<T extends Flow> {
  readonly #flows = new Map<Key, Map<Key, T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(local: Address, localPort: number, remote: Address, remotePort: number): T | undefined {
    return this.#flows.get(endpointKey(local, localPort))?.get(endpointKey(remote, remotePort));
  }

  /** Enters a flow, unless there is one with the same ends already; true if it was entered. */
  add(flow: T): boolean {
    const { local, remote } = flow;
    const localKey = endpointKey(local.address, local.port);
    const remoteKey = endpointKey(remote.address, remote.port);
    let peers = this.#flows.get(localKey);
    if (peers === undefined) {
      peers = new Map();
      this.#flows.set(localKey, peers);
    }
    if (peers.has(remoteKey)) return false;
    peers.set(remoteKey, flow);
    this.#size++;
    return true;
  }

  /** Takes a flow out; false if it is not in here, or another with the same ends is. */
  delete(flow: T): boolean {
    const { local, remote } = flow;
    const localKey = endpointKey(local.address, local.port);
    const peers = this.#flows.get(localKey);
    const remoteKey = endpointKey(remote.address, remote.port);
    if (peers?.get(remoteKey) !== flow) return false;
    peers.delete(remoteKey);
    if (peers.size === 0) this.#flows.delete(localKey);
    this.#size--;
    return true;
  }

  /** Every flow, in no order. */
  *values(): IterableIterator<T> {
    for (const peers of this.#flows.values()) yield* peers.values();
  }
}
