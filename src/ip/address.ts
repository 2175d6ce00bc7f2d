// Internet addresses, opaque to everything above `ip/`: they compare with `===` and serve as keys of a Map.
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as ipv6Text from '../wire/ipv6-text.ts';

declare const brand: unique symbol;

/** An IPv4 address (its value as uint32) or an IPv6 address (16 bytes as a Latin-1 string). */
export type Address = (number | string) & { readonly [brand]: 'Address' };

/** An address and a port. */
export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

export const isIpv6 = (address: Address): boolean => typeof address === 'string';

/** Bytes that an address has on the wire. */
export const addressLength = (address: Address): 4 | 16 => (typeof address === 'number' ? 4 : 16);

/** Reads an address in its textual form (RFC 4291, section 2.2); undefined if it is none. */
export const parseAddress = (text: string): Address | undefined =>
  (text.includes(':') ? ipv6Text.parseAddress(text) : ipv4.parseAddress(text)) as
    | Address
    | undefined;

/** The textual form: dotted decimal, or that of RFC 5952. */
export const formatAddress = (address: Address): string =>
  typeof address === 'number'
    ? ipv4.formatAddress(address)
    : ipv6Text.formatAddress(address as string);

/** `10.0.0.1:80` or `[2001:db8::1]:80` (RFC 3986, section 3.2.2). */
export const formatEndpoint = ({ address, port }: Endpoint): string =>
  typeof address === 'number'
    ? `${formatAddress(address)}:${port}`
    : `[${formatAddress(address)}]:${port}`;

/** The value of an IPv4 address. Only `wire/` and `ip/`, and tables laid out for IPv4, may ask. */
export const toIpv4 = (address: Address): number => address as number;

export const fromIpv4 = (value: number): Address => value as number & Address;

/** The bytes of an IPv6 address, one a character. Only `wire/` and `ip/`, and tables laid out for it, may ask. */
export const toIpv6 = (address: Address): string => address as string;

export const fromIpv6 = (bytes: string): Address => bytes as string & Address;

/** Writes an IPv6 address at `at`. */
export const writeIpv6 = (view: DataView, at: number, address: Address): void =>
  ipv6.writeAddress(view, at, address as string);

/**
 * Writes the 32-bit words of an address (one or four, in network order of significance) from `words[at]` on.
 * @returns the index behind the last one
 */
export function addressWords(address: Address, words: Uint32Array, at: number): number {
  if (typeof address === 'number') {
    words[at] = address;
    return at + 1;
  }
  const bytes = address as string;
  for (let i = 0; i < 4; i++) {
    words[at + i] =
      (bytes.charCodeAt(4 * i) << 24) |
      (bytes.charCodeAt(4 * i + 1) << 16) |
      (bytes.charCodeAt(4 * i + 2) << 8) |
      bytes.charCodeAt(4 * i + 3);
  }
  return at + 4;
}

/** True for an address that stands for many hosts: multicast, and IPv4's limited broadcast. */
export const isGroup = (address: Address): boolean =>
  typeof address === 'number'
    ? address >>> 28 === 0xe || address === 0xffff_ffff
    : (address as string).charCodeAt(0) === 0xff;

/** `0.0.0.0` or `::`. */
export const isUnspecified = (address: Address): boolean =>
  typeof address === 'number' ? address === 0 : address === UNSPECIFIED;

/** True for an IPv6 address that is good on its link only (`fe80::/10`). */
export const isLinkLocal = (address: Address): boolean => {
  if (typeof address === 'number') return address >>> 16 === 0xa9fe;
  const bytes = address as string;
  return bytes.charCodeAt(0) === 0xfe && (bytes.charCodeAt(1) & 0xc0) === 0x80;
};

const UNSPECIFIED = fromIpv6('\0'.repeat(16));
const LOOPBACK = fromIpv6(`${'\0'.repeat(15)}\x01`);

/**
 * True if a host on a network can have this address: not that of this network, of a loop, of a group, of all,
 * nor an IPv4 address in IPv6's clothes (RFC 6890; RFC 4291, section 2.5).
 */
export function isHost(address: Address): boolean {
  if (typeof address === 'number') {
    const first = address >>> 24;
    return first !== 0 && first !== 127 && first < 224;
  }
  const bytes = address as string;
  const first = bytes.charCodeAt(0);
  if (first !== 0) return first !== 0xff;
  return (
    address !== UNSPECIFIED && address !== LOOPBACK && !bytes.startsWith(ipv6Text.MAPPED_PREFIX)
  );
}

/** End points whose keys are kept, a power of two: a direct-mapped cache of those seen last. */
const PLACES = 1_024;
const MASK = PLACES - 1;
const keyAddresses: (Address | undefined)[] = new Array<Address | undefined>(PLACES).fill(
  undefined,
);
const keyPorts = new Uint16Array(PLACES);
const keys: string[] = new Array<string>(PLACES).fill('');

/**
 * An address and a port as one key: a number below 2^48 for IPv4, so that a Map needs no string, and 17
 * characters for IPv6.
 */
export function endpointKey(address: Address, port: number): number | string {
  if (typeof address === 'number') return address * 65_536 + port;
  const bytes = address as string;
  const place =
    (Math.imul(port, 0x9e37) ^ Math.imul(bytes.charCodeAt(15), 0x85eb) ^ bytes.charCodeAt(14)) &
    MASK;
  if (keyPorts[place] === port && keyAddresses[place] === address) return keys[place];
  const key = bytes + String.fromCharCode(port);
  keyAddresses[place] = address;
  keyPorts[place] = port;
  keys[place] = key;
  return key;
}

/** A network: an address and the length of its prefix in bits, up to 32 or 128. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** Reads `10.1.0.0/24` or `2001:db8::/64`; undefined if the text is not that. */
export function parsePrefix(text: string): Prefix | undefined {
  const [host, bits, ...rest] = text.split('/');
  const address = parseAddress(host ?? '');
  if (address === undefined || rest.length > 0 || !/^\d{1,3}$/.test(bits ?? '')) return undefined;
  const length = Number(bits);
  return length <= (typeof address === 'number' ? 32 : 128) ? { address, length } : undefined;
}

const one = new Uint32Array(4);
const other = new Uint32Array(4);

/** True if `address` lies in `prefix`. */
export function contains(prefix: Prefix, address: Address): boolean {
  if (typeof address !== typeof prefix.address) return false;
  const count = addressWords(address, one, 0);
  addressWords(prefix.address, other, 0);
  let left = prefix.length;
  for (let i = 0; i < count && left > 0; i++, left -= 32) {
    const shift = left >= 32 ? 0 : 32 - left;
    if (one[i] >>> shift !== other[i] >>> shift) return false;
  }
  return true;
}
