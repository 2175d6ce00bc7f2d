// The addresses that are ours, those that we answer for among neighbours, and the groups that come with them.
import { isGroup as isGroupMac, type Mac } from '../wire/ethernet.ts';
import { type Address, isGroup, isLinkLocal, toIpv6 } from './address.ts';
import { ALL_NODES, Groups, solicitedNode } from './multicast.ts';

const IPV6_GROUPS = 0x3333;
const HIGH = 2 ** 32;
const LINK_SCOPE = 2;

export class LocalAddresses {
  /** Told of groups that we join and leave. */
  onGroup: ((group: Address, joined: boolean) => void) | undefined;
  /** True for those that we answer ARP and neighbour solicitations for. */
  readonly #addresses = new Map<Address, boolean>();
  readonly #groups = new Groups();

  /** True for an address of ours. */
  has(address: Address): boolean {
    return this.#addresses.has(address);
  }

  owns(address: Address): boolean {
    return this.#addresses.get(address) === true;
  }

  /** True for a group that we are in. */
  isMember(group: Address): boolean {
    return this.#groups.has(group);
  }

  groups(): IterableIterator<Address> {
    return this.#groups.all();
  }

  add(address: Address, answer: boolean): void {
    const owned = this.owns(address);
    this.#addresses.set(address, answer);
    if (answer && !owned) this.listen(address);
    else if (!answer && owned) this.unlisten(address);
  }

  remove(address: Address): void {
    if (this.owns(address)) this.unlisten(address);
    this.#addresses.delete(address);
  }

  /** Hears what is asked about an IPv6 address, ours or not yet. */
  listen(address: Address): void {
    if (typeof address === 'number') return;
    for (const group of [ALL_NODES, solicitedNode(address)]) {
      if (this.#groups.join(group)) this.onGroup?.(group, true);
    }
  }

  unlisten(address: Address): void {
    if (typeof address === 'number') return;
    for (const group of [ALL_NODES, solicitedNode(address)]) {
      if (this.#groups.leave(group)) this.onGroup?.(group, false);
    }
  }

  /** True if frames to a group MAC are heard: broadcast, IPv4 groups, and the IPv6 groups that we are in. */
  hears(mac: Mac): boolean {
    if (!isGroupMac(mac)) return false;
    return Math.floor(mac / HIGH) !== IPV6_GROUPS || this.#groups.hears(mac);
  }

  /**
   * The address of ours to talk to `target` from: of its family, and of its scope if there is one (RFC 6724,
   * section 5, rule 2).
   */
  sourceFor(target: Address): Address | undefined {
    let other: Address | undefined;
    for (const [address, answered] of this.#addresses) {
      if (!answered || typeof address !== typeof target) continue;
      if (typeof address === 'number' || isLinkLocal(address) === isOnLinkOnly(target)) {
        return address;
      }
      other ??= address;
    }
    return other;
  }
}

/** True for what means something on one link only: link-local addresses and groups (RFC 4291, section 2.7). */
function isOnLinkOnly(target: Address): boolean {
  if (!isGroup(target)) return isLinkLocal(target);
  return (toIpv6(target).charCodeAt(1) & 0x0f) === LINK_SCOPE;
}
