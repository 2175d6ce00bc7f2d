// A link that shows every TCP segment that its host sends.
import { type Address, formatEndpoint, fromIpv4, fromIpv6 } from '../ip/address.ts';
import type { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import { LinkWrapper } from '../link/wrapper.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';

/** A TCP segment on the wire. One that is shown is valid until the next. */
export class Seen {
  source: Address = fromIpv4(0);
  destination: Address = fromIpv4(0);
  sourcePort = 0;
  destinationPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** Bytes of its payload. */
  length = 0;

  /** Its ends as text, with their ports. */
  get from(): string {
    return formatEndpoint({ address: this.source, port: this.sourcePort });
  }

  get to(): string {
    return formatEndpoint({ address: this.destination, port: this.destinationPort });
  }

  /** Reads what a frame holds; false if that is no TCP segment. */
  read({ view, end }: Frame): boolean {
    const type = ethernet.type(view, ETHERNET_AT);
    const isIpv6 = type === ethernet.TYPE_IPV6;
    if (!isIpv6 && type !== ethernet.TYPE_IPV4) return false;
    const protocol = isIpv6 ? ipv6.nextHeader(view, NETWORK_AT) : ipv4.protocol(view, NETWORK_AT);
    if (protocol !== ipv4.PROTOCOL_TCP) return false;
    const at = NETWORK_AT + (isIpv6 ? ipv6.IPV6_LENGTH : ipv4.IPV4_LENGTH);
    if (isIpv6) {
      this.source = fromIpv6(ipv6.readAddress(view, NETWORK_AT + ipv6.SOURCE_AT));
      this.destination = fromIpv6(ipv6.readAddress(view, NETWORK_AT + ipv6.DESTINATION_AT));
    } else {
      this.source = fromIpv4(ipv4.source(view, NETWORK_AT));
      this.destination = fromIpv4(ipv4.destination(view, NETWORK_AT));
    }
    this.sourcePort = tcp.sourcePort(view, at);
    this.destinationPort = tcp.destinationPort(view, at);
    this.seq = tcp.seq(view, at);
    this.ack = tcp.ack(view, at);
    this.flags = tcp.flags(view, at);
    this.length = end - at - tcp.headerLength(view, at, end);
    return true;
  }
}

export class Wiretap extends LinkWrapper {
  readonly #seen: (segment: Seen) => void;
  readonly #segment = new Seen();

  /** @param seen called before the segment is sent; it must not send anything itself */
  constructor(link: Link, seen: (segment: Seen) => void) {
    super(link);
    this.#seen = seen;
  }

  override send(frame: Frame): boolean {
    if (this.#segment.read(frame)) this.#seen(this.#segment);
    return super.send(frame);
  }
}
