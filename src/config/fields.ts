/**
 * The kinds of fields that configuration files share: addresses, ports, names, times. Each is a zod
 * schema whose message says what is allowed; addresses stay text, as the person wrote them.
 */
import { z } from 'zod';
import { formatAddress, isHost, parseAddress, parsePrefix } from '../ip/address.ts';
import { mustBe } from './describe.ts';

const PORT =
  '([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
const NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;

/** A whole number in `[min, max]`; `what` names it: `a number of bytes`. */
export function wholeNumber(min: number, max: number, what: string): z.ZodInt {
  const error = mustBe(`${what} (${min} to ${max})`);
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** A time in milliseconds in `[min, max]`. */
export function milliseconds(min: number, max: number): z.ZodInt {
  return wholeNumber(min, max, 'a number of milliseconds');
}

/** A TCP or UDP port (1 to 65535). */
export function port(): z.ZodInt {
  return wholeNumber(1, 65_535, 'a port');
}

/** A name of ours (member, pool, service): lower-case letters, digits and hyphens, 1 to 32. */
export function name(): z.ZodString {
  return text(NAME, 'a name (1 to 32 lower-case letters, digits and hyphens, no hyphen at an end)');
}

/** The IP address of a host, of either family. */
export function address(): z.ZodString {
  return checked(isHostAddress, 'an IP address, such as 10.1.0.11 or 2001:db8:1::11');
}

/** A network in CIDR notation, such as `10.1.0.0/24` or `2001:db8:1::/64`, without host bits. */
export function subnet(): z.ZodString {
  return checked(
    isSubnet,
    'a network in CIDR notation whose host bits are 0, such as 10.1.0.0/24 or 2001:db8:1::/64',
  );
}

/** An address and a port: `10.1.0.31:80` or `[2001:db8:1::31]:80`. */
export function endpoint(): z.ZodString {
  return checked(
    isEndpoint,
    'an address and a port, such as 10.1.0.31:80 or "[2001:db8:1::31]:80"',
  );
}

/** One value, or a list of at least one. */
export function oneOrMore<T extends z.ZodType>(one: T): z.ZodUnion<[T, z.ZodArray<T>]> {
  return z.union([one, z.array(one).min(1)], {
    // What is wrong with the form that the person chose.
    error: ({ input, errors }) => {
      const branch = (errors as readonly (readonly z.core.$ZodIssue[])[])[
        Array.isArray(input) ? 1 : 0
      ];
      return branch?.[0]?.message;
    },
  });
}

/** What a field of `oneOrMore` says, as a list. */
export const listOf = <T>(value: T | readonly T[]): readonly T[] =>
  Array.isArray(value) ? (value as readonly T[]) : [value as T];

/** The spelling in which equal addresses are equal texts (RFC 5952). */
export function canonical(text: string): string {
  const parsed = parseAddress(text);
  return parsed === undefined ? text : formatAddress(parsed);
}

/** A unicast MAC address, lower or upper case, colons between the bytes. */
export function mac(): z.ZodString {
  // The lowest bit of the first byte marks a group address (IEEE 802, 8.2).
  return text(
    /^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$/,
    'a unicast MAC address, such as "02:53:00:00:00:0b"',
  );
}

/** The name of a Linux network interface (1 to 15 bytes). */
export function interfaceName(): z.ZodString {
  return text(
    /^(?!\.{1,2}$)[^\s/:]{1,15}$/,
    'an interface name (1 to 15 characters, no "/" or ":")',
  );
}

/** A string that matches `pattern`; `what` says in words what is allowed. */
export function text(pattern: RegExp, what: string): z.ZodString {
  const error = mustBe(what);
  return z.string({ error }).regex(pattern, { error });
}

function checked(isValid: (text: string) => boolean, what: string): z.ZodString {
  const error = mustBe(what);
  return z.string({ error }).refine(isValid, { error, abort: true });
}

/** Splits `host:port` text that `endpoint()` has accepted. The port is 1 to 65535. */
export function splitEndpoint(endpoint: string): {
  readonly address: string;
  readonly port: number;
} {
  const colon = endpoint.lastIndexOf(':');
  const host = endpoint.slice(0, colon);
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return { address: bare, port: Number(endpoint.slice(colon + 1)) };
}

function isHostAddress(text: string): boolean {
  const parsed = parseAddress(text);
  // What an IPv4 address is good for, the checks across fields know.
  return parsed !== undefined && (typeof parsed === 'number' || isHost(parsed));
}

function isEndpoint(text: string): boolean {
  const colon = text.lastIndexOf(':');
  const host = text.slice(0, colon);
  if (colon < 0 || !new RegExp(`^${PORT}$`).test(text.slice(colon + 1))) return false;
  const isBracketed = host.startsWith('[') && host.endsWith(']');
  const bare = isBracketed ? host.slice(1, -1) : host;
  return bare.includes(':') === isBracketed && parseAddress(bare) !== undefined;
}

/** True for a prefix with room for two hosts at least, all of whose bits are the network's. */
function isSubnet(cidr: string): boolean {
  const prefix = parsePrefix(cidr);
  if (prefix === undefined || prefix.length === 0) return false;
  const { address: base, length } = prefix;
  if (typeof base === 'number') return length <= 30 && base % 2 ** (32 - length) === 0;
  if (length > 126) return false;
  const bits = Array.from(String(base), (byte) =>
    byte.charCodeAt(0).toString(2).padStart(8, '0'),
  ).join('');
  return !bits.slice(length).includes('1');
}
