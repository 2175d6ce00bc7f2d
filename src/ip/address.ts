// Internet addresses, opaque to everything above `ip/`: they compare with `===` and serve as keys of a Map.
import * as ipv4 from '../wire/ipv4.ts';

declare const brand: unique symbol;

/** An IPv4 address (its value as uint32) or, one day, an IPv6 address (16 bytes as a Latin-1 string). */
export type Address = (number | string) & { readonly [brand]: 'Address' };

/** An address and a port. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

/** Bytes that an address has on the wire. */
export const addressLength = (address: Address): 4 | 16 => (typeof address === 'number' ? 4 : 16);

/** Reads an address in its textual form; undefined if it is none. */
export const parseAddress = (text: string): Address | undefined =>
  ipv4.parseAddress(text) as Address | undefined;

export function formatAddress(address: Address): string {
  if (typeof address === 'number') return ipv4.formatAddress(address);
  throw new TypeError('IPv6 addresses cannot be written yet');
}

export const formatEndpoint = ({ address, port }: Endpoint): string =>
  `${formatAddress(address)}:${port}`;

/** The value of an IPv4 address. Only `wire/` and `ip/`, and tables laid out for IPv4, may ask. */
export const toIpv4 = (address: Address): number => address as number;

export const fromIpv4 = (value: number): Address => value as number & Address;

/** True if a host can have this address: not that of this network, of a loop, of a group or of all (RFC 6890). */
export function isHost(address: Address): boolean {
  const first = toIpv4(address) >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/**
 * An address and a port as one key: a number below 2^48 for IPv4, so that a Map needs no string.
 */
export const endpointKey = (address: Address, port: number): number | string =>
  typeof address === 'number' ? address * 65_536 + port : `${address as string}:${port}`;

/** A network: an address and the length of its prefix in bits. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** Reads `10.1.0.0/24`; undefined if the text is not that. */
export function parsePrefix(text: string): Prefix | undefined {
  const [host, bits, ...rest] = text.split('/');
  const address = parseAddress(host ?? '');
  if (address === undefined || rest.length > 0 || !/^\d{1,2}$/.test(bits ?? '')) return undefined;
  const length = Number(bits);
  return length <= 32 ? { address, length } : undefined;
}

/** True if `address` lies in `prefix`. */
export function contains(prefix: Prefix, address: Address): boolean {
  if (typeof address !== typeof prefix.address) return false;
  if (prefix.length === 0) return true;
  const shift = 32 - prefix.length;
  return toIpv4(address) >>> shift === toIpv4(prefix.address) >>> shift;
}
