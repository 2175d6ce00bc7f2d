// A router in front of the members that spreads flows or single packets over them, as ECMP and nftables do: it
// knows next hops by their addresses and asks the link who has them, so a survivor that adopts one gets its share.
import { below, type Random } from '../env/random.ts';
import type { Host } from '../host/host.ts';
import { type Address, fromIpv4, fromIpv6 } from '../ip/address.ts';
import type { Frame } from '../link/frame.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT } from '../wire/layout.ts';

export interface RouterOptions {
  readonly host: Host;
  readonly random: Random;
  /** The addresses that packets go to by way of the members. */
  readonly destinations: ReadonlySet<Address>;
  readonly nextHops: readonly Address[];
  /** Whether each packet chooses for itself. */
  readonly perPacket: boolean;
}

/** Turns a host into the router, by way of its fast path. */
export class Router {
  readonly #options: RouterOptions;

  constructor(options: RouterOptions) {
    this.#options = options;
    options.host.fastPath = this;
  }

  handle(frame: Frame): boolean {
    const { host, destinations, nextHops, perPacket, random } = this.#options;
    const { view } = frame;
    const isIpv6 = ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV6;
    const destination = isIpv6
      ? fromIpv6(ipv6.readAddress(view, NETWORK_AT + ipv6.DESTINATION_AT))
      : fromIpv4(ipv4.destination(view, NETWORK_AT));
    if (!destinations.has(destination)) return false;
    const choice = perPacket
      ? below(random, nextHops.length)
      : hashOf(frame, isIpv6) % nextHops.length;
    host.ip.transmit(frame, host.ip.resolve(nextHops[choice]));
    return true;
  }
}

/** The same for all packets of a flow in one direction. */
function hashOf({ view }: Frame, isIpv6: boolean): number {
  const first = NETWORK_AT + (isIpv6 ? ipv6.SOURCE_AT : ipv4.SOURCE_AT);
  const end = NETWORK_AT + (isIpv6 ? ipv6.IPV6_LENGTH : ipv4.IPV4_LENGTH) + 4;
  let hash = 0;
  for (let at = first; at < end; at += 4) hash = Math.imul(hash ^ view.getUint32(at), 0x9e37_79b1);
  return (hash ^ (hash >>> 15)) >>> 0;
}
