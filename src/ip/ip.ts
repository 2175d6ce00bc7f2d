// The network layer of one host: what arrives for us goes to its protocol, what we send finds its way. One
// logic for both families; what is each family's own lies in its file.
import type { Clock, Micros } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import type { Timers } from '../env/timers.ts';
import type { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as virtio from '../wire/virtio.ts';
import { type Address, isGroup, parsePrefix } from './address.ts';
import { Arp } from './arp.ts';
import { fragment } from './fragmentation.ts';
import { Icmp, type IcmpOutput } from './icmp.ts';
import { Icmpv6 } from './icmpv6.ts';
import { IpInput } from './input.ts';
import { writeIpv4 } from './ipv4-family.ts';
import { writeIpv6Header } from './ipv6-family.ts';
import { LocalAddresses } from './local-addresses.ts';
import { Mld } from './mld.ts';
import { linkLocalAddress } from './multicast.ts';
import { Ndp } from './ndp.ts';
import { type Hop, NeighbourCache, NO_HOP } from './neighbours.ts';
import type { Protocol } from './packet.ts';
import { MINIMUM_PATH_MTU, PathMtus } from './path-mtu.ts';
import { RouterDiscovery } from './router-discovery.ts';
import { type Route, Routes } from './routes.ts';
import { finishTransport, type TransportSegment } from './transport-checksum.ts';

export { isTransportIntact, type TransportSegment } from './transport-checksum.ts';

const TIME_TO_LIVE = 64;
const IPV4_PAYLOAD_AT = NETWORK_AT + ipv4.IPV4_LENGTH;
const IPV6_PAYLOAD_AT = NETWORK_AT + ipv6.IPV6_LENGTH;
const LINK_LOCAL = parsePrefix('fe80::/64');

export interface IpCounters {
  received: number;
  sent: number;
  malformed: number;
  badChecksum: number;
  notForUs: number;
  /** Packets whose source nobody can have, or that came to all though they are for one host. */
  martians: number;
  /** Packets that ask for a route of their sender's choice. */
  sourceRouted: number;
  fragments: number;
  /** Packets of ours that were cut. */
  fragmented: number;
  noProtocol: number;
  noRoute: number;
  unknownType: number;
}

export interface IpOptions {
  link: Link;
  mac: ethernet.Mac;
  clock: Clock;
  timers: Timers;
  random: Random;
}

export class Ip {
  readonly counters: IpCounters = {
    received: 0,
    sent: 0,
    malformed: 0,
    badChecksum: 0,
    notForUs: 0,
    martians: 0,
    sourceRouted: 0,
    fragments: 0,
    fragmented: 0,
    noProtocol: 0,
    noRoute: 0,
    unknownType: 0,
  };
  readonly link: Link;
  readonly mac: ethernet.Mac;
  readonly neighbours: NeighbourCache;
  readonly arp: Arp;
  readonly ndp: Ndp;
  readonly icmp: Icmp;
  readonly icmpv6: Icmpv6;
  readonly routes = new Routes();
  readonly input: IpInput;
  /** Told of next hops that do not answer. */
  onUnreachable: ((neighbour: Address) => void) | undefined;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #protocols = new Map<number, Protocol>();
  readonly #local = new LocalAddresses();
  readonly #paths = new PathMtus();
  #identification = 0;
  /** Identifications of IPv6 fragments are not to be guessed (RFC 7739). */
  readonly #random: Random;

  constructor({ link, mac, clock, timers, random }: IpOptions) {
    this.link = link;
    this.mac = mac;
    this.#clock = clock;
    this.#timers = timers;
    this.#random = random;
    const local = this.#local;
    this.neighbours = new NeighbourCache({
      link,
      clock,
      timers,
      solicit: (address, known) =>
        typeof address === 'number'
          ? this.arp.solicit(address, known)
          : this.ndp.solicit(address, known),
      unreachable: (address) => {
        this.routes.demote(address);
        this.onUnreachable?.(address);
      },
    });
    this.arp = new Arp({
      link,
      mac,
      owns: (address) => local.owns(address),
      sourceFor: (target) => local.sourceFor(target),
    });
    const { neighbours } = this;
    this.ndp = new Ndp({ link, mac, clock, timers, random, local, neighbours });
    const output: IcmpOutput = {
      send: (frame, source, destination, protocol, segment) =>
        this.send(frame, source, destination, protocol, segment),
      isLocal: (address) => local.has(address),
      sourceFor: (destination) => local.sourceFor(destination),
      protocol: (number) => this.#protocols.get(number),
    };
    this.icmp = new Icmp(output);
    this.icmpv6 = new Icmpv6(output, this.ndp);
    this.register(ipv4.PROTOCOL_ICMP, this.icmp);
    this.register(ipv6.PROTOCOL_ICMPV6, this.icmpv6);
    this.input = new IpInput({
      counters: this.counters,
      icmp: this.icmp,
      icmpv6: this.icmpv6,
      timers,
      local,
      protocols: this.#protocols,
    });
  }

  register(number: number, protocol: Protocol): void {
    this.#protocols.set(number, protocol);
  }

  /**
   * Makes an address ours, at once: who takes an address over must not wait.
   * @param answer false for a service address, which routers reach through another address of ours
   */
  addAddress(address: Address, answer = true): void {
    this.ndp.cancel(address);
    this.#local.add(address, answer);
  }

  /**
   * Makes an IPv6 address ours if within a second nobody on the link says that it is his (RFC 4862, 5.4); an
   * IPv4 address at once.
   * @param settled told whether it is ours now
   */
  addTentativeAddress(address: Address, settled?: (ours: boolean) => void): void {
    if (typeof address === 'number') {
      this.addAddress(address);
      settled?.(true);
      return;
    }
    this.ndp.detect(address, (unique) => {
      if (unique) this.#local.add(address, true);
      settled?.(unique);
    });
  }

  /** Adds the link-local address that the MAC makes, and the route to its like; the address. */
  addLinkLocalAddress(): Address {
    const address = linkLocalAddress(this.mac);
    this.addAddress(address);
    if (LINK_LOCAL !== undefined) this.addRoute({ prefix: LINK_LOCAL });
    return address;
  }

  removeAddress(address: Address): void {
    this.ndp.cancel(address);
    this.#local.remove(address);
  }

  isLocal(address: Address): boolean {
    return this.#local.has(address);
  }

  /** The address of ours to talk to `destination` from; undefined if there is none of its family. */
  sourceFor(destination: Address): Address | undefined {
    return this.#local.sourceFor(destination);
  }

  /** Tells everybody on the link that `address` is here now: gratuitous ARP, or an unsolicited advertisement. */
  announce(address: Address): void {
    if (typeof address === 'number') this.arp.announce(address);
    else this.ndp.announce(address);
  }

  addRoute(route: Route): void {
    this.routes.add(route);
  }

  /** Learns default routers and prefixes from advertisements from now on, and asks for them. */
  discoverRouters(): RouterDiscovery {
    const discovery = new RouterDiscovery({
      timers: this.#timers,
      routes: this.routes,
      solicit: () => this.ndp.solicitRouters(),
      linkMtu: this.link.mtu,
    });
    this.ndp.routers = discovery;
    discovery.start(this.#clock.now());
    return discovery;
  }

  /** Reports the groups that we are in, and changes of them, to routers and to switches that snoop (RFC 3810). */
  reportGroups(): Mld {
    const { link, mac } = this;
    const local = this.#local;
    const [clock, timers, random] = [this.#clock, this.#timers, this.#random];
    const mld = new Mld({ link, mac, clock, timers, random, local });
    this.icmpv6.mld = mld;
    local.onGroup = (group, joined) => mld.changed(group, joined);
    for (const group of local.groups()) mld.changed(group, true);
    return mld;
  }

  /** The next hop towards `destination`, or `NO_HOP` without a route. */
  resolve(destination: Address): Hop {
    if (isGroup(destination)) return NO_HOP;
    const neighbour = this.routes.nextHop(destination);
    return neighbour === undefined ? NO_HOP : this.neighbours.hop(neighbour);
  }

  /** Sends a frame whose IP packet is complete to a neighbour; false if `hop` must be resolved again. */
  transmit(frame: Frame, hop: Hop): boolean {
    ethernet.writeMac(frame.view, ETHERNET_AT + 6, this.mac);
    return this.neighbours.transmit(frame, hop, this.#clock.now());
  }

  /** True if the frame is addressed to this host, alone or among others. */
  isOurs(frame: Frame): boolean {
    if (frame.end < NETWORK_AT) return false;
    const destination = ethernet.destination(frame.view, ETHERNET_AT);
    return destination === this.mac || this.#local.hears(destination);
  }

  /** Takes a frame that `isOurs`. */
  receive(frame: Frame, now: Micros): void {
    const type = ethernet.type(frame.view, ETHERNET_AT);
    if (type === ethernet.TYPE_IPV4) this.input.receiveIpv4(frame, now);
    else if (type === ethernet.TYPE_IPV6) this.input.receiveIpv6(frame, now);
    else if (type === ethernet.TYPE_ARP) this.arp.receive(frame, this.neighbours, now);
    else this.counters.unknownType++;
  }

  /** Where the transport header goes in a frame to `destination`. */
  payloadAt(destination: Address): number {
    return typeof destination === 'number' ? IPV4_PAYLOAD_AT : IPV6_PAYLOAD_AT;
  }

  /** The largest transport segment in bytes, header included, that the path takes in one packet. */
  maximumPayload(destination: Address): number {
    return this.pathMtu(destination) + NETWORK_AT - this.payloadAt(destination);
  }

  /** The largest IP packet in bytes that the path to `destination` takes, as far as we know. */
  pathMtu(destination: Address): number {
    return this.#paths.get(destination, this.#linkMtu(destination), this.#clock.now());
  }

  /**
   * Takes what an ICMP error said about the path to `destination`, once the protocol whose packet it quotes has
   * found that it sent that packet (RFC 5927, section 7.2).
   * @param mtu bytes of an IP packet; below the least that we believe in, that least counts
   */
  learnPathMtu(destination: Address, mtu: number): void {
    this.#paths.learn(destination, mtu, this.#linkMtu(destination), this.#clock.now());
  }

  /**
   * Sends the payload in `[payloadAt(destination), frame.end)`: writes all headers below it. What is larger than
   * the path takes, and no train, leaves in fragments.
   * @param segment what to do about a transport checksum, whose field must be zero; none for ICMP of IPv4
   * @param hop where it goes, when the caller has kept that; a stale one is looked up again
   * @returns false if there is no route
   */
  send(
    frame: Frame,
    source: Address,
    destination: Address,
    protocol: number,
    segment?: TransportSegment,
    hop: Hop = NO_HOP,
    trafficClass = 0,
  ): boolean {
    const via = this.neighbours.isCurrent(hop) ? hop : this.resolve(destination);
    if (via === NO_HOP) {
      this.counters.noRoute++;
      return false;
    }
    this.counters.sent++;
    const length = frame.end - NETWORK_AT;
    if (
      length > MINIMUM_PATH_MTU &&
      (segment === undefined || segment.segmentSize === 0) &&
      length > this.pathMtu(destination)
    ) {
      return this.#sendFragments(frame, source, destination, protocol, segment, via, trafficClass);
    }
    this.compose(frame, source, destination, protocol, segment, trafficClass);
    return this.transmit(frame, via);
  }

  /** Writes all headers below a payload, as `send` does, and sends nothing. */
  compose(
    frame: Frame,
    source: Address,
    destination: Address,
    protocol: number,
    segment?: TransportSegment,
    trafficClass = 0,
    offload = this.link.offload,
  ): void {
    virtio.clear(frame.view, VIRTIO_AT);
    let at = IPV4_PAYLOAD_AT;
    if (typeof destination === 'number') {
      const now = this.#paths.size > 0 ? this.#clock.now() : 0;
      const flags = this.#paths.fragments(destination, now) ? 0 : ipv4.DONT_FRAGMENT;
      // What nobody may cut needs no name (RFC 6864), and a counter would tell strangers how much we send.
      const id = flags === 0 ? this.#nextIdentification() : 0;
      writeIpv4(frame, source, destination, protocol, id, flags, TIME_TO_LIVE, trafficClass);
    } else {
      at = IPV6_PAYLOAD_AT;
      const hops = this.ndp.routers?.hopLimit || TIME_TO_LIVE;
      writeIpv6Header(frame, source, destination, protocol, hops, trafficClass);
    }
    if (segment !== undefined) {
      finishTransport(frame, at, source, destination, protocol, segment, offload);
    }
  }

  #sendFragments(
    frame: Frame,
    source: Address,
    destination: Address,
    protocol: number,
    segment: TransportSegment | undefined,
    hop: Hop,
    trafficClass: number,
  ): boolean {
    this.counters.fragmented++;
    this.compose(frame, source, destination, protocol, segment, trafficClass, false);
    let sent = true;
    const four = typeof destination === 'number';
    const id = four ? this.#nextIdentification() : this.#random.uint32();
    fragment(frame, this.pathMtu(destination), id, (part) => {
      sent = this.transmit(part, hop) && sent;
    });
    return sent;
  }

  #linkMtu(destination: Address): number {
    return typeof destination === 'number'
      ? this.link.mtu
      : (this.ndp.routers?.mtu ?? this.link.mtu);
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }
}
