/**
 * The kinds of fields that configuration files share: addresses, ports, names, times. Each is a zod
 * schema whose message says what is allowed; addresses stay text, as the person wrote them.
 */
import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { mustBe } from './describe.ts';

const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const IPV4 = `(${OCTET}\\.){3}${OCTET}`;
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

/** An IP address. IPv4 only for now. */
export function address(): z.ZodString {
  return text(new RegExp(`^${IPV4}$`), 'an IPv4 address, such as 10.1.0.11');
}

/** A network in CIDR notation, such as `10.1.0.0/24`, without host bits. IPv4 only for now. */
export function subnet(): z.ZodString {
  const what = 'a network in CIDR notation whose host bits are 0, such as 10.1.0.0/24';
  return text(new RegExp(`^${IPV4}/([1-9]|[12][0-9]|30)$`), what).refine(hostBitsAreZero, {
    error: mustBe(what),
  });
}

/** An address and a port: `10.1.0.31:80`. IPv4 only for now. */
export function endpoint(): z.ZodString {
  return text(new RegExp(`^${IPV4}:${PORT}$`), 'an address and a port, such as 10.1.0.31:80');
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

/** Splits `host:port` text that `endpoint()` has accepted. The port is 1 to 65535. */
export function splitEndpoint(endpoint: string): {
  readonly address: string;
  readonly port: number;
} {
  const colon = endpoint.lastIndexOf(':');
  return { address: endpoint.slice(0, colon), port: Number(endpoint.slice(colon + 1)) };
}

function hostBitsAreZero(cidr: string): boolean {
  const [network, bits] = cidr.split('/');
  if (!isIPv4(network)) return false;
  const value = network.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  return value % 2 ** (32 - Number(bits)) === 0;
}
