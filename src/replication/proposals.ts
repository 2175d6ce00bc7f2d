/**
 * Records that members propose and that are not known yet to be with everybody. A record is proposed to all,
 * accepted by each, and *stable* once its proposer says that all have accepted it; only then does it enter the
 * table, and only by the table is a packet translated (invariant I2).
 *
 * Of one flow a member accepts one record at a time: another one is *deferred*, its acceptance withheld, until
 * the first is stable or withdrawn. Since every member must accept, at most one of two can become stable
 * (invariant I3). Of two proposers that race, who proposes the lower record withdraws it.
 *
 * When a proposer dies, its survivors inherit what they had accepted of it and propose it themselves: what one of
 * them may have used, all will have.
 */
import * as messages from './messages.ts';
import type { Done } from './pending.ts';
import { RecordArena } from './record-arena.ts';

/** How much speaks for a proposal; beyond that the higher (epoch, home) does. */
export const FRESH = 0;
/** Somebody who is gone proposed it, and may have used it. */
export const INHERITED = 1;
/** It is in the table of its proposer. */
export const STABLE = 2;
export type Rank = typeof FRESH | typeof INHERITED | typeof STABLE;

export interface ProposalEvents {
  /** The record in the table that `record` cannot take the place of, if there is one; valid until the next call. */
  standsAgainst(record: Uint8Array): Uint8Array | undefined;
  /** True if `first` prevails over `second`, a record for the same flow. */
  prevails(first: Uint8Array, second: Uint8Array): boolean;
  /** What identifies `record`, its flow and its epoch; valid until the next call. */
  keyOf(record: Uint8Array): Uint8Array;
  /** Another member's record holds its flow from now on. */
  accepted(from: number, record: Uint8Array): void;
  /** All have it: it belongs into the table. Valid during the call. */
  stable(from: number, record: Uint8Array): void;
  /** Sends a proposal of ours to all. */
  propose(rank: Rank, record: Uint8Array): void;
  /** Takes our proposal with this ticket back at all members. */
  withdraw(ticket: number, key: Uint8Array): void;
  /** Sends the deletion of a record to all, which somebody who is gone may have told to some only. */
  forget(key: Uint8Array): void;
  /** What was deferred in this datagram of the stream of a member is decided. */
  decided(from: number, datagram: number): void;
}

// What a place of the arena holds.
const ACCEPTED = 1;
const DEFERRED = 2;
/** The key of a record that is being deleted: no proposal of it is accepted any more. */
const DELETED = 3;
/** The flow of a head of another member that waits until no proposal of a third holds it. */
const HEAD = 4;

const NOBODY = -1;

export class Proposals {
  readonly #self: number;
  readonly #events: ProposalEvents;
  readonly #arena: RecordArena;
  /** By place: who waits for a proposal of ours. */
  readonly #done = new Map<number, Done>();
  readonly #scratch = new Uint8Array(messages.MAX_RECORD_BYTES);

  /** @param seed of the hash of flows, which strangers choose */
  constructor(self: number, seed: number, events: ProposalEvents) {
    this.#self = self;
    this.#events = events;
    this.#arena = new RecordArena(seed);
  }

  /** Proposals and deletions that are under way. */
  get size(): number {
    return this.#arena.size;
  }

  /** A number that grows with each proposal and deletion. */
  get serial(): number {
    return this.#arena.serial;
  }

  /** True once all that came up to `serial` is decided. */
  isDecided(serial: number): boolean {
    return this.#arena.oldest > serial;
  }

  /** Whose proposal holds a flow; undefined if none does. */
  proposerOf(flow: Uint8Array): number | undefined {
    const place = this.#acceptedFor(flow, flow.length);
    return place === NOBODY ? undefined : this.#arena.owner(place);
  }

  /** The record that is proposed and accepted for a flow, if one is; valid until the next call. */
  recordFor(flow: Uint8Array): Uint8Array | undefined {
    const place = this.#acceptedFor(flow, flow.length);
    return place === NOBODY ? undefined : this.#arena.record(place);
  }

  /**
   * Begins a proposal of ours, which will be sent with `ticket`; false if the flow is another member's.
   * @param done called with true when all have it; with false when it was withdrawn
   */
  begin(ticket: number, rank: Rank, record: Uint8Array, done: Done | undefined): boolean {
    const taken = this.#acceptedFor(record, messages.flowLengthOf(record.length));
    if (taken !== NOBODY && rank !== STABLE && !this.#arena.equals(taken, record)) return false;
    const place = this.#add(this.#self, ticket, rank, ACCEPTED, record);
    if (done !== undefined) this.#done.set(place, done);
    return true;
  }

  /**
   * Takes a proposal of another member.
   * @param datagram the number of the datagram that it came in
   * @returns false if it must wait: `decided` will tell
   */
  receive(from: number, datagram: number, ticket: number, rank: Rank, record: Uint8Array): boolean {
    const place = this.#add(from, ticket, rank, DEFERRED, record);
    this.#arena.setDatagram(place, datagram);
    return this.#decide(place);
  }

  /**
   * Takes a head of another member, whose bytes it will acknowledge to the client: not while a third one's record may become
   * the flow's, for then they would be nobody's.
   * @returns false if it must wait: `decided` will tell
   */
  receiveHead(from: number, datagram: number, flow: Uint8Array): boolean {
    if (!this.#isAnothers(flow, from)) return true;
    const place = this.#arena.add(from, 0, FRESH, HEAD, flow, flow.length);
    this.#arena.setDatagram(place, datagram);
    return false;
  }

  /** Another member takes a proposal back. */
  withdrawn(from: number, key: Uint8Array): void {
    this.#dropAll(key, from);
    this.#retry(messages.flowOfKey(key));
  }

  /**
   * A record is deleted, by `owner`'s message with this ticket: as a proposal, too. Until all know of it nobody
   * takes it up again, and if `owner` dies the others go on telling.
   */
  deleted(owner: number, ticket: number, key: Uint8Array): void {
    const flow = messages.flowOfKey(key);
    this.#dropAll(key, undefined);
    this.#arena.add(owner, ticket, FRESH, DELETED, key, flow.length);
    this.#retry(flow);
  }

  /** All have what `owner` sent with tickets up to this one. */
  settle(owner: number, ticket: number): void {
    for (;;) {
      const place = this.#arena.oldestOf(owner);
      if (place < 0) return;
      const state = this.#arena.state(place);
      // Who counts settled what we defer went on without us, and will say so.
      if (state === DEFERRED || state === HEAD) return;
      if (((ticket - this.#arena.ticket(place)) | 0) < 0) return;
      if (state === DELETED) this.#forgetDeletion(place);
      else this.#stabilize(place);
    }
  }

  /**
   * A member is gone.
   * @param inherits whether its unfinished work is ours now: a member that joins has not the whole table, and
   *   leaves that to the others
   */
  gone(owner: number, inherits: boolean): void {
    for (let place = this.#arena.oldestOf(owner); place >= 0; ) {
      const state = this.#arena.state(place);
      const rank = this.#arena.rank(place) === STABLE ? STABLE : INHERITED;
      const record = this.#take(place);
      if (inherits && state === DELETED) this.#events.forget(record);
      else if (inherits && state === ACCEPTED && !this.#isSupported(record)) {
        this.#events.propose(rank, record);
      }
      if (state !== HEAD) {
        const length =
          state === DELETED
            ? messages.flowOfKey(record).length
            : messages.flowLengthOf(record.length);
        this.#retry(record.subarray(0, length));
      }
      place = this.#arena.oldestOf(owner);
    }
  }

  /** Tells all who wait that it will not be, and forgets everything; returns how many they were. */
  fail(): number {
    const waiting = [...this.#done.values()];
    this.#done.clear();
    this.#arena.clear();
    for (const done of waiting) done(false);
    return waiting.length;
  }

  /** Accepts a deferred proposal if nothing is in its way; false if something is. */
  #decide(place: number): boolean {
    const arena = this.#arena;
    const record = arena.record(place);
    const length = messages.flowLengthOf(record.length);
    const serial = arena.serialOf(place);
    for (let other = arena.first(record, length); other >= 0; ) {
      const next = arena.next(other, record, length);
      if (this.#isForbidden(place, other)) return false;
      if (arena.state(other) === ACCEPTED && !arena.equals(other, record)) {
        if (arena.owner(other) !== this.#self || !this.#yields(other, place)) return false;
        this.#withdraw(other);
        // A peer that was too slow to be told may be gone by now, with what it proposed.
        if (arena.serialOf(place) !== serial) return false;
      }
      other = next;
    }
    const standing = this.#events.standsAgainst(record);
    if (standing !== undefined) {
      this.#assert(standing);
      return false;
    }
    arena.setState(place, ACCEPTED);
    this.#events.accepted(arena.owner(place), record);
    return true;
  }

  /** Whether `other` says that the record of `place` is deleted. Who said so itself knows what it does. */
  #isForbidden(place: number, other: number): boolean {
    const arena = this.#arena;
    if (arena.state(other) !== DELETED || arena.owner(other) === arena.owner(place)) return false;
    return arena.equals(other, this.#events.keyOf(arena.record(place)));
  }

  /** Whether our own proposal gives way to another member's. */
  #yields(own: number, other: number): boolean {
    const arena = this.#arena;
    if (arena.rank(own) !== arena.rank(other)) return arena.rank(own) < arena.rank(other);
    return this.#events.prevails(arena.record(other), arena.record(own));
  }

  #withdraw(place: number): void {
    const ticket = this.#arena.ticket(place);
    const record = this.#take(place, false);
    this.#events.withdraw(ticket, this.#events.keyOf(record));
    this.#finish(place, false);
  }

  /** Somebody proposes what cannot be: shows everybody the record that the flow has. */
  #assert(standing: Uint8Array): void {
    if (!this.#isSupported(standing)) this.#events.propose(STABLE, standing.slice());
  }

  #stabilize(place: number): void {
    const owner = this.#arena.owner(place);
    const record = this.#take(place, false);
    const length = messages.flowLengthOf(record.length);
    // What others proposed is done with, too.
    for (let other = this.#arena.first(record, length); other >= 0; ) {
      const next = this.#arena.next(other, record, length);
      if (this.#arena.state(other) === ACCEPTED && this.#arena.equals(other, record)) {
        this.#arena.remove(other);
        this.#finish(other, true);
      }
      other = next;
    }
    const flow = this.#isAnyDeferred ? record.slice(0, length) : undefined;
    if (!this.#finish(place, true)) this.#events.stable(owner, record);
    if (flow !== undefined) this.#retry(flow);
  }

  #forgetDeletion(place: number): void {
    // Hardly ever is anything deferred, and then nobody need know of which flow this was.
    if (this.#isAnyDeferred) this.#retry(messages.flowOfKey(this.#take(place)));
    else this.#arena.remove(place);
  }

  get #isAnyDeferred(): boolean {
    return this.#arena.count(DEFERRED) + this.#arena.count(HEAD) > 0;
  }

  /** Looks again at what was deferred for a flow. */
  #retry(flow: Uint8Array): void {
    if (!this.#isAnyDeferred) return;
    for (let place = this.#arena.first(flow, flow.length); place >= 0; ) {
      const next = this.#arena.next(place, flow, flow.length);
      const state = this.#arena.state(place);
      const owner = this.#arena.owner(place);
      const datagram = this.#arena.datagram(place);
      if (state === DEFERRED && this.#decide(place)) this.#events.decided(owner, datagram);
      else if (state === HEAD && !this.#isAnothers(flow, owner)) {
        this.#arena.remove(place);
        this.#events.decided(owner, datagram);
      }
      place = next;
    }
  }

  #add(owner: number, ticket: number, rank: Rank, state: number, record: Uint8Array): number {
    const length = messages.flowLengthOf(record.length);
    return this.#arena.add(owner, ticket, rank, state, record, length);
  }

  /** Ends the proposals of the record with `key`: those of one member, or of all. */
  #dropAll(key: Uint8Array, from: number | undefined): void {
    const flow = messages.flowOfKey(key);
    for (let place = this.#arena.first(flow, flow.length); place >= 0; ) {
      const next = this.#arena.next(place, flow, flow.length);
      const isMeant = from === undefined || this.#arena.owner(place) === from;
      if (isMeant && this.#proposes(place, key)) this.#drop(place);
      place = next;
    }
  }

  /** Ends a proposal that will not become stable. */
  #drop(place: number): void {
    const owner = this.#arena.owner(place);
    if (owner === this.#self) {
      this.#withdraw(place);
      return;
    }
    const deferred = this.#arena.state(place) === DEFERRED;
    const datagram = this.#arena.datagram(place);
    this.#arena.remove(place);
    if (deferred) this.#events.decided(owner, datagram);
  }

  /** Tells who waits for a proposal of ours; false if nobody does. */
  #finish(place: number, ok: boolean): boolean {
    const done = this.#done.get(place);
    if (done === undefined) return false;
    this.#done.delete(place);
    done(ok);
    return true;
  }

  /** Removes a place; returns what it held, a copy that lives until the next call unless `kept`. */
  #take(place: number, kept = true): Uint8Array {
    const held = this.#arena.record(place);
    const copy = kept ? held.slice() : this.#scratch.subarray(0, held.length);
    if (!kept) copy.set(held);
    this.#arena.remove(place);
    return copy;
  }

  /** True if somebody proposes just this record. */
  #isSupported(record: Uint8Array): boolean {
    const place = this.#acceptedFor(record, messages.flowLengthOf(record.length));
    return place !== NOBODY && this.#arena.equals(place, record);
  }

  /** The first proposal accepted for the flow in the first `length` bytes. */
  #acceptedFor(flow: Uint8Array, length: number): number {
    const arena = this.#arena;
    if (arena.size === 0) return NOBODY;
    for (let place = arena.first(flow, length); place >= 0; ) {
      if (arena.state(place) === ACCEPTED) return place;
      place = arena.next(place, flow, length);
    }
    return NOBODY;
  }

  /** True if a proposal of somebody else than `member` holds a flow. */
  #isAnothers(flow: Uint8Array, member: number): boolean {
    const holder = this.proposerOf(flow);
    return holder !== undefined && holder !== member;
  }

  /** True if a place holds a proposal of the record with `key`. */
  #proposes(place: number, key: Uint8Array): boolean {
    const state = this.#arena.state(place);
    if (state === DELETED || state === HEAD) return false;
    const own = this.#events.keyOf(this.#arena.record(place));
    return own.length === key.length && own.every((byte, index) => byte === key[index]);
  }
}
