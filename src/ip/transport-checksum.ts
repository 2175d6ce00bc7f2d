// The checksum that TCP, UDP and ICMPv6 keep over their own bytes and the addresses below them: written in
// full or left to the link, and verified.
import type { Frame } from '../link/frame.ts';
import { complement, fold, sumBytes } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as virtio from '../wire/virtio.ts';
import { type Address, toIpv4 } from './address.ts';
import type { Packet } from './packet.ts';

/** Facts about a transport segment that the headers below it need. */
export interface TransportSegment {
  /** Offset of the checksum field in the transport header. */
  readonly checksumOffset: number;
  /** Bytes of the transport header with options. */
  readonly headerLength: number;
  /** Payload bytes a segment when the frame is to leave as a train; 0 for a single one. */
  readonly segmentSize: number;
}

/**
 * Fills the checksum field, which is zero, of the segment in `[at, frame.end)` behind written IP headers, and
 * the virtio header.
 * @param offload whether the link completes a partial checksum and takes trains
 */
export function finishTransport(
  frame: Frame,
  at: number,
  source: Address,
  destination: Address,
  protocol: number,
  { checksumOffset, headerLength, segmentSize }: TransportSegment,
  offload: boolean,
): void {
  const { view, end } = frame;
  const four = typeof destination === 'number';
  const pseudo = four
    ? ipv4.pseudoHeaderSum(toIpv4(source), toIpv4(destination), protocol, end - at)
    : ipv6.pseudoHeaderSum(view, NETWORK_AT, protocol, end - at);
  if (!offload) {
    const checksum = complement(sumBytes(view, at, end, pseudo));
    // UDP reserves zero for "none" (RFC 768); for the others both zeros mean the same.
    view.setUint16(at + checksumOffset, checksum === 0 ? 0xffff : checksum);
    return;
  }
  view.setUint16(at + checksumOffset, fold(pseudo));
  const headers = at + headerLength - ETHERNET_AT;
  const train = segmentSize > 0 && end - at - headerLength > segmentSize;
  const type = four ? virtio.GSO_TCPV4 : virtio.GSO_TCPV6;
  virtio.write(
    view,
    VIRTIO_AT,
    virtio.NEEDS_CSUM,
    train ? type : virtio.GSO_NONE,
    headers,
    train ? segmentSize : 0,
    at - ETHERNET_AT,
    checksumOffset,
  );
}

/** True if the transport checksum of a packet holds, over its pseudo-header and payload. */
export function isTransportIntact(packet: Packet): boolean {
  if (packet.trusted) return true;
  const { view } = packet.frame;
  const length = packet.end - packet.payload;
  const pseudo =
    typeof packet.destination === 'number'
      ? ipv4.pseudoHeaderSum(
          toIpv4(packet.source),
          toIpv4(packet.destination),
          packet.protocol,
          length,
        )
      : ipv6.pseudoHeaderSum(view, packet.header, packet.protocol, length);
  return complement(sumBytes(view, packet.payload, packet.end, pseudo)) === 0;
}
