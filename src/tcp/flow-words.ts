// A flow's addresses and ports as 32-bit words, for the keyed hashes.
import { type Address, addressWords } from '../ip/address.ts';

export { addressWords };

/** Writes both end points of a flow into `words`; how many words they take, nine at most. */
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
