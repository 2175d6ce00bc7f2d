// Tells the members' own messages from all else that passes between them.
import type { Frame } from '../link/frame.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT } from '../wire/layout.ts';
import * as udp from '../wire/udp.ts';

/** True if the frame holds a UDP datagram to `port`, without options or extension headers. */
export function isMeshFrame({ view, end }: Frame, port: number): boolean {
  const type = ethernet.type(view, ETHERNET_AT);
  if (type === ethernet.TYPE_IPV4) {
    const at = NETWORK_AT + ipv4.IPV4_LENGTH;
    return (
      end >= at + udp.UDP_LENGTH &&
      ipv4.protocol(view, NETWORK_AT) === ipv4.PROTOCOL_UDP &&
      udp.destinationPort(view, at) === port
    );
  }
  const at = NETWORK_AT + ipv6.IPV6_LENGTH;
  return (
    type === ethernet.TYPE_IPV6 &&
    end >= at + udp.UDP_LENGTH &&
    ipv6.nextHeader(view, NETWORK_AT) === ipv4.PROTOCOL_UDP &&
    udp.destinationPort(view, at) === port
  );
}
