/**
 * The store beside the mesh, as a member uses it.
 *
 * In the common case the mesh alone decides: all members have all records. The store is for when they have lost
 * them: every member died, or the side that a partition cut off had to give up its table. So it is written with
 * every commit, and read when a member starts with an empty table and when a packet belongs to nobody.
 *
 * A store that is slow, gone or full of nonsense costs what it was to give, and nothing else: nothing waits for it
 * longer than `timeout`, and what it says is used only if it proves itself (`reader.ts`).
 */
import { type Clock, MILLISECOND, type Micros, SECOND } from '../../env/clock.ts';
import type { Logger } from '../../env/logger.ts';
import type { Random } from '../../env/random.ts';
import { Timer, type Timers } from '../../env/timers.ts';
import { Contact } from './contact.ts';
import { type StoreCounters, storeCounters } from './counters.ts';
import { Reader, type ReaderOptions } from './reader.ts';
import type { RecordSealer, Way } from './sealed-record.ts';
import type { Store } from './store.ts';
import { Writer, type WriterOptions } from './writer.ts';

/** How long a member that starts with an empty table waits for a store that it does not reach. */
const START_PATIENCE: Micros = SECOND;

export interface KeeperOptions {
  readonly store: Store;
  /** By each of the cluster's secrets: records are written with all, and read with the first. Not empty. */
  readonly sealers: readonly RecordSealer[];
  /** How long a value lives that is not written again, in milliseconds. */
  readonly ttlMs: number;
  /** How long a commit waits for the store. */
  readonly timeout: Micros;
  readonly table: WriterOptions['table'];
  readonly isOurs: WriterOptions['isOurs'];
  readonly ownerOf: ReaderOptions['ownerOf'];
  readonly isHeld: ReaderOptions['isHeld'];
  readonly restore: ReaderOptions['restore'];
  /** Like `restore`, while no other member has a table. */
  readonly take: (record: Uint8Array) => boolean;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

export class Keeper {
  readonly counters: StoreCounters = storeCounters();
  readonly #options: KeeperOptions;
  readonly #contact: Contact;
  readonly #writer: Writer;
  readonly #reader: Reader;
  readonly #patience: Timer;
  #sealers: readonly RecordSealer[];
  /** Until when the store may have records that nobody here has read. */
  #unreadUntil: Micros = 0;
  /** Grows with each new start; what was begun before is void. */
  #life = 0;
  #preparation: 'none' | 'begun' | 'over' = 'none';
  #isLoading = false;
  #wasWell = false;
  #isClosed = false;

  constructor(options: KeeperOptions) {
    const { store, timeout, clock, timers } = options;
    this.#options = options;
    this.#contact = new Contact({ store, timeout, clock, timers });
    this.#sealers = options.sealers;
    const sealers = (): readonly RecordSealer[] => this.#sealers;
    const shared = { ...options, sealers, contact: this.#contact, counters: this.counters };
    this.#reader = new Reader(shared);
    this.#writer = new Writer({ ...shared, onComplete: () => this.#complete() });
    this.#contact.onLost = (reason) => this.#lost(reason);
    this.#contact.onBack = () => {
      this.#writer.catchUp();
      this.#load();
    };
    this.#patience = new Timer(() => {
      this.#warn('it cannot be reached');
      this.#preparation = 'over';
    });
  }

  /** Connects. */
  open(): void {
    this.#contact.start();
  }

  close(): void {
    this.#isClosed = true;
    this.#life++;
    this.#options.timers.remove(this.#patience);
    this.#writer.close();
    this.#contact.close();
  }

  /** True if the store answers, and in time. */
  get isReachable(): boolean {
    return this.#contact.isReachable;
  }

  /** True if the store answers and has all that this member must write. */
  get isWell(): boolean {
    return this.#contact.isReachable && this.#writer.isComplete;
  }

  /** Removals that wait for the store. */
  get removalsWaiting(): number {
    return this.#writer.removalsWaiting;
  }

  /**
   * Whether this member, whose table is empty and which finds nobody who has one, has read what the store has.
   * Ask again until it is so: it is in any case once the store has been given up on.
   */
  isPrepared(): boolean {
    const { clock, timers, ttlMs } = this.#options;
    if (this.#preparation === 'none') {
      this.#preparation = 'begun';
      // What nobody reads and nobody writes is gone by then.
      this.#unreadUntil = clock.now() + ttlMs * MILLISECOND;
      timers.set(this.#patience, clock.now() + START_PATIENCE);
      this.#load();
    }
    return this.#preparation === 'over';
  }

  /** This member serves from now on, with what is in its table. */
  begin(): void {
    const { clock, ttlMs } = this.#options;
    // Who gave it the table may not have reached the store either.
    if (this.#preparation === 'none' && !this.#contact.isReachable) {
      this.#unreadUntil = clock.now() + ttlMs * MILLISECOND;
    }
    this.#preparation = 'over';
    // What it has from the store may have been written long ago.
    if (this.#contact.isReachable) this.#writer.catchUp();
  }

  /** Other secrets from now on: all that lives is written with them. */
  rekey(sealers: readonly RecordSealer[]): void {
    this.#sealers = sealers;
    if (this.#contact.isReachable) this.#writer.catchUp();
  }

  /** This member's table is empty again. */
  restart(): void {
    this.#life++;
    this.#preparation = 'none';
    this.#isLoading = false;
    this.#unreadUntil = 0;
    this.#options.timers.remove(this.#patience);
  }

  /** Calls `done` once a record (64 or 112 bytes) is in the store, or as soon as it is no use to wait. */
  commit(record: Uint8Array, done: () => void): void {
    this.#writer.commit(record, done);
  }

  /** A record of the table is over, and all members forget it. */
  remove(record: Uint8Array): void {
    if (!this.#isClosed && this.#options.isOurs(record)) this.#writer.remove(record);
  }

  /**
   * A packet came for a flow that nobody here knows; it is looked up, and the packet's sender will repeat it.
   * @param way source, destination and ports of the packet as they lie in a frame
   * @returns true if it is certain that there is no such flow: it may be reset
   */
  isUnknown(kind: Way, way: Uint8Array): boolean {
    if (this.#contact.isReachable) return this.#reader.isUnknown(kind, way);
    // The mesh knows all its flows, unless it began with nothing and could not ask.
    return this.#options.clock.now() >= this.#unreadUntil;
  }

  /** The member that the record of a client's flow was found to be for; undefined if none was. */
  holderOf(way: Uint8Array): number | undefined {
    return this.#reader.holderOf(way);
  }

  #load(): void {
    if (this.#unreadUntil === 0 || this.#isLoading || !this.#contact.isReachable) return;
    const { clock, logger, timers, take, restore, isHeld } = this.#options;
    const life = this.#life;
    const began = clock.now();
    this.#isLoading = true;
    timers.remove(this.#patience);
    // Until it serves nobody else has a table. Then all must agree, and each member reads for itself.
    const isFirst = (): boolean => this.#preparation === 'begun';
    this.#reader.loadAll(
      {
        takes: (owner) => isFirst() || isHeld(owner),
        restore: (record, done) => {
          if (isFirst()) done(take(record));
          else restore(record, done);
        },
        goesOn: () => life === this.#life,
      },
      (ok) => {
        if (life !== this.#life) return;
        this.#isLoading = false;
        this.#preparation = 'over';
        if (!ok) return;
        this.#unreadUntil = 0;
        const { restored } = this.counters;
        const milliseconds = Math.round((clock.now() - began) / MILLISECOND);
        logger.info({ restored, milliseconds }, 'records taken back from the store');
      },
    );
  }

  #lost(reason: string): void {
    this.#writer.lost();
    this.#warn(reason);
    // Its records have been waited for long enough; what it tells later is taken later.
    if (this.#preparation === 'begun') this.#preparation = 'over';
  }

  /** Once an outage. */
  #warn(reason: string): void {
    if (!this.#wasWell && this.counters.outages > 0) return;
    this.#wasWell = false;
    this.counters.outages++;
    this.#options.logger.warn(
      { reason },
      'the store is unreachable: connections go on with the mesh alone',
    );
  }

  #complete(): void {
    this.#wasWell = true;
    this.#options.logger.info({ records: this.#options.table.size }, 'the store has every record');
  }
}
