/**
 * Who holds the addresses of a member that is gone: one survivor, the same in the eyes of all who have the
 * same view, and the rest of the members keep what they have when one more goes (rendezvous hashing).
 */

/** The members that serve, as one member sees it. */
export interface View {
  /** Grows with each change; local to the member. */
  readonly number: number;
  /** Those that serve: they take new flows and hold addresses. Ids in ascending order. */
  readonly active: readonly number[];
  /** Those that go on with flows of their own: the active ones, and those that leave. Ids in ascending order. */
  readonly homes: readonly number[];
}

/** How well `candidate` suits `member`; uniform over uint32 (the finalizer of MurmurHash3). */
function weight(member: number, candidate: number): number {
  let mixed = Math.imul(member * 256 + candidate + 1, 0x9e37_79b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** The id of the member that must hold the addresses of `member`; undefined if nobody serves. */
export const ownerOf = (member: number, active: readonly number[]): number | undefined =>
  active.includes(member) ? member : chosenFor(member, active);

/**
 * The one of `active` that suits a key best; undefined if nobody serves.
 * @param key an integer from 0 to 2^24 - 1
 */
export function chosenFor(key: number, active: readonly number[]): number | undefined {
  let chosen: number | undefined;
  let best = -1;
  for (const candidate of active) {
    const suits = weight(key, candidate);
    if (suits > best) {
      best = suits;
      chosen = candidate;
    }
  }
  return chosen;
}

/**
 * The id of the member that goes on with what `member` began: itself, also while it leaves; undefined if nobody
 * serves.
 */
export const homeOf = (member: number, { active, homes }: View): number | undefined =>
  homes.includes(member) ? member : chosenFor(member, active);

/** The members, of `count` in all, whose addresses `self` must hold. */
export const holdings = (self: number, count: number, active: readonly number[]): number[] =>
  Array.from({ length: count }, (_, id) => id).filter((id) => ownerOf(id, active) === self);
