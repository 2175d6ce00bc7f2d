// A host on a scripted link, for the tests of what lies below TCP.
import { MILLISECOND, type Micros } from '../../src/env/clock.ts';
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { type Address, parsePrefix } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import { type Link, linkCounters } from '../../src/link/link.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { address } from '../sim/hosts.ts';

export const OURS = address('10.0.0.1');
export const SERVICE = address('192.0.2.80');
export const NEIGHBOUR = address('10.0.0.2');
export const GATEWAY = address('10.0.0.254');
export const OUR_MAC = 0x0200_0000_0001;
export const NEIGHBOUR_MAC = 0x0200_0000_0002;
export const BODY = NETWORK_AT + ipv4.IPV4_LENGTH;

class Script implements Link {
  readonly mtu = 1_500;
  readonly offload: boolean;
  readonly counters = linkCounters();
  readonly incoming: Frame[] = [];
  readonly outgoing: Frame[] = [];

  constructor(offload: boolean) {
    this.offload = offload;
  }

  receive(frame: Frame): boolean {
    const next = this.incoming.shift();
    if (next !== undefined) frame.copyFrom(next);
    return next !== undefined;
  }

  send(frame: Frame): boolean {
    const copy = new Frame(frame.end);
    copy.copyFrom(frame);
    this.outgoing.push(copy);
    return true;
  }

  wait(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}

export class Bench {
  readonly clock = new VirtualClock(5_000_000);
  readonly link: Script;
  readonly host: Host;
  readonly #zero: Micros = this.clock.now();

  constructor(offload = false) {
    this.link = new Script(offload);
    const { link, clock } = this;
    this.host = new Host({ link, mac: OUR_MAC, clock, random: seededRandom(1) });
    this.host.ip.addAddress(OURS);
    this.host.ip.addAddress(SERVICE, false);
    const local = parsePrefix('10.0.0.0/24');
    const all = parsePrefix('0.0.0.0/0');
    if (local !== undefined) this.host.ip.addRoute({ prefix: local });
    if (all !== undefined) this.host.ip.addRoute({ prefix: all, gateway: GATEWAY });
  }

  /** The neighbour's MAC is known. */
  acquainted(): this {
    this.host.ip.neighbours.learn(NEIGHBOUR, NEIGHBOUR_MAC, true, this.clock.now());
    return this;
  }

  /** Lets the time come to `milliseconds`, and then the frames. */
  at(milliseconds: number, ...frames: Frame[]): this {
    const target = this.#zero + milliseconds * MILLISECOND;
    while (this.host.nextAt <= target) {
      this.clock.advanceTo(this.host.nextAt);
      this.host.breath();
    }
    this.clock.advanceTo(target);
    return this.arrive(...frames);
  }

  arrive(...frames: Frame[]): this {
    this.link.incoming.push(...frames);
    while (this.host.breath() > 0);
    return this;
  }

  sent(): Frame[] {
    return this.link.outgoing.splice(0);
  }

  /** The ARP packets sent since the last call. */
  sentArp() {
    return this.sent()
      .filter(({ view }) => ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_ARP)
      .map(({ view }) => ({
        to: ethernet.destination(view, ETHERNET_AT),
        kind: arp.operation(view, NETWORK_AT) === arp.REQUEST ? 'request' : 'reply',
        mac: arp.senderMac(view, NETWORK_AT),
        sender: arp.senderAddress(view, NETWORK_AT),
        target: arp.targetAddress(view, NETWORK_AT),
      }));
  }
}

export function arpFrame(
  kind: number,
  fromMac: number,
  from: Address | number,
  to: Address | number,
  destination: number = ethernet.BROADCAST,
): Frame {
  const frame = new Frame(100);
  virtio.clear(frame.view, VIRTIO_AT);
  ethernet.write(frame.view, ETHERNET_AT, destination, fromMac, ethernet.TYPE_ARP);
  arp.write(frame.view, NETWORK_AT, kind, fromMac, Number(from), 0, Number(to));
  frame.end = NETWORK_AT + arp.ARP_LENGTH;
  return frame;
}

/** An IPv4 packet from the neighbour; `body` is its payload. */
export function ipFrame(
  protocol: number,
  body: Uint8Array,
  {
    from = NEIGHBOUR,
    to = OURS,
    flags = 0,
    mac = OUR_MAC,
  }: { from?: Address; to?: Address; flags?: number; mac?: number } = {},
): Frame {
  const frame = new Frame(BODY + body.length);
  const { view } = frame;
  virtio.clear(view, VIRTIO_AT);
  ethernet.write(view, ETHERNET_AT, mac, NEIGHBOUR_MAC, ethernet.TYPE_IPV4);
  const length = ipv4.IPV4_LENGTH + body.length;
  ipv4.write(view, NETWORK_AT, length, 7, flags, 64, protocol, Number(from), Number(to));
  frame.bytes.set(body, BODY);
  frame.end = BODY + body.length;
  return frame;
}
