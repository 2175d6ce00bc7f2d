// A flow's addresses and ports as 32-bit words, for the keyed hashes.
import { type Address, toIpv4 } from '../ip/address.ts';

/** Writes an address into `words` from `at` on; the next free place. */
export function addressWords(address: Address, words: Uint32Array, at: number): number {
  words[at] = toIpv4(address);
  return at + 1;
}

/** Writes both end points of a flow into `words`; how many words they take. */
export function flowWords(
  words: Uint32Array,
  local: Address,
  localPort: number,
  remote: Address,
  remotePort: number,
): number {
  let count = addressWords(local, words, 0);
  count = addressWords(remote, words, count);
  words[count] = localPort * 65_536 + remotePort;
  return count + 1;
}
