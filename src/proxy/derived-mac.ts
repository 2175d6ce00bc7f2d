import { createHash } from 'node:crypto';
import { isIPv4 } from 'node:net';

/**
 * A locally administered unicast MAC address that is the same at every member and every start:
 * 02:53 and the IPv4 address, or 02:53 and four bytes of any other address' hash.
 */
export function derivedMac(address: string): string {
  const tail = isIPv4(address)
    ? Buffer.from(address.split('.').map(Number))
    : createHash('sha256').update(address).digest().subarray(0, 4);
  return ['02', '53', ...[...tail].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
