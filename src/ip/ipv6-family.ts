// What is IPv6's own about a packet: how its headers are read and written.
import type { Frame } from '../link/frame.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT } from '../wire/layout.ts';
import { type Address, toIpv6 } from './address.ts';
import { readIpv6 } from './intern.ts';
import type { Packet } from './packet.ts';

/** Reads the fixed header of the packet in a frame; false if it does not hold. Its chain is not walked yet. */
export function readIpv6Header(frame: Frame, packet: Packet): boolean {
  const { view } = frame;
  if (!ipv6.isValid(view, NETWORK_AT, frame.end)) return false;
  packet.source = readIpv6(view, NETWORK_AT + ipv6.SOURCE_AT);
  packet.destination = readIpv6(view, NETWORK_AT + ipv6.DESTINATION_AT);
  packet.protocol = ipv6.nextHeader(view, NETWORK_AT);
  packet.trafficClass = ipv6.trafficClass(view, NETWORK_AT);
  packet.timeToLive = ipv6.hopLimit(view, NETWORK_AT);
  packet.payload = NETWORK_AT + ipv6.IPV6_LENGTH;
  packet.end = packet.payload + ipv6.payloadLength(view, NETWORK_AT);
  return true;
}

/** Writes the fixed header and the Ethernet type over the payload in `[NETWORK_AT + 40, frame.end)`. */
export function writeIpv6Header(
  frame: Frame,
  source: Address,
  destination: Address,
  protocol: number,
  hopLimit: number,
  trafficClass: number,
): void {
  ipv6.write(
    frame.view,
    NETWORK_AT,
    frame.end - NETWORK_AT - ipv6.IPV6_LENGTH,
    protocol,
    hopLimit,
    toIpv6(source),
    toIpv6(destination),
    trafficClass,
  );
  frame.view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV6);
}
