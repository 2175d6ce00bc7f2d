// The path MTU of destinations whose paths take less than the link (RFC 1191, RFC 8201): bounded, and
// forgotten after a while, so that a path that grew is found out.
import { type Micros, SECOND } from '../env/clock.ts';
import { MINIMUM_MTU } from '../wire/ipv6.ts';
import type { Address } from './address.ts';

/** As Linux (mtu_expires); RFC 1191, section 6.3 and RFC 8201, section 4 recommend it. */
const LIFETIME: Micros = 600 * SECOND;
const CAPACITY = 1_024;
/** Linux' min_pmtu: what claims less is believed to take this, and its packets may be fragmented. */
export const MINIMUM_PATH_MTU = 552;

interface Path {
  readonly mtu: number;
  readonly until: Micros;
  /** True if the path takes less than we are willing to send: no DF on the way (IPv4). */
  readonly fragments: boolean;
}

export class PathMtus {
  readonly #paths = new Map<Address, Path>();

  /** How many destinations are known; most hosts have none. */
  get size(): number {
    return this.#paths.size;
  }

  /** The path's MTU in bytes, or `link` if nothing less is known. */
  get(destination: Address, link: number, now: Micros): number {
    if (this.#paths.size === 0) return link;
    const path = this.#current(destination, now);
    return path === undefined ? link : Math.min(path.mtu, link);
  }

  /** True if packets to this destination must not forbid their fragmentation. */
  fragments(destination: Address, now: Micros): boolean {
    return this.#paths.size > 0 && this.#current(destination, now)?.fragments === true;
  }

  /**
   * Takes what a router said about a packet of ours. It can only lower what is known.
   * @param mtu bytes of an IP packet
   * @param link the link's MTU
   */
  learn(destination: Address, mtu: number, link: number, now: Micros): void {
    if (mtu >= this.get(destination, link, now)) return;
    const least = typeof destination === 'number' ? MINIMUM_PATH_MTU : MINIMUM_MTU;
    this.#paths.delete(destination);
    this.#paths.set(destination, {
      mtu: Math.max(mtu, least),
      until: now + LIFETIME,
      fragments: mtu < least,
    });
    if (this.#paths.size <= CAPACITY) return;
    for (const oldest of this.#paths.keys()) {
      this.#paths.delete(oldest);
      return;
    }
  }

  #current(destination: Address, now: Micros): Path | undefined {
    const path = this.#paths.get(destination);
    if (path === undefined || now < path.until) return path;
    this.#paths.delete(destination);
    return undefined;
  }
}

/** MTUs of common links (RFC 1191, section 7.1), for routers that do not say their own. */
const PLATEAUS = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];

/** The next smaller plateau below the length of a packet that was too big. */
export const plateauBelow = (length: number): number =>
  PLATEAUS.find((plateau) => plateau < length) ?? PLATEAUS[PLATEAUS.length - 1];
