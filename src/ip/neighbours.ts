// The neighbour cache (RFC 4861, sections 5.1 and 7.3, whose states serve ARP as well): from the address of a
// next hop to its MAC, with bounded memory and a short queue for what waits for the answer.
import { type Clock, MILLISECOND, type Micros, NEVER, SECOND } from '../env/clock.ts';
import { Timer, type Timers } from '../env/timers.ts';
import { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import { type Mac, writeMac } from '../wire/ethernet.ts';
import { ETHERNET_AT } from '../wire/layout.ts';
import type { Address } from './address.ts';

/** Names a cache entry for as long as it lives: its slot and the slot's generation. */
export type Hop = number;
/** No entry at all. */
export const NO_HOP: Hop = 0xffff_ffff;

const FREE = 0;
const INCOMPLETE = 1;
const REACHABLE = 2;
/** Not confirmed for a while; in use until someone asks. */
const STALE = 3;
/** In use since it became stale: asked if it is used later, unless traffic has shown that it is there. */
const DELAY = 4;
/** Asked, in use while the answer is awaited. */
const PROBE = 5;
/** Known by configuration. */
const FIXED = 6;

const CAPACITY = 1_024;
/** Frames that wait for one neighbour; the oldest gives way (RFC 1122, 2.3.2.2 wants at least one). */
const QUEUE = 16;
/** Frames that wait for all neighbours together, so that nobody can make us keep many. */
const QUEUE_ALL = 256;
const REACHABLE_TIME: Micros = 30 * SECOND;
/** DELAY_FIRST_PROBE_TIME (RFC 4861, section 10). */
const DELAY_TIME: Micros = 5 * SECOND;
const ATTEMPTS = 3;
/** RFC 1122, 2.3.2.1 forbids more than one request a second for the same address. */
const RETRY: Micros = SECOND;
/** The first repetition comes sooner, since bridges lose frames just after a port came up. */
const FIRST_RETRY: Micros = 200 * MILLISECOND;

export interface NeighbourCounters {
  resolved: number;
  failed: number;
  queued: number;
  queueDrops: number;
  evicted: number;
}

interface Entry {
  address: Address | undefined;
  attempts: number;
  readonly queue: Frame[];
  readonly timer: Timer;
}

export interface NeighbourOptions {
  link: Link;
  clock: Clock;
  timers: Timers;
  /** Asks for an address: broadcast, or straight to the MAC that we believe it has. */
  solicit: (address: Address, knownMac: Mac | undefined) => void;
  /** Told when an address did not answer. */
  unreachable: (address: Address) => void;
}

export class NeighbourCache {
  readonly counters: NeighbourCounters = {
    resolved: 0,
    failed: 0,
    queued: 0,
    queueDrops: 0,
    evicted: 0,
  };
  readonly #options: NeighbourOptions;
  readonly #slots = new Map<Address, number>();
  readonly #entries: Entry[] = [];
  readonly #state = new Uint8Array(CAPACITY);
  readonly #generation = new Uint16Array(CAPACITY);
  readonly #mac = new Float64Array(CAPACITY);
  readonly #confirmedAt = new Float64Array(CAPACITY);
  readonly #usedAt = new Float64Array(CAPACITY);
  readonly #delayedUntil = new Float64Array(CAPACITY);
  #queued = 0;

  constructor(options: NeighbourOptions) {
    this.#options = options;
  }

  /** The entry for a neighbour, made if need be; asking for its MAC begins with the first frame. */
  hop(address: Address): Hop {
    const slot = this.#slots.get(address) ?? this.#claim(address);
    return ((this.#generation[slot] << 16) | slot) >>> 0;
  }

  /** True if `hop` still names the entry it was given out for. */
  isCurrent(hop: Hop): boolean {
    const slot = hop & 0xffff;
    return slot < CAPACITY && this.#state[slot] !== FREE && this.#generation[slot] === hop >>> 16;
  }

  /**
   * Addresses the frame to the neighbour and sends it, or keeps a copy until its MAC is known.
   * @returns false if `hop` is stale: ask for it again
   */
  transmit(frame: Frame, hop: Hop, now: Micros): boolean {
    if (!this.isCurrent(hop)) return false;
    const slot = hop & 0xffff;
    const state = this.#state[slot];
    if (state !== FIXED) this.#usedAt[slot] = now;
    if (state === INCOMPLETE) {
      this.#enqueue(slot, frame, now);
      return true;
    }
    if (state === REACHABLE && now - this.#confirmedAt[slot] > REACHABLE_TIME) {
      this.#state[slot] = STALE;
    }
    if (this.#state[slot] === STALE) {
      this.#state[slot] = DELAY;
      this.#delayedUntil[slot] = now + DELAY_TIME;
    } else if (this.#state[slot] === DELAY && now >= this.#delayedUntil[slot]) {
      // No timer: who sends nothing more need not know whether the neighbour is still there.
      this.#state[slot] = PROBE;
      this.#ask(slot, this.#mac[slot], now);
    }
    writeMac(frame.view, ETHERNET_AT, this.#mac[slot]);
    this.#options.link.send(frame);
    return true;
  }

  /** The MAC of a neighbour, if it is known. */
  mac(address: Address): Mac | undefined {
    const slot = this.#slots.get(address);
    if (slot === undefined || this.#state[slot] === INCOMPLETE) return undefined;
    return this.#mac[slot];
  }

  /**
   * Takes the MAC of a neighbour for good: it is never asked for, and nothing that is heard changes it. For few
   * neighbours, whose entries are never given away.
   */
  fix(address: Address, mac: Mac): void {
    const slot = this.#slots.get(address) ?? this.#claim(address);
    this.#settle(slot, mac, true, 0);
    this.#state[slot] = FIXED;
    this.#usedAt[slot] = NEVER;
  }

  /** Traffic shows that a neighbour gets what we send: it need not be asked (RFC 4861, section 7.3.1). */
  confirm(hop: Hop, now: Micros): void {
    if (!this.isCurrent(hop)) return;
    const slot = hop & 0xffff;
    const state = this.#state[slot];
    if (state === INCOMPLETE || state === FIXED) return;
    this.#confirmedAt[slot] = now;
    if (state === REACHABLE) return;
    this.#state[slot] = REACHABLE;
    this.#entries[slot].attempts = 0;
    this.#options.timers.remove(this.#entries[slot].timer);
  }

  /**
   * Takes what a neighbour said of itself in an exchange with us: it is there, at this MAC.
   * @param create false for what nobody asked for: it changes an entry, but makes none
   */
  learn(address: Address, mac: Mac, create: boolean, now: Micros): void {
    let slot = this.#slots.get(address);
    if (slot === undefined) {
      if (!create) return;
      slot = this.#claim(address);
    }
    this.#settle(slot, mac, true, now);
  }

  /**
   * Takes the MAC that a neighbour named beside something else. That it can reach us is no proof that we reach
   * it (RFC 4861, section 7.2.3).
   */
  suggest(address: Address, mac: Mac, now: Micros): void {
    const slot = this.#slots.get(address) ?? this.#claim(address);
    if (this.#state[slot] === INCOMPLETE || this.#mac[slot] !== mac) {
      this.#settle(slot, mac, false, now);
    }
  }

  /**
   * Takes a neighbour advertisement (RFC 4861, section 7.2.5). It makes no entry.
   * @param mac -1 if it names none
   * @param solicited true if it answers us
   * @param override false if what is known already counts more
   */
  advertised(address: Address, mac: Mac, solicited: boolean, override: boolean, now: Micros): void {
    const slot = this.#slots.get(address);
    if (slot === undefined) return;
    const state = this.#state[slot];
    if (state === INCOMPLETE) {
      if (mac >= 0) this.#settle(slot, mac, solicited, now);
      return;
    }
    const changed = mac >= 0 && mac !== this.#mac[slot];
    if (changed && !override) {
      if (state === REACHABLE) this.#state[slot] = STALE;
      return;
    }
    if (solicited) this.#settle(slot, changed ? mac : this.#mac[slot], true, now);
    else if (changed) this.#settle(slot, mac, false, now);
  }

  /** Enters a MAC, confirmed or not, and sends what waited for it. */
  #settle(slot: number, mac: Mac, confirmed: boolean, now: Micros): void {
    if (this.#state[slot] === FIXED) return;
    const entry = this.#entries[slot];
    if (this.#state[slot] === INCOMPLETE) this.counters.resolved++;
    this.#state[slot] = confirmed ? REACHABLE : STALE;
    this.#mac[slot] = mac;
    if (confirmed) this.#confirmedAt[slot] = now;
    entry.attempts = 0;
    this.#options.timers.remove(entry.timer);
    if (entry.queue.length === 0) return;
    const waiting = entry.queue.splice(0);
    this.#queued -= waiting.length;
    const hop = ((this.#generation[slot] << 16) | slot) >>> 0;
    for (const frame of waiting) this.transmit(frame, hop, now);
  }

  #claim(address: Address): number {
    const slot = this.#entries.length < CAPACITY ? this.#entries.length : this.#evict();
    if (slot === this.#entries.length) {
      this.#entries.push({
        address,
        attempts: 0,
        queue: [],
        timer: new Timer((now) => this.#unanswered(slot, now)),
      });
    }
    this.#entries[slot].address = address;
    this.#state[slot] = INCOMPLETE;
    this.#usedAt[slot] = this.#options.clock.now();
    this.#slots.set(address, slot);
    return slot;
  }

  /** Frees the slot that nobody used for longest; one that was freed before comes first. */
  #evict(): number {
    let oldest = 0;
    for (let slot = 0; slot < CAPACITY; slot++) {
      if (this.#state[slot] === FREE) return slot;
      if (this.#usedAt[slot] < this.#usedAt[oldest]) oldest = slot;
    }
    this.counters.evicted++;
    this.#free(oldest);
    return oldest;
  }

  #free(slot: number): void {
    const entry = this.#entries[slot];
    if (entry.address !== undefined) this.#slots.delete(entry.address);
    entry.address = undefined;
    entry.attempts = 0;
    this.counters.queueDrops += entry.queue.length;
    this.#queued -= entry.queue.length;
    entry.queue.length = 0;
    this.#options.timers.remove(entry.timer);
    this.#state[slot] = FREE;
    this.#generation[slot]++;
  }

  #enqueue(slot: number, frame: Frame, now: Micros): void {
    const entry = this.#entries[slot];
    if (entry.queue.length >= QUEUE || this.#queued >= QUEUE_ALL) {
      this.counters.queueDrops++;
      if (entry.queue.shift() === undefined) return;
      this.#queued--;
    }
    const copy = new Frame(frame.end);
    copy.copyFrom(frame);
    entry.queue.push(copy);
    this.#queued++;
    this.counters.queued++;
    if (entry.attempts === 0) this.#ask(slot, undefined, now);
  }

  #ask(slot: number, knownMac: Mac | undefined, now: Micros): void {
    const entry = this.#entries[slot];
    if (entry.address === undefined) return;
    entry.attempts++;
    const pause = entry.attempts === 1 ? FIRST_RETRY : RETRY;
    this.#options.timers.set(entry.timer, now + pause);
    this.#options.solicit(entry.address, knownMac);
  }

  #unanswered(slot: number, now: Micros): void {
    const entry = this.#entries[slot];
    if (entry.attempts < ATTEMPTS) {
      // A neighbour that moved does not answer at its old MAC: the last attempt asks everyone.
      const known = this.#state[slot] === PROBE && entry.attempts < ATTEMPTS - 1;
      this.#ask(slot, known ? this.#mac[slot] : undefined, now);
      return;
    }
    const address = entry.address;
    this.counters.failed++;
    this.#free(slot);
    if (address !== undefined) this.#options.unreachable(address);
  }
}
