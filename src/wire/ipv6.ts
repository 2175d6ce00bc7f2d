// The IPv6 header in place (RFC 8200, section 3). Addresses are 16 characters of one byte each (Latin-1),
// so that they compare with `===` and serve as keys.

export const IPV6_LENGTH = 40;
export const PROTOCOL_ICMPV6 = 58;
/** The least MTU that a link with IPv6 has (RFC 8200, section 5). */
export const MINIMUM_MTU = 1_280;

export const PAYLOAD_LENGTH_AT = 4;
export const NEXT_HEADER_AT = 6;
export const HOP_LIMIT_AT = 7;
export const SOURCE_AT = 8;
export const DESTINATION_AT = 24;
const ADDRESS_LENGTH = 16;

/**
 * True if an IPv6 packet whose length holds lies in `[at, end)`. Jumbograms (RFC 2675), whose length field
 * is zero, count as packets without payload.
 */
export const isValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= IPV6_LENGTH &&
  view.getUint8(at) >> 4 === 6 &&
  at + IPV6_LENGTH + payloadLength(view, at) <= end;

/** DSCP and ECN (RFC 2474, RFC 3168). */
export const trafficClass = (view: DataView, at: number): number =>
  (view.getUint16(at) >> 4) & 0xff;
export const flowLabel = (view: DataView, at: number): number => view.getUint32(at) & 0xf_ffff;
/** Bytes behind the fixed header: extension headers and payload. */
export const payloadLength = (view: DataView, at: number): number =>
  view.getUint16(at + PAYLOAD_LENGTH_AT);
export const nextHeader = (view: DataView, at: number): number =>
  view.getUint8(at + NEXT_HEADER_AT);
export const hopLimit = (view: DataView, at: number): number => view.getUint8(at + HOP_LIMIT_AT);

/** Writes the fixed header. */
export function write(
  view: DataView,
  at: number,
  payload: number,
  next: number,
  hops: number,
  from: string,
  to: string,
  traffic = 0,
  label = 0,
): void {
  view.setUint32(at, 0x6000_0000 | (traffic << 20) | label);
  view.setUint16(at + PAYLOAD_LENGTH_AT, payload);
  view.setUint8(at + NEXT_HEADER_AT, next);
  view.setUint8(at + HOP_LIMIT_AT, hops);
  writeAddress(view, at + SOURCE_AT, from);
  writeAddress(view, at + DESTINATION_AT, to);
}

/** An address as a new string; who reads many keeps those it has seen. */
export const readAddress = (view: DataView, at: number): string =>
  String.fromCharCode(
    ...Array.from({ length: ADDRESS_LENGTH }, (_, index) => view.getUint8(at + index)),
  );

export function writeAddress(view: DataView, at: number, address: string): void {
  for (let i = 0; i < ADDRESS_LENGTH; i += 2) {
    view.setUint16(at + i, (address.charCodeAt(i) << 8) | address.charCodeAt(i + 1));
  }
}

/**
 * The sum over the pseudo-header of the packet whose fixed header stands at `at` (RFC 8200, section 8.1),
 * unfolded. It is right where the packet ends its way, for then the header has the final destination.
 * @param length bytes of the upper layer's header and payload
 */
export function pseudoHeaderSum(
  view: DataView,
  at: number,
  protocol: number,
  length: number,
): number {
  let sum = protocol + (length >>> 16) + (length & 0xffff);
  for (let i = SOURCE_AT; i < IPV6_LENGTH; i += 4) {
    const word = view.getUint32(at + i);
    sum += (word >>> 16) + (word & 0xffff);
  }
  return sum;
}
