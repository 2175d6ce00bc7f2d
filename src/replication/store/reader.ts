/**
 * What this member reads from the store: the record of a flow that a packet is for and that nobody here knows, and
 * all records of the cluster when its members have lost theirs.
 *
 * **A record is used only if both its names lead to it.** The value under the client's name and the one under the
 * backend's are written together; a later connection from the same source port to the same backend takes over the
 * second, so what is left under the first says nothing any more.
 */
import { type Clock, type Micros, SECOND } from '../../env/clock.ts';
import type { Random } from '../../env/random.ts';
import type { Contact } from './contact.ts';
import type { StoreCounters } from './counters.ts';
import { ASKED, FOREIGN, MEMBER, Memo, NOTHING, UNKNOWN } from './memo.ts';
import type { RecordSealer, Way } from './sealed-record.ts';

/** Lookups a second, at once, and unanswered: strangers may send what they like. */
const RATE = 2_000;
const BURST = 500;
const MAX_OPEN = 256;
/** How long an answer is remembered, and a question that gets none. */
const REMEMBERED: Micros = 2 * SECOND;
const PATIENCE: Micros = SECOND;
/** Seconds by which the members' times of day may differ. */
const SKEW = 60;

export interface ReaderOptions {
  readonly contact: Contact;
  /** The first is read with. */
  readonly sealers: () => readonly RecordSealer[];
  readonly ttlMs: number;
  /** The member that a record's source address belongs to; undefined if the configuration does not know it. */
  readonly ownerOf: (record: Uint8Array) => number | undefined;
  /**
   * True if the addresses of a member are held here. Who holds a source address gives out its ports, and so it
   * alone knows whether one has another use now: nobody else takes a record back.
   */
  readonly isHeld: (member: number) => boolean;
  /**
   * Has all members take a record back, unless it contradicts what one of them has.
   * @param record may be kept
   */
  readonly restore: (record: Uint8Array, done: (ok: boolean) => void) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: StoreCounters;
}

/** How all records are taken back. */
export interface Loading {
  /** True if it takes those with source addresses of this member. */
  readonly takes: (owner: number) => boolean;
  readonly restore: ReaderOptions['restore'];
  /** False to stop. */
  readonly goesOn: () => boolean;
}

/** A record, and the member that its source address belongs to. */
interface Owned {
  readonly record: Uint8Array;
  readonly owner: number;
}

/** Why a value is not used; or the record. */
type Verdict = Owned | 'forged' | 'expired' | 'foreign';

export class Reader {
  readonly #options: ReaderOptions;
  readonly #memo: Memo;
  #open = 0;
  #tokens = BURST;
  #filledAt: Micros = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#memo = new Memo(options.random);
  }

  /**
   * Looks for the record of a flow, once, however many packets come.
   * @param way of the packet, as a record begins
   * @returns true if it is known that there is none
   */
  isUnknown(kind: Way, way: Uint8Array): boolean {
    const { clock, contact, counters } = this.#options;
    const now = clock.now();
    const finding = this.#memo.get(way, now);
    if (finding !== NOTHING) return finding === UNKNOWN;
    if (!contact.isReachable) return false;
    if (this.#open >= MAX_OPEN || !this.#takeToken(now)) {
      counters.lookupsRefused++;
      return false;
    }
    counters.lookups++;
    this.#memo.set(way, ASKED, now + PATIENCE);
    this.#lookUp(kind, way.slice());
    return false;
  }

  /** The member that the record of a client's flow was found to be for; undefined if none was. */
  holderOf(way: Uint8Array): number | undefined {
    const finding = this.#memo.get(way, this.#options.clock.now());
    return finding >= MEMBER ? finding - MEMBER : undefined;
  }

  /** Takes back all records of this cluster that the store has; `done(false)` if it failed, or was stopped. */
  loadAll(loading: Loading, done: (ok: boolean) => void): void {
    const { contact } = this.#options;
    const sealer = this.#sealer;
    const page = (cursor: string): void => {
      contact.scan(sealer.namesOf('c'), cursor, (found) => {
        if (found === undefined || !loading.goesOn()) done(false);
        else {
          this.#loadPage(found.names, loading, (ok) => {
            if (!ok || !loading.goesOn()) done(false);
            else if (found.next === undefined) done(true);
            else page(found.next);
          });
        }
      });
    };
    page('');
  }

  get #sealer(): RecordSealer {
    return this.#options.sealers()[0];
  }

  #lookUp(kind: Way, way: Uint8Array): void {
    const { contact, counters } = this.#options;
    const sealer = this.#sealer;
    const name = sealer.nameOf(kind, way);
    this.#open++;
    contact.get([name], (values) => {
      if (values === undefined) {
        counters.lookupsFailed++;
        this.#conclude(way, NOTHING);
      } else if (values[0] === undefined) {
        counters.lookupsEmpty++;
        this.#conclude(way, UNKNOWN);
      } else this.#found(kind, way, name, values[0]);
    });
  }

  #found(kind: Way, way: Uint8Array, name: string, value: Uint8Array): void {
    const { contact, counters, isHeld } = this.#options;
    const sealer = this.#sealer;
    const opened = this.#judge(name, value);
    if (typeof opened === 'string') {
      // Another cluster's connection is not ours to reset.
      this.#conclude(way, opened === 'foreign' ? FOREIGN : UNKNOWN);
      return;
    }
    const names = sealer.names(opened.record);
    contact.get([names[kind === 'c' ? 1 : 0]], (others) => {
      if (others === undefined) {
        counters.lookupsFailed++;
        this.#conclude(way, NOTHING);
      } else if (!isSame(value, others[0])) {
        counters.dropReplaced++;
        this.#conclude(way, UNKNOWN);
      } else if (!isHeld(opened.owner)) {
        counters.lookupsElsewhere++;
        this.#conclude(way, MEMBER + opened.owner);
      } else {
        this.#restore(opened, this.#options.restore, (ok) =>
          this.#conclude(way, ok ? NOTHING : UNKNOWN),
        );
      }
    });
  }

  #conclude(way: Uint8Array, finding: number): void {
    this.#open--;
    this.#memo.set(way, finding, this.#options.clock.now() + REMEMBERED);
  }

  #loadPage(names: readonly string[], loading: Loading, done: (ok: boolean) => void): void {
    const { contact, counters } = this.#options;
    const sealer = this.#sealer;
    if (names.length === 0) {
      done(true);
      return;
    }
    contact.get(names, (values) => {
      if (values === undefined) {
        done(false);
        return;
      }
      const found: { readonly opened: Owned; readonly value: Uint8Array }[] = [];
      for (const [index, value] of values.entries()) {
        const opened = value === undefined ? 'expired' : this.#judge(names[index], value);
        if (value !== undefined && typeof opened === 'object') found.push({ opened, value });
      }
      if (found.length === 0) {
        done(true);
        return;
      }
      const others = found.map(({ opened }) => sealer.names(opened.record)[1]);
      contact.get(others, (confirmations) => {
        if (confirmations === undefined) {
          done(false);
          return;
        }
        let left = 1;
        const restored = (): void => {
          if (--left === 0) done(true);
        };
        for (const [index, { opened, value }] of found.entries()) {
          if (!isSame(value, confirmations[index])) counters.dropReplaced++;
          else if (loading.takes(opened.owner)) {
            left++;
            this.#restore(opened, loading.restore, restored);
          }
        }
        restored();
      });
    });
  }

  /** What a value under `name` is worth by itself. */
  #judge(name: string, value: Uint8Array): Verdict {
    const { clock, counters, ttlMs, ownerOf } = this.#options;
    const sealer = this.#sealer;
    const opened = sealer.open(value);
    // An authentic value that somebody copied to another name is no better than one that he made up.
    if (opened === undefined || !sealer.names(opened.record).includes(name)) {
      counters.dropForged++;
      return 'forged';
    }
    // One that was copied aside and put back is found out by its age.
    if (clock.wall() - opened.writtenAt > ttlMs / 1_000 + SKEW) {
      counters.dropExpired++;
      return 'expired';
    }
    const { record, cluster } = opened;
    const owner = cluster === sealer.cluster ? ownerOf(record) : undefined;
    if (owner === undefined) {
      counters.dropForeign++;
      return 'foreign';
    }
    return { record, owner };
  }

  #restore(
    { record }: Owned,
    restore: ReaderOptions['restore'],
    done: (ok: boolean) => void,
  ): void {
    const { counters } = this.#options;
    restore(record, (ok) => {
      if (ok) counters.restored++;
      else counters.dropConflicting++;
      done(ok);
    });
  }

  #takeToken(now: Micros): boolean {
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#filledAt) * RATE) / SECOND);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

const isSame = (value: Uint8Array, other: Uint8Array | undefined): boolean =>
  other !== undefined && Buffer.compare(value, other) === 0;
