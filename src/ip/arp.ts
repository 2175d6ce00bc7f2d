// ARP (RFC 826): answers for the addresses that we own, asks for those that we need, and announces
// addresses that we take over (RFC 5227, section 3).
import type { Micros } from '../env/clock.ts';
import { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import { ETHERNET_AT, FRAME_CAPACITY, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as virtio from '../wire/virtio.ts';
import { type Address, fromIpv4, toIpv4 } from './address.ts';
import type { NeighbourCache } from './neighbours.ts';

export interface ArpCounters {
  requestsIn: number;
  repliesIn: number;
  malformed: number;
  sent: number;
  /** Somebody else claimed an address of ours. */
  conflicts: number;
}

export interface ArpOptions {
  link: Link;
  mac: ethernet.Mac;
  /** True for an address that we answer for. */
  owns: (address: Address) => boolean;
  /** The address to ask from. */
  sourceFor: (target: Address) => Address | undefined;
}

export class Arp {
  readonly counters: ArpCounters = {
    requestsIn: 0,
    repliesIn: 0,
    malformed: 0,
    sent: 0,
    conflicts: 0,
  };
  readonly #options: ArpOptions;
  readonly #frame = new Frame(Math.min(FRAME_CAPACITY, NETWORK_AT + arp.ARP_LENGTH));

  constructor(options: ArpOptions) {
    this.#options = options;
  }

  receive(frame: Frame, neighbours: NeighbourCache, now: Micros): void {
    const { view, end } = frame;
    if (!arp.isValid(view, NETWORK_AT, end)) {
      this.counters.malformed++;
      return;
    }
    const mac = arp.senderMac(view, NETWORK_AT);
    const sender = arp.senderAddress(view, NETWORK_AT);
    const target = fromIpv4(arp.targetAddress(view, NETWORK_AT));
    if (ethernet.isGroup(mac) || mac === this.#options.mac) return;
    const request = arp.operation(view, NETWORK_AT) === arp.REQUEST;
    if (request) this.counters.requestsIn++;
    else this.counters.repliesIn++;
    // RFC 826 merges what is known already; only who asks for us is worth a new entry. A probe
    // (RFC 5227) comes from 0.0.0.0 and says nothing about its sender.
    const forUs = this.#options.owns(target);
    if (sender !== 0) {
      if (this.#options.owns(fromIpv4(sender))) this.counters.conflicts++;
      else neighbours.learn(fromIpv4(sender), mac, request && forUs, now);
    }
    if (request && forUs) this.#send(arp.REPLY, toIpv4(target), mac, sender, mac);
  }

  /** Asks who has `target`; straight to `knownMac` when it is only to be confirmed. */
  solicit(target: Address, knownMac: ethernet.Mac | undefined): void {
    const from = this.#options.sourceFor(target);
    if (from === undefined) return;
    this.#send(arp.REQUEST, toIpv4(from), 0, toIpv4(target), knownMac ?? ethernet.BROADCAST);
  }

  /** Tells everybody on the link that `address` is here now. */
  announce(address: Address): void {
    const value = toIpv4(address);
    this.#send(arp.REQUEST, value, 0, value, ethernet.BROADCAST);
    // Some hosts take a move from a reply only.
    this.#send(arp.REPLY, value, ethernet.BROADCAST, value, ethernet.BROADCAST);
  }

  #send(
    kind: number,
    from: number,
    toMac: ethernet.Mac,
    to: number,
    destination: ethernet.Mac,
  ): void {
    const { view } = this.#frame;
    virtio.clear(view, VIRTIO_AT);
    ethernet.write(view, ETHERNET_AT, destination, this.#options.mac, ethernet.TYPE_ARP);
    arp.write(view, NETWORK_AT, kind, this.#options.mac, from, toMac, to);
    this.#frame.end = NETWORK_AT + arp.ARP_LENGTH;
    this.counters.sent++;
    this.#options.link.send(this.#frame);
  }
}
