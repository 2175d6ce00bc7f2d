/**
 * A hash of a flow's bytes, of which all bits depend on all of them.
 * @param length a multiple of 4
 * @param seed one of ours: strangers choose the flows
 */
export function flowHash(bytes: Uint8Array, at: number, length: number, seed: number): number {
  let hash = seed;
  for (let byte = at; byte < at + length; byte += 4) {
    const high = (bytes[byte] << 24) | (bytes[byte + 1] << 16);
    hash = Math.imul(hash ^ (high | (bytes[byte + 2] << 8) | bytes[byte + 3]), 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return hash ^ (hash >>> 13);
}
