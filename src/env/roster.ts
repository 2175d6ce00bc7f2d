/** Something that can be in one roster at a time. */
export interface Seat {
  /** Its place in the roster; -1 outside of one. */
  place: number;
}

/**
 * A set for what comes and goes all the time, in no order. A `Set` or `Map` that grows old leaves behind, at
 * every few insertions, a dead table that refers to its members and to the next table; once the first of
 * them has been promoted, the engine's young collections take all of it for alive, and copy it.
 */
export class Roster<T extends Seat> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    if (member.place >= 0) return;
    member.place = this.#members.length;
    this.#members.push(member);
  }

  delete(member: T): void {
    const { place } = member;
    if (place < 0) return;
    member.place = -1;
    const last = this.#members.pop();
    if (last === undefined || last === member) return;
    this.#members[place] = last;
    last.place = place;
  }

  /** All members now, in no order. */
  list(): T[] {
    return this.#members.slice();
  }
}
