// ICMP for IPv6 (RFC 4443).
import { complement, sumBytes } from './checksum.ts';
import { PROTOCOL_ICMPV6, pseudoHeaderSum } from './ipv6.ts';

export const ICMPV6_LENGTH = 8;
export const UNREACHABLE = 1;
export const PACKET_TOO_BIG = 2;
export const TIME_EXCEEDED = 3;
export const PARAMETER_PROBLEM = 4;
export const ECHO = 128;
export const ECHO_REPLY = 129;
export const ROUTER_SOLICITATION = 133;
export const ROUTER_ADVERTISEMENT = 134;
export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;
export const REDIRECT = 137;

/** Codes of `UNREACHABLE`. */
export const PORT_UNREACHABLE = 4;
/** Codes of `TIME_EXCEEDED`. */
export const REASSEMBLY_TIME_EXCEEDED = 1;

export const CHECKSUM_AT = 2;

export const type = (view: DataView, at: number): number => view.getUint8(at);
export const code = (view: DataView, at: number): number => view.getUint8(at + 1);
/** The MTU of `PACKET_TOO_BIG`, in bytes. */
export const mtu = (view: DataView, at: number): number => view.getUint32(at + 4);

/** True if `[at, end)` is a message whose checksum holds, in the packet whose fixed header is at `packet`. */
export const isIntact = (view: DataView, packet: number, at: number, end: number): boolean =>
  end - at >= ICMPV6_LENGTH &&
  complement(sumBytes(view, at, end, pseudoHeaderSum(view, packet, PROTOCOL_ICMPV6, end - at))) ===
    0;

/** True for a message that reports an error, which must never be answered by an error (RFC 4443, 2.4 e). */
export const isError = (kind: number): boolean => kind < 128;

/** Writes type, code and the second word over a body that stands already; the checksum is left zero. */
export function write(
  view: DataView,
  at: number,
  kind: number,
  detail: number,
  rest: number,
): void {
  view.setUint8(at, kind);
  view.setUint8(at + 1, detail);
  view.setUint16(at + CHECKSUM_AT, 0);
  view.setUint32(at + 4, rest);
}
