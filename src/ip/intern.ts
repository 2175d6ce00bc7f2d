// IPv6 addresses as strings without a new string for each packet: a small direct-mapped cache of those seen
// last. What falls out is built again; nothing depends on two equal strings being one.
import { readAddress } from '../wire/ipv6.ts';
import { type Address, fromIpv6 } from './address.ts';

/** Places of the cache, a power of two. */
const PLACES = 1_024;
const MASK = PLACES - 1;

const words = new Uint32Array(4 * PLACES);
const addresses: Address[] = new Array<Address>(PLACES).fill(fromIpv6('\0'.repeat(16)));

/** The IPv6 address at `at`. */
export function readIpv6(view: DataView, at: number): Address {
  const w0 = view.getUint32(at);
  const w1 = view.getUint32(at + 4);
  const w2 = view.getUint32(at + 8);
  const w3 = view.getUint32(at + 12);
  const mixed = Math.imul(
    w0 ^ Math.imul(w1, 0x85eb_ca6b) ^ Math.imul(w2, 0xc2b2_ae35) ^ w3,
    0x9e37_79b1,
  );
  const place = (mixed >>> 16) & MASK;
  const first = 4 * place;
  if (
    words[first] === w0 &&
    words[first + 1] === w1 &&
    words[first + 2] === w2 &&
    words[first + 3] === w3
  ) {
    return addresses[place];
  }
  const address = fromIpv6(readAddress(view, at));
  words[first] = w0;
  words[first + 1] = w1;
  words[first + 2] = w2;
  words[first + 3] = w3;
  addresses[place] = address;
  return address;
}
