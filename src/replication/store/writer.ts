/**
 * What this member writes to the store: each record that it commits, before it is used; all records that are its
 * own, again and again while they live, and at once after an outage; and removals.
 *
 * A record is its home's to write and to remove, or who adopted the home's addresses: one writer at a time, whose
 * commands the store carries out in their order.
 */
import { type Clock, MILLISECOND, type Micros } from '../../env/clock.ts';
import { Timer, type Timers } from '../../env/timers.ts';
import type { RecordSource } from '../snapshot.ts';
import type { Contact } from './contact.ts';
import type { StoreCounters } from './counters.ts';
import type { RecordSealer } from './sealed-record.ts';
import type { Entry } from './store.ts';

/** Passes through the table in the life of a value: two may fail. */
const PASSES = 4;
/** Longest pause between two steps of a pass, and between those after an outage. */
const STEP: Micros = 100 * MILLISECOND;
const FAST_STEP: Micros = 2 * MILLISECOND;
/** Records of one fast step, and writes that wait for an answer at most. */
const FAST_SLICE = 32;
const MAX_OPEN = 512;
/** Removals that wait for the store to come back. */
const MAX_REMOVALS = 16_384;

export interface WriterOptions {
  readonly contact: Contact;
  /** Each writes under names of its own. */
  readonly sealers: () => readonly RecordSealer[];
  readonly ttlMs: number;
  readonly table: RecordSource & { readonly size: number };
  /** True if this member writes that record: its home's addresses are held here. */
  readonly isOurs: (record: Uint8Array) => boolean;
  /** All that lives is in the store again. */
  readonly onComplete: () => void;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly counters: StoreCounters;
}

interface Removal {
  readonly names: Entry['names'];
  readonly identity: Uint8Array;
}

export class Writer {
  readonly #options: WriterOptions;
  /** Of commits that wait for the store. */
  readonly #waiting = new Set<() => void>();
  /** By identity. */
  readonly #removals = new Map<string, Removal>();
  readonly #timer: Timer;
  readonly #answered = (): void => {
    this.#unanswered--;
  };
  /** Where the pass through the table is, -1 between two passes. */
  #cursor = -1;
  #passBegan: Micros = 0;
  /** Whether something may not be in the store. */
  #isBehind = true;
  /** Writes and removals of passes that are not answered. */
  #unanswered = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#timer = new Timer((now) => this.#step(now));
  }

  /** True if the store has every record that is this member's to write, as far as it is known. */
  get isComplete(): boolean {
    return !this.#isBehind;
  }

  /** Removals that wait. */
  get removalsWaiting(): number {
    return this.#removals.size;
  }

  /** Calls `done` once the store has the record, or is given up on: at once if it is unreachable. */
  commit(record: Uint8Array, done: () => void): void {
    const { contact, counters } = this.#options;
    if (!contact.isReachable) {
      counters.commitsAlone++;
      done();
      return;
    }
    const release = (): void => {
      if (this.#waiting.delete(release)) done();
    };
    this.#waiting.add(release);
    this.#write(record, (isStored) => {
      if (isStored && this.#waiting.has(release)) counters.commits++;
      else if (this.#waiting.has(release)) counters.commitsAlone++;
      release();
    });
  }

  /** A record is over. */
  remove(record: Uint8Array): void {
    const { contact, sealers, counters } = this.#options;
    counters.removals++;
    for (const sealer of sealers()) {
      const removal = { names: sealer.names(record), identity: sealer.identityOf(record) };
      if (contact.isReachable) this.#remove(removal, () => {});
      else this.#postpone(removal);
    }
  }

  /** The store is unreachable: nobody waits for it. */
  lost(): void {
    const { counters, timers } = this.#options;
    timers.remove(this.#timer);
    this.#isBehind = true;
    this.#cursor = -1;
    counters.commitsAlone += this.#waiting.size;
    for (const release of [...this.#waiting]) release();
  }

  /** The store may be used: what it missed is written, as fast as is good. */
  catchUp(): void {
    const { clock, timers } = this.#options;
    this.#isBehind = true;
    this.#cursor = 0;
    this.#passBegan = clock.now();
    timers.set(this.#timer, this.#passBegan);
  }

  close(): void {
    this.#options.timers.remove(this.#timer);
    this.#waiting.clear();
  }

  #write(record: Uint8Array, done: (isStored: boolean) => void): void {
    const { contact, sealers, clock, counters, ttlMs } = this.#options;
    const all = sealers();
    let left = all.length;
    let isStored = true;
    counters.writes++;
    for (const sealer of all) {
      contact.put(sealer.seal(record, clock.wall()), ttlMs, (outcome) => {
        if (outcome === 'failed') counters.writesFailed++;
        else if (outcome === 'newer') counters.writesOutdated++;
        isStored &&= outcome === 'stored';
        if (--left === 0) done(isStored);
      });
    }
  }

  #remove(removal: Removal, done: () => void): void {
    this.#options.contact.remove(removal.names, removal.identity, (ok) => {
      if (!ok) this.#postpone(removal);
      done();
    });
  }

  #postpone(removal: Removal): void {
    const { counters } = this.#options;
    if (this.#removals.size >= MAX_REMOVALS) {
      counters.removalsForgotten++;
      return;
    }
    this.#removals.set(Buffer.from(removal.identity).toString('latin1'), removal);
  }

  #step(now: Micros): void {
    const { timers } = this.#options;
    if (this.#isBehind) this.#writeMissing();
    else if (this.#cursor >= 0) this.#refresh();
    else {
      this.#cursor = 0;
      this.#passBegan = now;
      this.#refresh();
    }
    if (!this.#options.contact.isReachable) return;
    timers.set(this.#timer, now + this.#pause(now));
  }

  #pause(now: Micros): Micros {
    if (this.#isBehind) return FAST_STEP;
    if (this.#cursor >= 0) return this.#stepTime;
    return Math.max(this.#stepTime, this.#passBegan + this.#period - now);
  }

  get #period(): Micros {
    return (this.#options.ttlMs * MILLISECOND) / PASSES;
  }

  get #stepTime(): Micros {
    return Math.min(STEP, this.#period / 16);
  }

  /** Goes through the table at the pace that brings it to the end in time. */
  #refresh(): void {
    const { table } = this.#options;
    const share = Math.ceil((2 * table.size * this.#stepTime) / this.#period);
    this.#visit(Math.max(1, share));
  }

  /** What was removed goes first, since it may still be found. */
  #writeMissing(): void {
    let left = FAST_SLICE;
    for (const [identity, removal] of this.#removals) {
      if (left-- === 0) return;
      this.#removals.delete(identity);
      this.#unanswered++;
      this.#remove(removal, this.#answered);
    }
    if (this.#unanswered >= MAX_OPEN) return;
    if (this.#cursor >= 0) this.#visit(left);
    if (this.#cursor >= 0 || this.#unanswered > 0 || this.#removals.size > 0) return;
    this.#isBehind = false;
    this.#options.onComplete();
  }

  #visit(limit: number): void {
    const { table, isOurs } = this.#options;
    this.#cursor = table.forEachRecord(this.#cursor, limit, (record) => {
      if (!isOurs(record)) return;
      this.#unanswered++;
      this.#write(record, this.#answered);
    });
  }
}
