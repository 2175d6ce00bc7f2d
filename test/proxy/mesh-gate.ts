// A link that loses some of what its host says to other members, and nothing else.
import type { Frame } from '../../src/link/frame.ts';
import type { Link } from '../../src/link/link.ts';
import { LinkWrapper } from '../../src/link/wrapper.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';

export class MeshGate extends LinkWrapper {
  readonly #passes: (destination: number) => boolean;

  /** @param passes asked with the IPv4 address of each datagram; false: it is lost */
  constructor(link: Link, passes: (destination: number) => boolean) {
    super(link);
    this.#passes = passes;
  }

  override send(frame: Frame): boolean {
    const { view } = frame;
    const isDatagram =
      ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV4 &&
      ipv4.protocol(view, NETWORK_AT) === ipv4.PROTOCOL_UDP;
    if (isDatagram && !this.#passes(ipv4.destination(view, NETWORK_AT))) return true;
    return super.send(frame);
  }
}
