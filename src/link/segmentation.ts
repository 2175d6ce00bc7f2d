// What a network card does to a frame before it goes on the wire, in software: a train becomes its segments,
// and a partial checksum a full one.
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as extensions from '../wire/ipv6-extensions.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import * as virtio from '../wire/virtio.ts';
import type { Frame } from './frame.ts';

/**
 * Hands the frames that `frame` stands for to `emit`, one after the other. What needs no work is handed on
 * itself; the rest is built in `scratch`, which must be as large as the frame.
 * @returns false if the virtio header promises what the frame does not hold: nothing was emitted then
 */
export function segment(frame: Frame, scratch: Frame, emit: (frame: Frame) => void): boolean {
  const { view, end } = frame;
  if (end < NETWORK_AT) return false;
  const type = virtio.gsoType(view, VIRTIO_AT) & ~virtio.GSO_ECN;
  if (type === virtio.GSO_TCPV4 || type === virtio.GSO_TCPV6) {
    return segmentTcp(frame, scratch, emit, type === virtio.GSO_TCPV4);
  }
  if (type !== virtio.GSO_NONE) return false;
  if ((virtio.flags(view, VIRTIO_AT) & virtio.NEEDS_CSUM) === 0) {
    emit(frame);
    return true;
  }
  const start = ETHERNET_AT + virtio.checksumStart(view, VIRTIO_AT);
  const field = start + virtio.checksumOffset(view, VIRTIO_AT);
  if (field + 2 > end) return false;
  scratch.copyFrom(frame);
  // The field holds the sum of the pseudo-header, so that it is part of what is summed.
  const checksum = complement(sumBytes(scratch.view, start, end));
  scratch.view.setUint16(field, checksum === 0 ? 0xffff : checksum);
  virtio.clear(scratch.view, VIRTIO_AT);
  emit(scratch);
  return true;
}

function segmentTcp(
  frame: Frame,
  scratch: Frame,
  emit: (frame: Frame) => void,
  four: boolean,
): boolean {
  const { view, bytes, end } = frame;
  const size = virtio.gsoSize(view, VIRTIO_AT);
  const transport = four ? behindIpv4(view, end) : behindIpv6(view, end);
  if (size === 0 || transport < 0) return false;
  const header = tcp.headerLength(view, transport, end);
  if (header < 0) return false;
  const payload = transport + header;
  const flags = tcp.flags(view, transport);
  const out = scratch.view;
  for (let at = payload, index = 0; at < end; at += size, index++) {
    const length = Math.min(size, end - at);
    scratch.bytes.set(bytes.subarray(0, payload));
    scratch.bytes.set(bytes.subarray(at, at + length), payload);
    scratch.end = payload + length;
    virtio.clear(out, VIRTIO_AT);
    out.setUint32(transport + tcp.SEQ_AT, tcp.seq(view, transport) + (at - payload));
    // The first segment alone says CWR (RFC 3168, 6.1.2), the last alone FIN and PSH.
    const withheld = (index > 0 ? tcp.CWR : 0) | (at + length < end ? tcp.FIN | tcp.PSH : 0);
    out.setUint8(transport + tcp.FLAGS_AT, flags & ~withheld);
    tcp.setChecksum(out, transport, 0);
    const pseudo = four ? finishIpv4(scratch, transport, index) : finishIpv6(scratch, transport);
    tcp.setChecksum(out, transport, complement(sumBytes(out, transport, scratch.end, pseudo)));
    emit(scratch);
  }
  return true;
}

/** Where the transport header of an IPv4 packet starts, or -1. */
function behindIpv4(view: DataView, end: number): number {
  const length = ipv4.headerLength(view, NETWORK_AT, end);
  return length < 0 ? -1 : NETWORK_AT + length;
}

const chain = new extensions.Chain();

/** Where the transport header of an IPv6 packet starts that holds TCP, or -1. */
function behindIpv6(view: DataView, end: number): number {
  if (!ipv6.isValid(view, NETWORK_AT, end)) return -1;
  const reached = extensions.walk(view, NETWORK_AT, end, chain) === extensions.REACHED;
  return reached && chain.protocol === ipv4.PROTOCOL_TCP ? chain.payload : -1;
}

/** Makes the IPv4 header that of the train's segment `index`; the sum over its pseudo-header. */
function finishIpv4({ view, end }: Frame, transport: number, index: number): number {
  view.setUint16(NETWORK_AT + 2, end - NETWORK_AT);
  view.setUint16(NETWORK_AT + 4, (ipv4.identification(view, NETWORK_AT) + index) & 0xffff);
  view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, 0);
  const sum = sumBytes(view, NETWORK_AT, transport);
  view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, complement(sum));
  const from = ipv4.source(view, NETWORK_AT);
  const to = ipv4.destination(view, NETWORK_AT);
  return ipv4.pseudoHeaderSum(from, to, ipv4.PROTOCOL_TCP, end - transport);
}

/** Likewise for IPv6. */
function finishIpv6({ view, end }: Frame, transport: number): number {
  view.setUint16(NETWORK_AT + ipv6.PAYLOAD_LENGTH_AT, end - NETWORK_AT - ipv6.IPV6_LENGTH);
  return ipv6.pseudoHeaderSum(view, NETWORK_AT, ipv4.PROTOCOL_TCP, end - transport);
}
