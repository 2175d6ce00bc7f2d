// ICMP for IPv4 (RFC 792).
import { complement, sumBytes } from './checksum.ts';

export const ICMP_LENGTH = 8;
export const ECHO_REPLY = 0;
export const UNREACHABLE = 3;
export const ECHO = 8;
export const TIME_EXCEEDED = 11;
export const PARAMETER_PROBLEM = 12;

/** Codes of `UNREACHABLE`. */
export const NET_UNREACHABLE = 0;
export const HOST_UNREACHABLE = 1;
export const PROTOCOL_UNREACHABLE = 2;
export const PORT_UNREACHABLE = 3;
export const FRAGMENTATION_NEEDED = 4;
/** Codes of `TIME_EXCEEDED`. */
export const REASSEMBLY_TIME_EXCEEDED = 1;

export const type = (view: DataView, at: number): number => view.getUint8(at);
export const code = (view: DataView, at: number): number => view.getUint8(at + 1);
/** The next hop's MTU of `FRAGMENTATION_NEEDED` (RFC 1191, section 4). */
export const nextHopMtu = (view: DataView, at: number): number => view.getUint16(at + 6);

/** True if `[at, end)` is a message whose checksum holds. */
export const isIntact = (view: DataView, at: number, end: number): boolean =>
  end - at >= ICMP_LENGTH && complement(sumBytes(view, at, end)) === 0;

/** True for a message that reports an error, which must never be answered by an error (RFC 1122, 3.2.2). */
export const isError = (kind: number): boolean =>
  kind === UNREACHABLE ||
  kind === TIME_EXCEEDED ||
  kind === PARAMETER_PROBLEM ||
  kind === 4 ||
  kind === 5;

/** Writes type, code and the second word over a body that stands already, then the checksum. */
export function write(
  view: DataView,
  at: number,
  end: number,
  kind: number,
  detail: number,
  rest: number,
): void {
  view.setUint8(at, kind);
  view.setUint8(at + 1, detail);
  view.setUint16(at + 2, 0);
  view.setUint32(at + 4, rest);
  view.setUint16(at + 2, complement(sumBytes(view, at, end)));
}
