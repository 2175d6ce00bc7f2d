// A host's cable as if behind a router that sends each packet, those of one connection too, to a member by chance.
import { type Address, fromIpv4, fromIpv6 } from '../../src/ip/address.ts';
import type { Frame } from '../../src/link/frame.ts';
import type { Link } from '../../src/link/link.ts';
import { LinkWrapper } from '../../src/link/wrapper.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';

/** Where a packet goes: a MAC, `lost`, or undefined for where its sender wants it to go. */
export type Choice = ethernet.Mac | 'lost' | undefined;

export class Sprayer extends LinkWrapper {
  readonly #choose: (destination: Address) => Choice;

  constructor(link: Link, choose: (destination: Address) => Choice) {
    super(link);
    this.#choose = choose;
  }

  override send(frame: Frame): boolean {
    const destination = destinationOf(frame);
    const choice = destination === undefined ? undefined : this.#choose(destination);
    if (choice === 'lost') return true;
    if (choice !== undefined) ethernet.writeMac(frame.view, ETHERNET_AT, choice);
    return super.send(frame);
  }
}

function destinationOf({ view }: Frame): Address | undefined {
  const type = ethernet.type(view, ETHERNET_AT);
  if (type === ethernet.TYPE_IPV4) return fromIpv4(ipv4.destination(view, NETWORK_AT));
  if (type !== ethernet.TYPE_IPV6) return undefined;
  return fromIpv6(ipv6.readAddress(view, NETWORK_AT + ipv6.DESTINATION_AT));
}
