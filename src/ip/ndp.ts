// Neighbour discovery (RFC 4861): answers for the addresses that we own, asks for those that we need,
// announces addresses that we take over, and hears routers. Detection of duplicates (RFC 4862, section 5.4)
// is here as well, for it is the same messages.
import { type Clock, type Micros, SECOND } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import { Timer, type Timers } from '../env/timers.ts';
import { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmpv6.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as ndp from '../wire/ndp.ts';
import * as virtio from '../wire/virtio.ts';
import { type Address, isGroup, isLinkLocal, toIpv6, writeIpv6 } from './address.ts';
import { readIpv6 } from './intern.ts';
import type { LocalAddresses } from './local-addresses.ts';
import {
  ALL_NODES,
  ALL_ROUTERS,
  macOfGroup,
  solicitedNode,
  UNSPECIFIED_IPV6,
} from './multicast.ts';
import type { NeighbourCache } from './neighbours.ts';
import type { Packet } from './packet.ts';
import type { RouterDiscovery } from './router-discovery.ts';

const BODY_AT = NETWORK_AT + ipv6.IPV6_LENGTH;
const CAPACITY = BODY_AT + 64;
/** RetransTimer (RFC 4861, section 10): how long an address is tried for, with one question (RFC 4862, 5.1). */
const DETECTION: Micros = SECOND;

export interface NdpCounters {
  solicitationsIn: number;
  advertisementsIn: number;
  routerAdvertisementsIn: number;
  /** Messages that RFC 4861 wants dropped: another hop limit than 255, lengths, addresses that cannot be. */
  malformed: number;
  sent: number;
  /** Somebody else claimed an address of ours. */
  conflicts: number;
  /** Addresses that we wanted and somebody has already. */
  duplicates: number;
}

export interface NdpOptions {
  link: Link;
  mac: ethernet.Mac;
  clock: Clock;
  timers: Timers;
  random: Random;
  local: LocalAddresses;
  neighbours: NeighbourCache;
}

/** An address that is not ours before a while has passed without a protest. */
interface Tentative {
  readonly timer: Timer;
  readonly nonce: number;
  readonly settled: (unique: boolean) => void;
}

export class Ndp {
  readonly counters: NdpCounters = {
    solicitationsIn: 0,
    advertisementsIn: 0,
    routerAdvertisementsIn: 0,
    malformed: 0,
    sent: 0,
    conflicts: 0,
    duplicates: 0,
  };
  /** Hears routers' advertisements; when absent they are ignored. */
  routers: RouterDiscovery | undefined;
  readonly #link: Link;
  readonly #mac: ethernet.Mac;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #local: LocalAddresses;
  readonly #neighbours: NeighbourCache;
  readonly #options = new ndp.NdpOptions();
  readonly #tentative = new Map<Address, Tentative>();
  readonly #frame = new Frame(CAPACITY);

  constructor({ link, mac, clock, timers, random, local, neighbours }: NdpOptions) {
    this.#link = link;
    this.#mac = mac;
    this.#clock = clock;
    this.#timers = timers;
    this.#random = random;
    this.#local = local;
    this.#neighbours = neighbours;
  }

  /**
   * Takes an ICMPv6 message whose checksum holds.
   * @returns false if it is none of neighbour discovery
   */
  receive(packet: Packet, now: Micros): boolean {
    const { view } = packet.frame;
    const type = icmp.type(view, packet.payload);
    if (type < icmp.ROUTER_SOLICITATION || type > icmp.NEIGHBOUR_ADVERTISEMENT) return false;
    // Hosts do not answer routers' solicitations (RFC 4861, section 6.2.6).
    if (type === icmp.ROUTER_SOLICITATION) return true;
    if (packet.timeToLive !== ndp.HOP_LIMIT || icmp.code(view, packet.payload) !== 0) {
      this.counters.malformed++;
      return true;
    }
    let taken: boolean;
    if (type === icmp.NEIGHBOUR_SOLICITATION) taken = this.#solicitation(packet, now);
    else if (type === icmp.NEIGHBOUR_ADVERTISEMENT) taken = this.#advertisement(packet, now);
    else taken = this.#routerAdvertisement(packet, now);
    if (!taken) this.counters.malformed++;
    return true;
  }

  /** Asks who has `target`; straight to `knownMac` when it is only to be confirmed. */
  solicit(target: Address, knownMac: ethernet.Mac | undefined): void {
    const from = this.#local.sourceFor(target);
    if (from === undefined) return;
    const group = solicitedNode(target);
    const end = this.#write(icmp.NEIGHBOUR_SOLICITATION, 0, target);
    this.#send(
      from,
      knownMac === undefined ? group : target,
      knownMac ?? macOfGroup(group),
      ndp.writeSourceMac(this.#frame.view, end, this.#mac),
    );
  }

  /** Tells everybody on the link that `address` is here now (RFC 4861, section 7.2.6). */
  announce(address: Address): void {
    this.#advertise(address, ALL_NODES, macOfGroup(ALL_NODES), ndp.OVERRIDE);
  }

  /** Asks routers to say what they have to say. */
  solicitRouters(): void {
    const from = this.#local.sourceFor(ALL_ROUTERS) ?? UNSPECIFIED_IPV6;
    const { view } = this.#frame;
    icmp.write(view, BODY_AT, icmp.ROUTER_SOLICITATION, 0, 0);
    let end = BODY_AT + ndp.ROUTER_SOLICITATION_LENGTH;
    if (from !== UNSPECIFIED_IPV6) end = ndp.writeSourceMac(view, end, this.#mac);
    this.#send(from, ALL_ROUTERS, macOfGroup(ALL_ROUTERS), end);
  }

  /**
   * Asks whether somebody has `address` (RFC 4862, section 5.4; RFC 7527 against our own echo).
   * @param settled told once: true if nobody protested
   */
  detect(address: Address, settled: (unique: boolean) => void): void {
    this.cancel(address);
    const nonce = this.#random.uint32() * 0x1_0000 + (this.#random.uint32() & 0xffff);
    const timer = new Timer(() => this.#settle(address, true));
    this.#tentative.set(address, { timer, nonce, settled });
    this.#local.listen(address);
    this.#timers.set(timer, this.#clock.now() + DETECTION);
    const end = this.#write(icmp.NEIGHBOUR_SOLICITATION, 0, address);
    const group = solicitedNode(address);
    this.#send(
      UNSPECIFIED_IPV6,
      group,
      macOfGroup(group),
      ndp.writeNonce(this.#frame.view, end, nonce),
    );
  }

  /** Gives up asking about an address; nobody is told. */
  cancel(address: Address): void {
    const tentative = this.#tentative.get(address);
    if (tentative === undefined) return;
    this.#timers.remove(tentative.timer);
    this.#tentative.delete(address);
    this.#local.unlisten(address);
  }

  #settle(address: Address, unique: boolean): void {
    const tentative = this.#tentative.get(address);
    if (tentative === undefined) return;
    this.cancel(address);
    if (!unique) this.counters.duplicates++;
    tentative.settled(unique);
  }

  #solicitation(packet: Packet, now: Micros): boolean {
    this.counters.solicitationsIn++;
    const { view } = packet.frame;
    const { source, destination } = packet;
    const target = this.#target(packet);
    if (target === undefined) return false;
    const { sourceMac, nonce } = this.#options;
    const probe = source === UNSPECIFIED_IPV6;
    if (probe && (sourceMac >= 0 || destination !== solicitedNode(target))) return false;
    const tentative = this.#tentative.get(target);
    if (tentative !== undefined) {
      if (probe && nonce !== tentative.nonce) this.#settle(target, false);
      return true;
    }
    if (!this.#local.owns(target)) return true;
    if (probe) {
      this.#advertise(target, ALL_NODES, macOfGroup(ALL_NODES), ndp.OVERRIDE);
      return true;
    }
    if (sourceMac >= 0) this.#neighbours.suggest(source, sourceMac, now);
    const mac = sourceMac >= 0 ? sourceMac : ethernet.source(view, ETHERNET_AT);
    this.#advertise(target, source, mac, ndp.SOLICITED | ndp.OVERRIDE);
    return true;
  }

  #advertisement(packet: Packet, now: Micros): boolean {
    this.counters.advertisementsIn++;
    const { view } = packet.frame;
    const target = this.#target(packet);
    if (target === undefined) return false;
    const flags = ndp.flags(view, packet.payload);
    const solicited = (flags & ndp.SOLICITED) !== 0;
    if (isGroup(packet.destination) && solicited) return false;
    if (this.#tentative.has(target)) {
      this.#settle(target, false);
      return true;
    }
    if (this.#local.has(target)) {
      // Our own announcement may come back from the link.
      if (this.#options.targetMac !== this.#mac) this.counters.conflicts++;
      return true;
    }
    const override = (flags & ndp.OVERRIDE) !== 0;
    this.#neighbours.advertised(target, this.#options.targetMac, solicited, override, now);
    if ((flags & ndp.FROM_ROUTER) === 0) this.routers?.isHostNow(target);
    return true;
  }

  /** The target of a solicitation or an advertisement, its options read; undefined if it is malformed. */
  #target({ frame, payload, end }: Packet): Address | undefined {
    if (end - payload < ndp.NEIGHBOUR_LENGTH) return undefined;
    const target = readIpv6(frame.view, payload + ndp.TARGET_AT);
    if (isGroup(target)) return undefined;
    const whole = ndp.readOptions(frame.view, payload + ndp.NEIGHBOUR_LENGTH, end, this.#options);
    return whole ? target : undefined;
  }

  #routerAdvertisement(packet: Packet, now: Micros): boolean {
    this.counters.routerAdvertisementsIn++;
    const { frame, payload, end, source } = packet;
    if (end - payload < ndp.ROUTER_ADVERTISEMENT_LENGTH || !isLinkLocal(source)) return false;
    const options = this.#options;
    const from = payload + ndp.ROUTER_ADVERTISEMENT_LENGTH;
    if (!ndp.readOptions(frame.view, from, end, options)) return false;
    if (this.routers === undefined) return true;
    if (options.sourceMac >= 0) this.#neighbours.suggest(source, options.sourceMac, now);
    this.routers.advertised(source, frame.view, payload, options, now);
    return true;
  }

  #advertise(target: Address, to: Address, mac: ethernet.Mac, flags: number): void {
    const end = this.#write(icmp.NEIGHBOUR_ADVERTISEMENT, (flags << 24) >>> 0, target);
    this.#send(target, to, mac, ndp.writeTargetMac(this.#frame.view, end, this.#mac));
  }

  /** Writes a message about `target`; the end of its fixed part. */
  #write(type: number, rest: number, target: Address): number {
    icmp.write(this.#frame.view, BODY_AT, type, 0, rest);
    writeIpv6(this.#frame.view, BODY_AT + ndp.TARGET_AT, target);
    return BODY_AT + ndp.NEIGHBOUR_LENGTH;
  }

  /** Writes all headers around the message in `[BODY_AT, end)` and sends it. */
  #send(from: Address, to: Address, mac: ethernet.Mac, end: number): void {
    const { view } = this.#frame;
    this.#frame.end = end;
    virtio.clear(view, VIRTIO_AT);
    ethernet.write(view, ETHERNET_AT, mac, this.#mac, ethernet.TYPE_IPV6);
    const length = end - BODY_AT;
    const next = ipv6.PROTOCOL_ICMPV6;
    ipv6.write(view, NETWORK_AT, length, next, ndp.HOP_LIMIT, toIpv6(from), toIpv6(to));
    const pseudo = ipv6.pseudoHeaderSum(view, NETWORK_AT, next, length);
    view.setUint16(BODY_AT + icmp.CHECKSUM_AT, complement(sumBytes(view, BODY_AT, end, pseudo)));
    this.counters.sent++;
    this.#link.send(this.#frame);
  }
}
