// The IPv6 groups that a host is in (RFC 4291, section 2.8): all nodes, and for each of its addresses the
// solicited-node group.

import type { Mac } from '../wire/ethernet.ts';
import { groupMac } from '../wire/ndp.ts';
import { type Address, fromIpv6, toIpv6 } from './address.ts';

export const ALL_NODES = fromIpv6('\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01');
export const ALL_ROUTERS = fromIpv6('\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x02');
export const UNSPECIFIED_IPV6 = fromIpv6('\0'.repeat(16));

/** The group in which the owner of `address` is asked for (RFC 4291, section 2.7.1). */
export const solicitedNode = (address: Address): Address =>
  fromIpv6(`\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff${toIpv6(address).slice(13)}`);

/** The MAC that a group's packets go to (RFC 2464, section 7). */
export function macOfGroup(group: Address): Mac {
  const bytes = toIpv6(group);
  let last = 0;
  for (let i = 12; i < 16; i++) last = last * 256 + bytes.charCodeAt(i);
  return groupMac(last);
}

/** The link-local address of an interface, made from its MAC (RFC 4291, appendix A; RFC 2464, section 5). */
export function linkLocalAddress(mac: Mac): Address {
  const bytes = mac.toString(16).padStart(12, '0').match(/../g) ?? [];
  const [a, b, c, d, e, f] = bytes.map((byte) => Number.parseInt(byte, 16));
  return fromIpv6(`\xfe\x80\0\0\0\0\0\0${String.fromCharCode(a ^ 2, b, c, 0xff, 0xfe, d, e, f)}`);
}

/** The groups of a host, with how many of its addresses want each. */
export class Groups {
  readonly #groups = new Map<Address, number>();
  readonly #macs = new Set<Mac>();

  has(group: Address): boolean {
    return this.#groups.has(group);
  }

  /** True if frames to this group MAC may be for one of our groups. */
  hears(mac: Mac): boolean {
    return this.#macs.has(mac);
  }

  /** The groups themselves, in no order. */
  all(): IterableIterator<Address> {
    return this.#groups.keys();
  }

  /** @returns true if the group is new */
  join(group: Address): boolean {
    const count = this.#groups.get(group) ?? 0;
    this.#groups.set(group, count + 1);
    this.#macs.add(macOfGroup(group));
    return count === 0;
  }

  /** @returns true if nobody is in the group any more */
  leave(group: Address): boolean {
    const count = this.#groups.get(group) ?? 0;
    if (count > 1) {
      this.#groups.set(group, count - 1);
      return false;
    }
    this.#groups.delete(group);
    // Two groups may share a MAC.
    this.#macs.clear();
    for (const each of this.#groups.keys()) this.#macs.add(macOfGroup(each));
    return true;
  }
}
