// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//
// Three forms meet here. *Full*: the 16-bit one's complement of the sum over pseudo-header and segment.
// *Partial*: the sum (not complemented) over the pseudo-header alone, which the virtio header's
// NEEDS_CSUM promises that somebody will complete. *Incremental*: a stored checksum changed for a word
// that changed. Sums are kept as plain numbers below 2^32 and folded late.

/** Folds a sum of 16-bit words (below 2^32) to 16 bits. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/**
 * Adds the 16-bit big-endian words of `bytes[start, end)` to `sum`; an odd last byte counts as the high
 * one. `end - start` is at most 65,536 bytes, so that the result stays below 2^32 for `sum` below 2^31.
 */
export function sumBytes(view: DataView, start: number, end: number, sum = 0): number {
  let total = sum;
  let at = start;
  for (; at + 1 < end; at += 2) total += view.getUint16(at);
  if (at < end) total += view.getUint8(at) << 8;
  return total;
}

/** The sum of a 32-bit value's two halves. */
export const sum32 = (value: number): number => (value >>> 16) + (value & 0xffff);

/** The checksum to store for a folded or unfolded sum. */
export const complement = (sum: number): number => ~fold(sum) & 0xffff;

/**
 * What the change of a 32-bit value adds to a sum: `~old + new` by halves (RFC 1624, eqn. 3).
 * Below 2^18, so that many changes can be added before folding.
 */
export function change32(before: number, after: number): number {
  return (
    (~before & 0xffff) + ((~before >>> 16) & 0xffff) + (after & 0xffff) + ((after >>> 16) & 0xffff)
  );
}

/** What the change of a 16-bit value adds to a sum. */
export const change16 = (before: number, after: number): number =>
  (~before & 0xffff) + (after & 0xffff);

/** A full checksum after changes that add up to `change` (RFC 1624: HC' = ~(~HC + ~m + m')). */
export const updateFull = (checksum: number, change: number): number =>
  ~fold((~checksum & 0xffff) + change) & 0xffff;

/** A partial checksum (a sum, not complemented) after changes that add up to `change`. */
export const updatePartial = (checksum: number, change: number): number => fold(checksum + change);
