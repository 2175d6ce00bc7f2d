/**
 * A store in memory, for tests and simulations: what several members share, with the delays and failures that a
 * real one has. Time is the members' own, so it runs on a virtual clock as well.
 */
import type { Clock, Micros } from '../../env/clock.ts';
import { MILLISECOND } from '../../env/clock.ts';
import { Timer, type Timers } from '../../env/timers.ts';
import {
  type Entry,
  EPOCH_AT,
  IDENTITY_AT,
  IDENTITY_BYTES,
  type PutOutcome,
  type ScanPage,
  type Store,
} from './store.ts';

interface Kept {
  readonly value: Uint8Array;
  readonly until: Micros;
}

/** `down`: refuses connections and has closed those it had. `hung`: answers nothing until it goes on. */
export type ServerState = 'up' | 'down' | 'hung';

/** Names on a page of `scan`. */
const PAGE = 64;

/** What the members' stores are connected to. */
export class MemoryServer {
  /** From a question to its answer. */
  latency: Micros = 0;
  /** By name; also for tests that put something there themselves. */
  readonly kept = new Map<string, Kept>();
  readonly asked = { put: 0, get: 0, remove: 0, scan: 0 };
  readonly #clock: Clock;
  readonly #stores = new Set<MemoryStore>();
  #state: ServerState = 'up';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): ServerState {
    return this.#state;
  }

  set state(state: ServerState) {
    this.#state = state;
    for (const store of this.#stores) store.changed();
  }

  /** Values that have not expired. */
  get size(): number {
    let size = 0;
    for (const name of this.kept.keys()) if (this.read(name) !== undefined) size++;
    return size;
  }

  connect(store: MemoryStore): void {
    this.#stores.add(store);
  }

  disconnect(store: MemoryStore): void {
    this.#stores.delete(store);
  }

  read(name: string): Uint8Array | undefined {
    const kept = this.kept.get(name);
    if (kept === undefined || kept.until > this.#clock.now()) return kept?.value;
    this.kept.delete(name);
    return undefined;
  }

  write({ names, value }: Entry, ttl: Micros): PutOutcome {
    for (const name of names) {
      const old = this.read(name);
      if (old !== undefined && epochOf(old) > epochOf(value)) return 'newer';
    }
    const until = this.#clock.now() + ttl;
    for (const name of names) this.kept.set(name, { value, until });
    return 'stored';
  }
}

/** One member's connection to a `MemoryServer`. */
export class MemoryStore implements Store {
  onChange: (() => void) | undefined;
  readonly #server: MemoryServer;
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** What a server that hangs has not answered yet. */
  #unanswered: (() => void)[] = [];
  /** Those who wait, to be told when the connection breaks. */
  readonly #failing = new Set<() => void>();
  #isOpen = false;
  #isUp = false;

  /** @param timers of the member: answers come when they run */
  constructor(server: MemoryServer, clock: Clock, timers: Timers) {
    this.#server = server;
    this.#clock = clock;
    this.#timers = timers;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  open(): void {
    this.#isOpen = true;
    this.#server.connect(this);
    this.changed();
  }

  close(): void {
    this.#isOpen = false;
    this.#isUp = false;
    this.#server.disconnect(this);
    this.#failing.clear();
  }

  put(entry: Entry, ttlMs: number, done: (outcome: PutOutcome) => void): void {
    this.#server.asked.put++;
    this.#ask(
      () => this.#server.write(entry, ttlMs * MILLISECOND),
      (outcome) => done(outcome ?? 'failed'),
    );
  }

  get(
    names: readonly string[],
    done: (values: readonly (Uint8Array | undefined)[] | undefined) => void,
  ): void {
    this.#server.asked.get++;
    this.#ask(() => names.map((name) => this.#server.read(name)), done);
  }

  remove(names: Entry['names'], identity: Uint8Array, done: (ok: boolean) => void): void {
    this.#server.asked.remove++;
    this.#ask(
      () => {
        for (const name of names) {
          const value = this.#server.read(name);
          if (value !== undefined && hasIdentity(value, identity)) this.#server.kept.delete(name);
        }
        return true;
      },
      (ok) => done(ok === true),
    );
  }

  scan(prefix: string, cursor: string, done: (page: ScanPage | undefined) => void): void {
    this.#server.asked.scan++;
    this.#ask(() => {
      const all = [...this.#server.kept.keys()].filter((name) => name.startsWith(prefix)).sort();
      const rest = all.filter((name) => name > cursor);
      const names = rest.slice(0, PAGE);
      return { names, next: rest.length > PAGE ? names.at(-1) : undefined };
    }, done);
  }

  /** The server is in another state than before. */
  changed(): void {
    this.#later(0, () => {
      const { state } = this.#server;
      if (state !== 'hung') for (const answer of this.#unanswered.splice(0)) answer();
      // A connection that hangs is not closed; and one that is made is answered.
      const isUp = this.#isOpen && (state === 'up' || (state === 'hung' && this.#isUp));
      if (isUp === this.#isUp) return;
      this.#isUp = isUp;
      if (!isUp) this.#fail();
      this.onChange?.();
    });
  }

  #ask<T>(work: () => T, done: (answer: T | undefined) => void): void {
    if (!this.#isUp) {
      this.#later(0, () => done(undefined));
      return;
    }
    const finish = (answer: T | undefined): void => {
      if (this.#failing.delete(fail)) done(answer);
    };
    const fail = (): void => finish(undefined);
    this.#failing.add(fail);
    const answer = (): void => {
      if (this.#server.state === 'hung') this.#unanswered.push(answer);
      else finish(this.#server.state === 'up' ? work() : undefined);
    };
    this.#later(this.#server.latency, answer);
  }

  #fail(): void {
    for (const fail of [...this.#failing]) fail();
  }

  #later(delay: Micros, work: () => void): void {
    this.#timers.set(new Timer(work), this.#clock.now() + delay);
  }
}

/** 0 for what is too short to have one: strangers may write, too. */
const epochOf = (value: Uint8Array): number =>
  value.length < IDENTITY_AT
    ? 0
    : new DataView(value.buffer, value.byteOffset, value.length).getUint32(EPOCH_AT);

const hasIdentity = (value: Uint8Array, identity: Uint8Array): boolean =>
  Buffer.compare(value.subarray(IDENTITY_AT, IDENTITY_AT + IDENTITY_BYTES), identity) === 0;
