// UDP sockets (RFC 768) over our own IP.
import type { Micros } from '../env/clock.ts';
import { Frame } from '../link/frame.ts';
import type { Mac } from '../wire/ethernet.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { ETHERNET_AT } from '../wire/layout.ts';
import * as udp from '../wire/udp.ts';
import {
  type Address,
  type Endpoint,
  endpointKey,
  formatEndpoint,
  fromIpv4,
  isUnspecified,
} from './address.ts';
import { type Ip, isTransportIntact } from './ip.ts';
import { UNSPECIFIED_IPV6 } from './multicast.ts';
import type { Packet, Protocol } from './packet.ts';

const LONGEST = 65_535;
const ANY_IPV4 = fromIpv4(0);

export interface UdpCounters {
  received: number;
  sent: number;
  malformed: number;
  badChecksum: number;
  noSocket: number;
  tooLong: number;
  /** Datagrams to a family in which we have no address. */
  noSource: number;
}

/** A bound port. Datagrams are handed over as they come; the bytes are only lent. */
export class UdpSocket {
  readonly local: Endpoint;
  onDatagram: ((from: Address, port: number, payload: Uint8Array) => void) | undefined;
  readonly #udp: Udp;

  constructor(stack: Udp, local: Endpoint) {
    this.#udp = stack;
    this.local = local;
  }

  /**
   * Sends one datagram, in fragments if the path wants that; one that is larger than IP itself can carry is
   * dropped and counted.
   */
  send(to: Address, port: number, payload: Uint8Array): void {
    this.#udp.transmit(this.local, to, port, payload);
  }

  /** The frame that `send` would send to the neighbour with that MAC, with its checksums; valid until the next call of either. */
  compose(to: Address, port: number, payload: Uint8Array, mac: Mac): Frame | undefined {
    return this.#udp.compose(this.local, to, port, payload, mac);
  }

  close(): void {
    this.#udp.unbind(this);
  }
}

export class Udp implements Protocol {
  readonly counters: UdpCounters = {
    received: 0,
    sent: 0,
    malformed: 0,
    badChecksum: 0,
    noSocket: 0,
    tooLong: 0,
    noSource: 0,
  };
  readonly #ip: Ip;
  readonly #sockets = new Map<number | string, UdpSocket>();
  readonly #frame: Frame;

  constructor(ip: Ip) {
    this.#ip = ip;
    this.#frame = new Frame();
    ip.register(ipv4.PROTOCOL_UDP, this);
  }

  /**
   * Binds a port of one address of ours, of all IPv4 addresses (`0.0.0.0`) or of all of both families (`::`).
   * @throws Error when the port is taken
   */
  bind(local: Endpoint): UdpSocket {
    const key = endpointKey(local.address, local.port);
    if (this.#sockets.has(key)) throw new Error(`UDP ${formatEndpoint(local)} is in use already`);
    const socket = new UdpSocket(this, local);
    this.#sockets.set(key, socket);
    return socket;
  }

  unbind({ local }: UdpSocket): void {
    this.#sockets.delete(endpointKey(local.address, local.port));
  }

  transmit(from: Endpoint, to: Address, port: number, payload: Uint8Array): void {
    const source = this.#write(from, to, port, payload);
    if (source === undefined) return;
    this.counters.sent++;
    this.#ip.send(this.#frame, source, to, ipv4.PROTOCOL_UDP, SEGMENT);
  }

  compose(
    from: Endpoint,
    to: Address,
    port: number,
    payload: Uint8Array,
    mac: Mac,
  ): Frame | undefined {
    const source = this.#write(from, to, port, payload);
    if (source === undefined) return undefined;
    const frame = this.#frame;
    this.#ip.compose(frame, source, to, ipv4.PROTOCOL_UDP, SEGMENT, 0, false);
    const type = typeof to === 'number' ? ethernet.TYPE_IPV4 : ethernet.TYPE_IPV6;
    ethernet.write(frame.view, ETHERNET_AT, mac, this.#ip.mac, type);
    return frame;
  }

  /** Writes header and payload, and returns the address to send from; undefined if that cannot be. */
  #write(from: Endpoint, to: Address, port: number, payload: Uint8Array): Address | undefined {
    const total = udp.UDP_LENGTH + payload.length;
    const source = this.#sourceOf(from.address, to);
    if (source === undefined) {
      this.counters.noSource++;
      return undefined;
    }
    const at = this.#ip.payloadAt(to);
    // The length field of IPv4 counts the header, that of IPv6 does not.
    if (total > (typeof to === 'number' ? LONGEST - ipv4.IPV4_LENGTH : LONGEST)) {
      this.counters.tooLong++;
      return undefined;
    }
    udp.write(this.#frame.view, at, from.port, port, total);
    this.#frame.bytes.set(payload, at + udp.UDP_LENGTH);
    this.#frame.end = at + total;
    return source;
  }

  receive(packet: Packet, now: Micros): void {
    const { view, bytes } = packet.frame;
    if (!udp.isValid(view, packet.payload, packet.end)) {
      this.counters.malformed++;
      return;
    }
    packet.end = packet.payload + udp.length(view, packet.payload);
    // IPv4 alone lets a sender do without (RFC 8200, section 8.1).
    const unchecked =
      typeof packet.destination === 'number' && udp.checksum(view, packet.payload) === 0;
    if (!unchecked && !isTransportIntact(packet)) {
      this.counters.badChecksum++;
      return;
    }
    const port = udp.destinationPort(view, packet.payload);
    const socket = this.#find(packet.destination, port);
    if (socket === undefined) {
      this.counters.noSocket++;
      this.#refuse(packet, now);
      return;
    }
    this.counters.received++;
    const from = udp.sourcePort(view, packet.payload);
    const payload = bytes.subarray(packet.payload + udp.UDP_LENGTH, packet.end);
    socket.onDatagram?.(packet.source, from, payload);
  }

  /** The socket of that very address comes before one of all addresses. */
  #find(local: Address, port: number): UdpSocket | undefined {
    return (
      this.#sockets.get(endpointKey(local, port)) ??
      (typeof local === 'number' ? this.#sockets.get(endpointKey(ANY_IPV4, port)) : undefined) ??
      this.#sockets.get(endpointKey(UNSPECIFIED_IPV6, port))
    );
  }

  /** The address to send from; undefined where the socket and the destination are of different families. */
  #sourceOf(local: Address, to: Address): Address | undefined {
    if (local !== UNSPECIFIED_IPV6 && typeof local !== typeof to) return undefined;
    return isUnspecified(local) ? this.#ip.sourceFor(to) : local;
  }

  #refuse(packet: Packet, now: Micros): void {
    if (typeof packet.destination === 'number') {
      this.#ip.icmp.sendError(packet, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, 0, now);
    } else {
      this.#ip.icmpv6.sendError(packet, icmpv6.UNREACHABLE, icmpv6.PORT_UNREACHABLE, 0, now);
    }
  }

  pathError(): void {
    // A datagram's sender must cope with loss anyway.
  }
}

const SEGMENT = { checksumOffset: udp.CHECKSUM_AT, headerLength: udp.UDP_LENGTH, segmentSize: 0 };
