// UDP sockets (RFC 768) over our own IP.
import type { Micros } from '../env/clock.ts';
import { Frame } from '../link/frame.ts';
import * as icmp from '../wire/icmp.ts';
import { PROTOCOL_UDP } from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { type Address, type Endpoint, endpointKey, formatEndpoint } from './address.ts';
import { type Ip, isTransportIntact } from './ip.ts';
import type { Packet, Protocol } from './packet.ts';

export interface UdpCounters {
  received: number;
  sent: number;
  malformed: number;
  badChecksum: number;
  noSocket: number;
  tooLong: number;
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

  /** Sends one datagram; what does not fit the link's MTU is dropped and counted. */
  send(to: Address, port: number, payload: Uint8Array): void {
    this.#udp.transmit(this.local, to, port, payload);
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
  };
  readonly #ip: Ip;
  readonly #sockets = new Map<number | string, UdpSocket>();
  readonly #frame: Frame;

  constructor(ip: Ip) {
    this.#ip = ip;
    this.#frame = new Frame();
    ip.register(PROTOCOL_UDP, this);
  }

  /** @throws Error when the port is taken */
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
    const total = udp.UDP_LENGTH + payload.length;
    if (total > this.#ip.maximumPayload(to)) {
      this.counters.tooLong++;
      return;
    }
    const at = this.#ip.payloadAt(to);
    udp.write(this.#frame.view, at, from.port, port, total);
    this.#frame.bytes.set(payload, at + udp.UDP_LENGTH);
    this.#frame.end = at + total;
    this.counters.sent++;
    this.#ip.send(this.#frame, from.address, to, PROTOCOL_UDP, SEGMENT);
  }

  receive(packet: Packet, now: Micros): void {
    const { view, bytes } = packet.frame;
    if (!udp.isValid(view, packet.payload, packet.end)) {
      this.counters.malformed++;
      return;
    }
    packet.end = packet.payload + udp.length(view, packet.payload);
    if (udp.checksum(view, packet.payload) !== 0 && !isTransportIntact(packet)) {
      this.counters.badChecksum++;
      return;
    }
    const port = udp.destinationPort(view, packet.payload);
    const socket = this.#sockets.get(endpointKey(packet.destination, port));
    if (socket === undefined) {
      this.counters.noSocket++;
      this.#ip.icmp.sendError(packet, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, 0, now);
      return;
    }
    this.counters.received++;
    const from = udp.sourcePort(view, packet.payload);
    const payload = bytes.subarray(packet.payload + udp.UDP_LENGTH, packet.end);
    socket.onDatagram?.(packet.source, from, payload);
  }

  pathError(): void {
    // A datagram's sender must cope with loss anyway.
  }
}

const SEGMENT = { checksumOffset: udp.CHECKSUM_AT, headerLength: udp.UDP_LENGTH, segmentSize: 0 };
