// What a network card does to a frame before it goes on the wire, in software: a train becomes its segments,
// and a partial checksum a full one.
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
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
  if (type === virtio.GSO_TCPV4) return segmentTcp(frame, scratch, emit);
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

function segmentTcp(frame: Frame, scratch: Frame, emit: (frame: Frame) => void): boolean {
  const { view, bytes, end } = frame;
  const size = virtio.gsoSize(view, VIRTIO_AT);
  const ip = ipv4.headerLength(view, NETWORK_AT, end);
  if (size === 0 || ip < 0) return false;
  const transport = NETWORK_AT + ip;
  const header = tcp.headerLength(view, transport, end);
  if (header < 0) return false;
  const payload = transport + header;
  const from = ipv4.source(view, NETWORK_AT);
  const to = ipv4.destination(view, NETWORK_AT);
  const flags = tcp.flags(view, transport);
  const out = scratch.view;
  for (let at = payload, index = 0; at < end; at += size, index++) {
    const length = Math.min(size, end - at);
    scratch.bytes.set(bytes.subarray(0, payload));
    scratch.bytes.set(bytes.subarray(at, at + length), payload);
    scratch.end = payload + length;
    virtio.clear(out, VIRTIO_AT);
    out.setUint16(NETWORK_AT + 2, scratch.end - NETWORK_AT);
    out.setUint16(NETWORK_AT + 4, (ipv4.identification(view, NETWORK_AT) + index) & 0xffff);
    out.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, 0);
    const sum = sumBytes(out, NETWORK_AT, transport);
    out.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, complement(sum));
    out.setUint32(transport + tcp.SEQ_AT, tcp.seq(view, transport) + (at - payload));
    // The first segment alone says CWR (RFC 3168, 6.1.2), the last alone FIN and PSH.
    const withheld = (index > 0 ? tcp.CWR : 0) | (at + length < end ? tcp.FIN | tcp.PSH : 0);
    out.setUint8(transport + tcp.FLAGS_AT, flags & ~withheld);
    tcp.setChecksum(out, transport, 0);
    const pseudo = ipv4.pseudoHeaderSum(from, to, ipv4.PROTOCOL_TCP, scratch.end - transport);
    tcp.setChecksum(out, transport, complement(sumBytes(out, transport, scratch.end, pseudo)));
    emit(scratch);
  }
  return true;
}
