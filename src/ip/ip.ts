// The network layer of one host: what arrives for us goes to its protocol, what we send finds its way.
import type { Clock, Micros } from '../env/clock.ts';
import type { Timers } from '../env/timers.ts';
import type { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import { complement, fold, sumBytes } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpWire from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as virtio from '../wire/virtio.ts';
import { type Address, fromIpv4, isHost, toIpv4 } from './address.ts';
import { Arp } from './arp.ts';
import { Icmp } from './icmp.ts';
import { type Hop, NeighbourCache, NO_HOP } from './neighbours.ts';
import { Packet, type Protocol } from './packet.ts';
import { type Route, Routes } from './routes.ts';

const TIME_TO_LIVE = 64;

export interface IpCounters {
  received: number;
  sent: number;
  malformed: number;
  badChecksum: number;
  notForUs: number;
  /** Packets whose source nobody can have, or that came as broadcast though they are for one host. */
  martians: number;
  fragments: number;
  noProtocol: number;
  noRoute: number;
  unknownType: number;
}

export interface IpOptions {
  link: Link;
  mac: ethernet.Mac;
  clock: Clock;
  timers: Timers;
}

/** Facts about a transport segment that the headers below it need. */
export interface TransportSegment {
  /** Offset of the checksum field in the transport header. */
  readonly checksumOffset: number;
  /** Bytes of the transport header with options. */
  readonly headerLength: number;
  /** Payload bytes a segment when the frame is to leave as a train; 0 for a single one. */
  readonly segmentSize: number;
}

export class Ip {
  readonly counters: IpCounters = {
    received: 0,
    sent: 0,
    malformed: 0,
    badChecksum: 0,
    notForUs: 0,
    martians: 0,
    fragments: 0,
    noProtocol: 0,
    noRoute: 0,
    unknownType: 0,
  };
  readonly link: Link;
  readonly mac: ethernet.Mac;
  readonly neighbours: NeighbourCache;
  readonly arp: Arp;
  readonly icmp: Icmp;
  readonly routes = new Routes();
  /** Told of next hops that do not answer. */
  onUnreachable: ((neighbour: Address) => void) | undefined;
  readonly #clock: Clock;
  readonly #protocols = new Map<number, Protocol>();
  /** Local addresses; true for those that we answer ARP for. */
  readonly #local = new Map<Address, boolean>();
  #received: Packet | undefined;
  #identification = 0;

  constructor({ link, mac, clock, timers }: IpOptions) {
    this.link = link;
    this.mac = mac;
    this.#clock = clock;
    this.neighbours = new NeighbourCache({
      link,
      clock,
      timers,
      solicit: (address, known) => this.arp.solicit(address, known),
      unreachable: (address) => this.onUnreachable?.(address),
    });
    this.arp = new Arp({
      link,
      mac,
      owns: (address) => this.#local.get(address) === true,
      sourceFor: () => this.#firstOwned(),
    });
    this.icmp = new Icmp({
      send: (frame, source, destination, protocol) =>
        this.send(frame, source, destination, protocol),
      isLocal: (address) => this.#local.has(address),
      protocol: (number) => this.#protocols.get(number),
    });
    this.register(ipv4.PROTOCOL_ICMP, this.icmp);
  }

  register(number: number, protocol: Protocol): void {
    this.#protocols.set(number, protocol);
  }

  /**
   * Makes an address ours.
   * @param answer false for a service address, which routers reach through another address of ours
   */
  addAddress(address: Address, answer = true): void {
    this.#local.set(address, answer);
  }

  removeAddress(address: Address): void {
    this.#local.delete(address);
  }

  isLocal(address: Address): boolean {
    return this.#local.has(address);
  }

  addRoute(route: Route): void {
    this.routes.add(route);
  }

  /** The next hop towards `destination`, or `NO_HOP` without a route. */
  resolve(destination: Address): Hop {
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
    return destination === this.mac || ethernet.isGroup(destination);
  }

  /** Takes a frame that `isOurs`. */
  receive(frame: Frame, now: Micros): void {
    const type = ethernet.type(frame.view, ETHERNET_AT);
    if (type === ethernet.TYPE_IPV4) this.#receiveIpv4(frame, now);
    else if (type === ethernet.TYPE_ARP) this.arp.receive(frame, this.neighbours, now);
    else this.counters.unknownType++;
  }

  /** Where the transport header goes in a frame to `destination`. */
  payloadAt(_destination: Address): number {
    return NETWORK_AT + ipv4.IPV4_LENGTH;
  }

  /** The largest transport segment, header included, that fits the link in one packet. */
  maximumPayload(_destination: Address): number {
    return this.link.mtu - ipv4.IPV4_LENGTH;
  }

  /**
   * Sends the payload in `[payloadAt(destination), frame.end)`: writes all headers below it.
   * @param segment what to do about a transport checksum, whose field must be zero; none for ICMP
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
    this.compose(frame, source, destination, protocol, segment, trafficClass);
    this.counters.sent++;
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
  ): void {
    const { view } = frame;
    ipv4.write(
      view,
      NETWORK_AT,
      frame.end - NETWORK_AT,
      this.#nextIdentification(),
      ipv4.DONT_FRAGMENT,
      TIME_TO_LIVE,
      protocol,
      toIpv4(source),
      toIpv4(destination),
      trafficClass,
    );
    virtio.clear(view, VIRTIO_AT);
    if (segment !== undefined) this.#finishTransport(frame, source, destination, protocol, segment);
    view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV4);
  }

  #finishTransport(
    frame: Frame,
    source: Address,
    destination: Address,
    protocol: number,
    { checksumOffset, headerLength, segmentSize }: TransportSegment,
  ): void {
    const { view, end } = frame;
    const at = NETWORK_AT + ipv4.IPV4_LENGTH;
    const pseudo = ipv4.pseudoHeaderSum(toIpv4(source), toIpv4(destination), protocol, end - at);
    if (!this.link.offload) {
      const checksum = complement(sumBytes(view, at, end, pseudo));
      // UDP reserves zero for "none" (RFC 768); for TCP both zeros mean the same.
      view.setUint16(at + checksumOffset, checksum === 0 ? 0xffff : checksum);
      return;
    }
    view.setUint16(at + checksumOffset, fold(pseudo));
    const headers = at + headerLength - ETHERNET_AT;
    const train = segmentSize > 0 && end - at - headerLength > segmentSize;
    virtio.write(
      view,
      VIRTIO_AT,
      virtio.NEEDS_CSUM,
      train ? virtio.GSO_TCPV4 : virtio.GSO_NONE,
      headers,
      train ? segmentSize : 0,
      at - ETHERNET_AT,
      checksumOffset,
    );
  }

  #receiveIpv4(frame: Frame, now: Micros): void {
    const { view } = frame;
    const header = ipv4.headerLength(view, NETWORK_AT, frame.end);
    if (header < 0) {
      this.counters.malformed++;
      return;
    }
    if (!ipv4.isIntact(view, NETWORK_AT, header)) {
      this.counters.badChecksum++;
      return;
    }
    const destination = fromIpv4(ipv4.destination(view, NETWORK_AT));
    if (!this.#local.has(destination)) {
      this.counters.notForUs++;
      return;
    }
    const source = fromIpv4(ipv4.source(view, NETWORK_AT));
    // RFC 1122, 3.2.1.3 and 3.3.6. A source of ours would make us talk to ourselves.
    const broadcast = ethernet.isGroup(ethernet.destination(view, ETHERNET_AT));
    if (broadcast || !isHost(source) || this.#local.has(source)) {
      this.counters.martians++;
      return;
    }
    if (ipv4.isFragment(view, NETWORK_AT)) {
      this.counters.fragments++;
      return;
    }
    this.counters.received++;
    const packet = this.#packetFor(frame);
    packet.header = NETWORK_AT;
    packet.source = source;
    packet.destination = destination;
    packet.protocol = ipv4.protocol(view, NETWORK_AT);
    packet.trafficClass = ipv4.trafficClass(view, NETWORK_AT);
    packet.timeToLive = ipv4.timeToLive(view, NETWORK_AT);
    packet.payload = NETWORK_AT + header;
    packet.end = NETWORK_AT + ipv4.totalLength(view, NETWORK_AT);
    packet.trusted =
      (virtio.flags(view, VIRTIO_AT) & (virtio.NEEDS_CSUM | virtio.DATA_VALID)) !== 0;
    packet.segmentSize = virtio.gsoSize(view, VIRTIO_AT);
    const protocol = this.#protocols.get(packet.protocol);
    if (protocol !== undefined) protocol.receive(packet, now);
    else {
      this.counters.noProtocol++;
      this.icmp.sendError(packet, icmpWire.UNREACHABLE, icmpWire.PROTOCOL_UNREACHABLE, 0, now);
    }
  }

  #packetFor(frame: Frame): Packet {
    this.#received ??= new Packet(frame);
    this.#received.frame = frame;
    return this.#received;
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }

  #firstOwned(): Address | undefined {
    for (const [address, answered] of this.#local) if (answered) return address;
    return undefined;
  }
}

/** True if the transport checksum of a packet holds, over its pseudo-header and payload. */
export function isTransportIntact(packet: Packet): boolean {
  if (packet.trusted) return true;
  const length = packet.end - packet.payload;
  const pseudo = ipv4.pseudoHeaderSum(
    toIpv4(packet.source),
    toIpv4(packet.destination),
    packet.protocol,
    length,
  );
  return complement(sumBytes(packet.frame.view, packet.payload, packet.end, pseudo)) === 0;
}
