// What is IPv4's own about a packet: how its header is read and written.
import type { Frame } from '../link/frame.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT } from '../wire/layout.ts';
import { type Address, fromIpv4, toIpv4 } from './address.ts';
import type { Packet } from './packet.ts';

/** Outcomes of reading a header. */
export const READABLE = 0;
export const MALFORMED = 1;
export const BAD_CHECKSUM = 2;

const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const LOOSE_SOURCE_ROUTE = 131;
const STRICT_SOURCE_ROUTE = 137;

/** Reads the header of the packet in a frame; `packet.payload` is behind it. */
export function readIpv4(frame: Frame, packet: Packet): number {
  const { view } = frame;
  const header = ipv4.headerLength(view, NETWORK_AT, frame.end);
  if (header < 0) return MALFORMED;
  if (!ipv4.isIntact(view, NETWORK_AT, header)) return BAD_CHECKSUM;
  packet.source = fromIpv4(ipv4.source(view, NETWORK_AT));
  packet.destination = fromIpv4(ipv4.destination(view, NETWORK_AT));
  packet.protocol = ipv4.protocol(view, NETWORK_AT);
  packet.trafficClass = ipv4.trafficClass(view, NETWORK_AT);
  packet.timeToLive = ipv4.timeToLive(view, NETWORK_AT);
  packet.payload = NETWORK_AT + header;
  packet.end = NETWORK_AT + ipv4.totalLength(view, NETWORK_AT);
  return READABLE;
}

/** True if a packet's options ask for a route of its sender's choice, which nobody honours (RFC 7126, 4.3). */
export function isSourceRouted({ frame, header, payload }: Packet): boolean {
  const { view } = frame;
  let at = header + ipv4.IPV4_LENGTH;
  while (at < payload) {
    const type = view.getUint8(at);
    if (type === END_OF_OPTIONS) return false;
    if (type === LOOSE_SOURCE_ROUTE || type === STRICT_SOURCE_ROUTE) return true;
    if (type === NO_OPERATION) at++;
    else {
      const length = at + 1 < payload ? view.getUint8(at + 1) : 0;
      if (length < 2) return false;
      at += length;
    }
  }
  return false;
}

/** Writes the header and the Ethernet type over the payload in `[NETWORK_AT + 20, frame.end)`. */
export function writeIpv4(
  frame: Frame,
  source: Address,
  destination: Address,
  protocol: number,
  identification: number,
  flags: number,
  timeToLive: number,
  trafficClass: number,
): void {
  ipv4.write(
    frame.view,
    NETWORK_AT,
    frame.end - NETWORK_AT,
    identification,
    flags,
    timeToLive,
    protocol,
    toIpv4(source),
    toIpv4(destination),
    trafficClass,
  );
  frame.view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV4);
}
