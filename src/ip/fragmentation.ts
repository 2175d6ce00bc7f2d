// Packets of ours that are larger than their path takes, cut into fragments (RFC 791; RFC 8200, section 4.5).
// TCP never comes here: it knows the path's MTU. Long answers to echo requests do.
import { Frame } from '../link/frame.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as extensions from '../wire/ipv6-extensions.ts';
import { NETWORK_AT } from '../wire/layout.ts';

/**
 * Hands the fragments of the packet in `frame` to `emit`, one after the other, built in one frame. The packet has
 * a header without options or extensions, and no checksum is left to the link.
 * @param mtu bytes that a fragment may have, at least 68
 * @param identification of all fragments: 16 bits, or 32 of IPv6
 */
export function fragment(
  frame: Frame,
  mtu: number,
  identification: number,
  emit: (frame: Frame) => void,
): void {
  const four = frame.view.getUint8(NETWORK_AT) >> 4 === 4;
  const headers = four ? ipv4.IPV4_LENGTH : ipv6.IPV6_LENGTH + extensions.FRAGMENT_LENGTH;
  const start = NETWORK_AT + (four ? ipv4.IPV4_LENGTH : ipv6.IPV6_LENGTH);
  const step = (mtu - headers) & ~7;
  const part = new Frame(NETWORK_AT + mtu);
  for (let at = start; at < frame.end; at += step) {
    const length = Math.min(step, frame.end - at);
    const more = at + length < frame.end;
    part.bytes.set(frame.bytes.subarray(0, start));
    part.bytes.set(frame.bytes.subarray(at, at + length), NETWORK_AT + headers);
    part.end = NETWORK_AT + headers + length;
    if (four) finishIpv4(part, at - start, more, identification);
    else finishIpv6(part, at - start, more, identification);
    emit(part);
  }
}

function finishIpv4({ view, end }: Frame, offset: number, more: boolean, id: number): void {
  view.setUint16(NETWORK_AT + 2, end - NETWORK_AT);
  view.setUint16(NETWORK_AT + 4, id);
  view.setUint16(NETWORK_AT + 6, (offset >> 3) | (more ? ipv4.MORE_FRAGMENTS : 0));
  view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, 0);
  const sum = sumBytes(view, NETWORK_AT, NETWORK_AT + ipv4.IPV4_LENGTH);
  view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, complement(sum));
}

function finishIpv6({ view, end }: Frame, offset: number, more: boolean, id: number): void {
  const at = NETWORK_AT + ipv6.IPV6_LENGTH;
  extensions.writeFragment(view, at, ipv6.nextHeader(view, NETWORK_AT), offset, more, id);
  view.setUint8(NETWORK_AT + ipv6.NEXT_HEADER_AT, extensions.FRAGMENT);
  view.setUint16(NETWORK_AT + ipv6.PAYLOAD_LENGTH_AT, end - at);
}
