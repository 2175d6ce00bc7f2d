/**
 * Who holds the addresses of a member that is gone: one survivor, the same in the eyes of all who have the
 * same view, and the rest of the members keep what they have when one more goes (rendezvous hashing).
 */

/** The members that serve, as one member sees it. */
export interface View {
  /** Grows with each change; local to the member. */
  readonly number: number;
  /** Ids in ascending order. */
  readonly active: readonly number[];
}

/** How well `candidate` suits `member`; uniform over uint32 (the finalizer of MurmurHash3). */
function weight(member: number, candidate: number): number {
  let mixed = Math.imul(member * 256 + candidate + 1, 0x9e37_79b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** The id of the member that must hold the addresses of `member`; undefined if nobody serves. */
export function ownerOf(member: number, active: readonly number[]): number | undefined {
  if (active.includes(member)) return member;
  let owner: number | undefined;
  let best = -1;
  for (const candidate of active) {
    const suits = weight(member, candidate);
    if (suits > best) {
      best = suits;
      owner = candidate;
    }
  }
  return owner;
}

/** The members, of `count` in all, whose addresses `self` must hold. */
export const holdings = (self: number, count: number, active: readonly number[]): number[] =>
  Array.from({ length: count }, (_, id) => id).filter((id) => ownerOf(id, active) === self);
