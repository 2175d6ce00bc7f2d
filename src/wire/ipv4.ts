// The IPv4 header in place (RFC 791, section 3.1).
import { complement, sumBytes } from './checksum.ts';

export const IPV4_LENGTH = 20;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

export const TTL_AT = 8;
export const CHECKSUM_AT = 10;
export const SOURCE_AT = 12;
export const DESTINATION_AT = 16;

/** Header length in bytes, or -1 if no IPv4 header whose lengths hold lies in `[at, end)`. */
export function headerLength(view: DataView, at: number, end: number): number {
  if (end - at < IPV4_LENGTH) return -1;
  const first = view.getUint8(at);
  const length = (first & 0x0f) * 4;
  if (first >> 4 !== 4 || length < IPV4_LENGTH) return -1;
  const total = view.getUint16(at + 2);
  return total >= length && at + total <= end ? length : -1;
}

/** DSCP and ECN (RFC 2474, RFC 3168). */
export const trafficClass = (view: DataView, at: number): number => view.getUint8(at + 1);
/** Bytes of header and payload. */
export const totalLength = (view: DataView, at: number): number => view.getUint16(at + 2);
export const identification = (view: DataView, at: number): number => view.getUint16(at + 4);
/** Flags and offset as they stand. */
export const fragment = (view: DataView, at: number): number => view.getUint16(at + 6);
export const isFragment = (view: DataView, at: number): boolean =>
  (fragment(view, at) & (MORE_FRAGMENTS | OFFSET_MASK)) !== 0;
/** Offset of this fragment's payload in bytes. */
export const fragmentOffset = (view: DataView, at: number): number =>
  (fragment(view, at) & OFFSET_MASK) * 8;
export const timeToLive = (view: DataView, at: number): number => view.getUint8(at + TTL_AT);
export const protocol = (view: DataView, at: number): number => view.getUint8(at + 9);
export const checksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM_AT);
export const source = (view: DataView, at: number): number => view.getUint32(at + SOURCE_AT);
export const destination = (view: DataView, at: number): number =>
  view.getUint32(at + DESTINATION_AT);

/** True if the header's checksum holds. */
export const isIntact = (view: DataView, at: number, length: number): boolean =>
  complement(sumBytes(view, at, at + length)) === 0;

/** Writes a header of 20 bytes without options, its checksum complete. */
export function write(
  view: DataView,
  at: number,
  length: number,
  id: number,
  flags: number,
  ttl: number,
  payloadProtocol: number,
  from: number,
  to: number,
  traffic = 0,
): void {
  view.setUint16(at, 0x4500 | traffic);
  view.setUint16(at + 2, length);
  view.setUint16(at + 4, id);
  view.setUint16(at + 6, flags);
  view.setUint16(at + 8, (ttl << 8) | payloadProtocol);
  view.setUint16(at + CHECKSUM_AT, 0);
  view.setUint32(at + SOURCE_AT, from);
  view.setUint32(at + DESTINATION_AT, to);
  view.setUint16(at + CHECKSUM_AT, complement(sumBytes(view, at, at + IPV4_LENGTH)));
}

/** The sum over the pseudo-header of TCP and UDP (RFC 9293, section 3.1), unfolded. */
export const pseudoHeaderSum = (
  from: number,
  to: number,
  payloadProtocol: number,
  length: number,
): number =>
  (from >>> 16) + (from & 0xffff) + (to >>> 16) + (to & 0xffff) + payloadProtocol + length;

export const formatAddress = (address: number): string =>
  `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;

/** Reads dotted decimal without leading zeros; undefined if the text is not that. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    address = address * 256 + Number(part);
  }
  return address;
}
