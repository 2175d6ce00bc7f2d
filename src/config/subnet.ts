import { BlockList, isIP } from 'node:net';
import { canonical } from './fields.ts';

/** A network in CIDR notation, asked about addresses in text form. */
export class Subnet {
  readonly #members = new BlockList();
  readonly #base: string;
  readonly #last: string | undefined;

  /** `cidr` is text that the `subnet()` field accepts, such as `10.1.0.0/24`. */
  constructor(cidr: string) {
    const [base, bits] = cidr.split('/');
    this.#members.addSubnet(base, Number(bits), family(base));
    this.#base = canonical(base);
    this.#last = isIP(base) === 4 ? broadcast(base, Number(bits)) : undefined;
  }

  /** Whether `address` is one of the network's, whatever it is there. */
  contains(address: string): boolean {
    return this.#members.check(address, family(address));
  }

  /**
   * Whether a host may have `address`: neither the network itself (for IPv6 all its routers, RFC 4291, 2.6.1) nor
   * its broadcast address.
   */
  isHost(address: string): boolean {
    return this.contains(address) && canonical(address) !== this.#base && address !== this.#last;
  }
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function broadcast(base: string, bits: number): string {
  const first = base.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const last = first + 2 ** (32 - bits) - 1;
  return [24, 16, 8, 0].map((shift) => Math.floor(last / 2 ** shift) % 256).join('.');
}
