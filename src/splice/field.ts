// Changes to header fields, and what they add to an Internet checksum's sum.
import * as checksums from '../wire/checksum.ts';

// The engine folds what a module binds itself into its code, and loads what it imports at each use.
const { change32, fold } = checksums;

/** The bytes of a folded sum exchanged: what it is worth one byte further on (RFC 1071, section 2B). */
export const swapped = (sum: number): number => ((sum & 0xff) << 8) | (sum >>> 8);

/** What changes of words in the machine's byte order add to a sum, folded (RFC 1071, section 2B). */
export const ofWords = (change: number): number => swapped(fold(change));

/** What a change at offset `at` adds: at an odd one the bytes of the sum's words change places. */
export const aligned = (at: number, change: number): number =>
  (at & 1) === 0 ? change : swapped(fold(change));

/** Adds `shift` to the 32-bit field at any offset, modulo 2^32; returns what that adds to a sum. */
export function addTo(view: DataView, at: number, shift: number): number {
  if (shift === 0) return 0;
  const before = view.getInt32(at);
  const after = (before + shift) | 0;
  view.setInt32(at, after);
  return aligned(at, change32(before, after));
}
