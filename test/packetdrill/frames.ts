// Frames as bytes, both ways and for both families. Written from the RFCs beside the stack's own code, so that
// the two check each other.
import { Frame } from '../../src/link/frame.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';
import { type Ends, LOCAL_MAC, REMOTE_MAC } from './addresses.ts';
import { readOptions } from './options.ts';
import type { OptionSpec } from './script.ts';

export const PROTOCOL_TCP = 6;
export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_IPV6 = 0x86dd;
const IPV6_LENGTH = 40;

/** What the IP header of the peer's packets says. */
export interface IpFields {
  readonly trafficClass: number;
  readonly timeToLive: number;
  readonly flowLabel: number;
}

export interface TcpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
}

/** A TCP packet that the stack has sent. */
export interface Observed extends TcpFields, IpFields {
  readonly at: number;
  readonly options: readonly OptionSpec[];
  readonly length: number;
  /** It stands for several segments that left together. */
  readonly isTrain?: boolean;
}

/** A segment's bytes, its checksum still zero. */
export function tcpSegment(tcp: TcpFields, options: Uint8Array, payload: Uint8Array): Uint8Array {
  const header = 20 + options.length;
  const bytes = new Uint8Array(header + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, tcp.sourcePort);
  view.setUint16(2, tcp.destinationPort);
  view.setUint32(4, tcp.seq);
  view.setUint32(8, tcp.ack);
  view.setUint8(12, (header / 4) << 4);
  view.setUint8(13, tcp.flags);
  view.setUint16(14, tcp.window);
  view.setUint16(18, tcp.urgent);
  bytes.set(options, 20);
  bytes.set(payload, header);
  return bytes;
}

/**
 * A packet of the peer as a frame.
 * @param checksumAt where the checksum lies in `body`, which is zero there
 * @param pseudo whether that checksum covers the pseudo-header: not for ICMP over IPv4
 */
export function frameFor(
  ends: Ends,
  ip: IpFields,
  protocol: number,
  body: Uint8Array,
  checksumAt: number,
  pseudo = true,
): Frame {
  const packet = ipPacket(ends.remoteBytes, ends.localBytes, ip, protocol, body);
  const view = new DataView(packet.buffer);
  const start = packet.length - body.length;
  const cover = pseudo ? pseudoHeader(ends, protocol, body.length) : new Uint8Array(0);
  view.setUint16(start + checksumAt, checksum(cover, packet.subarray(start)));
  const frame = new Frame();
  frame.bytes.fill(0, 0, NETWORK_AT);
  writeMac(frame.view, ETHERNET_AT, LOCAL_MAC);
  writeMac(frame.view, ETHERNET_AT + 6, REMOTE_MAC);
  frame.view.setUint16(ETHERNET_AT + 12, ends.family === 4 ? TYPE_IPV4 : TYPE_IPV6);
  frame.bytes.set(packet, NETWORK_AT);
  frame.end = NETWORK_AT + packet.length;
  return frame;
}

/** An IP packet with `body` after a header without options. */
export function ipPacket(
  from: Uint8Array,
  to: Uint8Array,
  { trafficClass, timeToLive, flowLabel }: IpFields,
  protocol: number,
  body: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const header = from.length === 4 ? 20 : IPV6_LENGTH;
  const bytes = new Uint8Array(header + body.length);
  const view = new DataView(bytes.buffer);
  if (header === 20) {
    view.setUint16(0, 0x4500 | trafficClass);
    view.setUint16(2, bytes.length);
    view.setUint16(6, 0x4000);
    view.setUint16(8, (timeToLive << 8) | protocol);
    bytes.set(from, 12);
    bytes.set(to, 16);
    view.setUint16(10, checksum(new Uint8Array(0), bytes.subarray(0, 20)));
  } else {
    view.setUint32(0, (0x6000_0000 | (trafficClass << 20) | flowLabel) >>> 0);
    view.setUint16(4, body.length);
    view.setUint8(6, protocol);
    view.setUint8(7, timeToLive);
    bytes.set(from, 8);
    bytes.set(to, 24);
  }
  bytes.set(body, header);
  return bytes;
}

/** What a frame of ours carries, if it is TCP to the peer; its checksum must hold. */
export function observe(frame: Frame, ends: Ends, at: number): Observed | undefined {
  const bytes = frame.bytes.slice(NETWORK_AT, frame.end);
  const view = new DataView(bytes.buffer);
  const type = frame.view.getUint16(ETHERNET_AT + 12);
  if (type !== TYPE_IPV4 && type !== TYPE_IPV6) return undefined;
  const four = type === TYPE_IPV4;
  const header = four ? (view.getUint8(0) & 15) * 4 : IPV6_LENGTH;
  const end = four ? view.getUint16(2) : IPV6_LENGTH + view.getUint16(4);
  const protocol = view.getUint8(four ? 9 : 6);
  if ((ends.family === 4) !== four || protocol !== PROTOCOL_TCP) return undefined;
  if (end > bytes.length || end - header < 20) throw new RangeError('a frame of ours is too short');
  const body = bytes.subarray(header, end);
  if (checksum(pseudoHeader(ends, PROTOCOL_TCP, body.length), body) !== 0) {
    throw new RangeError('the TCP checksum of a frame of ours does not hold');
  }
  const tcp = new DataView(body.slice().buffer);
  const length = (tcp.getUint8(12) >> 4) * 4;
  return {
    at,
    trafficClass: four ? view.getUint8(1) : (view.getUint32(0) >>> 20) & 0xff,
    timeToLive: view.getUint8(four ? 8 : 7),
    flowLabel: four ? 0 : view.getUint32(0) & 0xf_ffff,
    sourcePort: tcp.getUint16(0),
    destinationPort: tcp.getUint16(2),
    seq: tcp.getUint32(4),
    ack: tcp.getUint32(8),
    flags: tcp.getUint8(13),
    window: tcp.getUint16(14),
    urgent: tcp.getUint16(18),
    options: readOptions(body.subarray(20, length)),
    length: body.length - length,
  };
}

function pseudoHeader(
  { localBytes, remoteBytes }: Ends,
  protocol: number,
  length: number,
): Uint8Array {
  // The sum does not depend on the direction.
  const bytes = new Uint8Array(2 * localBytes.length + 8);
  bytes.set(localBytes);
  bytes.set(remoteBytes, localBytes.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 8, length);
  view.setUint32(bytes.length - 4, protocol);
  return bytes;
}

/** The Internet checksum (RFC 1071) over two pieces, of which the first has an even length. */
export function checksum(first: Uint8Array, second: Uint8Array): number {
  let sum = 0;
  for (const bytes of [first, second]) {
    for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function writeMac(view: DataView, at: number, mac: number): void {
  view.setUint16(at, Math.floor(mac / 0x1_0000_0000));
  view.setUint32(at + 2, mac >>> 0);
}
