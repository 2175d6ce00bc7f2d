// The members of a cluster as the configuration names them.
import type { Address } from '../ip/address.ts';

/** Ids are one byte on the wire. */
export const MAX_MEMBERS = 256;

export interface Member {
  /** Its place in the configuration, 0 to 255; all members must have the same order. */
  readonly id: number;
  readonly name: string;
  /** Where the mesh reaches it. */
  readonly address: Address;
}

/** Numbers the members in the order of the map. Throws a RangeError if there are more than 256. */
export function memberList(
  configured: ReadonlyMap<string, { readonly address: Address }>,
): readonly Member[] {
  if (configured.size > MAX_MEMBERS) {
    throw new RangeError(`a cluster has at most ${MAX_MEMBERS} members, not ${configured.size}`);
  }
  return Array.from(configured, ([name, { address }], id) => ({ id, name, address }));
}

/** What a member says of itself: 2 bits in every datagram. */
export const JOINING = 0;
export const ACTIVE = 1;
export const LEAVING = 2;
export type MemberState = typeof JOINING | typeof ACTIVE | typeof LEAVING;

export const isMemberState = (value: number): value is MemberState => value <= LEAVING;
