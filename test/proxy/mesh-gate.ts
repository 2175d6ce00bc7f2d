// A link that loses some of what its host says to other members, and nothing else.
import type { Frame } from '../../src/link/frame.ts';
import type { Link, LinkCounters } from '../../src/link/link.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';

export class MeshGate implements Link {
  readonly #link: Link;
  readonly #passes: (destination: number) => boolean;

  /** @param passes asked with the IPv4 address of each datagram; false: it is lost */
  constructor(link: Link, passes: (destination: number) => boolean) {
    this.#link = link;
    this.#passes = passes;
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
    const { view } = frame;
    const isDatagram =
      ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV4 &&
      ipv4.protocol(view, NETWORK_AT) === ipv4.PROTOCOL_UDP;
    if (isDatagram && !this.#passes(ipv4.destination(view, NETWORK_AT))) return true;
    return this.#link.send(frame);
  }

  wait(timeout: number): Promise<void> {
    return this.#link.wait(timeout);
  }

  close(): void {
    this.#link.close();
  }
}
