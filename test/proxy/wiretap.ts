// A link that shows every TCP segment that its host sends.
import { type Address, formatEndpoint, fromIpv4, fromIpv6 } from '../../src/ip/address.ts';
import type { Frame } from '../../src/link/frame.ts';
import type { Link, LinkCounters } from '../../src/link/link.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';

/** A TCP segment on the wire; addresses as text with their ports. */
export interface Seen {
  readonly from: string;
  readonly to: string;
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly length: number;
}

export class Wiretap implements Link {
  readonly #link: Link;
  readonly #seen: (segment: Seen) => void;

  constructor(link: Link, seen: (segment: Seen) => void) {
    this.#link = link;
    this.#seen = seen;
  }

  get mtu(): number {
    return this.#link.mtu;
  }

  get offload(): boolean {
    return this.#link.offload;
  }

  get counters(): LinkCounters {
    return this.#link.counters;
  }

  receive(frame: Frame): boolean {
    return this.#link.receive(frame);
  }

  send(frame: Frame): boolean {
    const segment = read(frame);
    if (segment !== undefined) this.#seen(segment);
    return this.#link.send(frame);
  }

  wait(timeout: number): Promise<void> {
    return this.#link.wait(timeout);
  }

  close(): void {
    this.#link.close();
  }
}

function read({ view, end }: Frame): Seen | undefined {
  const isIpv6 = ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV6;
  if (!isIpv6 && ethernet.type(view, ETHERNET_AT) !== ethernet.TYPE_IPV4) return undefined;
  const protocol = isIpv6 ? ipv6.nextHeader(view, NETWORK_AT) : ipv4.protocol(view, NETWORK_AT);
  if (protocol !== ipv4.PROTOCOL_TCP) return undefined;
  const at = NETWORK_AT + (isIpv6 ? ipv6.IPV6_LENGTH : ipv4.IPV4_LENGTH);
  const source = isIpv6
    ? fromIpv6(ipv6.readAddress(view, NETWORK_AT + ipv6.SOURCE_AT))
    : fromIpv4(ipv4.source(view, NETWORK_AT));
  const destination = isIpv6
    ? fromIpv6(ipv6.readAddress(view, NETWORK_AT + ipv6.DESTINATION_AT))
    : fromIpv4(ipv4.destination(view, NETWORK_AT));
  const sourcePort = tcp.sourcePort(view, at);
  const destinationPort = tcp.destinationPort(view, at);
  return {
    from: formatEndpoint({ address: source, port: sourcePort }),
    to: formatEndpoint({ address: destination, port: destinationPort }),
    source,
    destination,
    sourcePort,
    destinationPort,
    seq: tcp.seq(view, at),
    ack: tcp.ack(view, at),
    flags: tcp.flags(view, at),
    length: end - at - tcp.headerLength(view, at, end),
  };
}
