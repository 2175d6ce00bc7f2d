/**
 * How long a peer may be silent before it is suspected: as short as the configuration says on a calm
 * machine, longer for a peer that was silent before and turned out to live.
 */
import { type Micros, SECOND } from '../env/clock.ts';

/** What was learnt is forgotten after one to two of these. */
const PERIOD: Micros = 30 * SECOND;
/** The longest patience, in multiples of the configured one. */
export const MOST = 10;
/** Own stalls that excuse one silence, in multiples of the patience that holds. */
const EXCUSES = 3;
/** A peer that joins holds no addresses and is busy: it has this many times the configured patience. */
const JOINING_FACTOR = 3;

/** What one member knows of the silences of one other; it outlives the lives of both. */
export class Patience {
  readonly #least: Micros;
  /** Longest silence that ended, in this period and in the one before. */
  #longest: Micros = 0;
  #longestBefore: Micros = 0;
  /** How often the base was doubled for suspicions that were false, and in the period before. */
  #doublings = 0;
  #doublingsBefore = 0;
  #turnAt: Micros = 0;
  #excused: Micros = 0;

  /** @param least what the configuration says */
  constructor(least: Micros) {
    this.#least = least;
  }

  /** Silence after which a peer that serves is suspected, from the configured time to ten times that. */
  get threshold(): Micros {
    const doublings = Math.max(this.#doublings, this.#doublingsBefore);
    const longest = Math.max(this.#longest, this.#longestBefore);
    return Math.min(Math.max(this.#least * 2 ** doublings, 2 * longest), this.most);
  }

  /** The same for a peer that joins. */
  get joiningThreshold(): Micros {
    return Math.max(this.threshold, JOINING_FACTOR * this.#least);
  }

  /** The highest threshold. */
  get most(): Micros {
    return MOST * this.#least;
  }

  /** A silence of `span` ended. Once for every datagram. */
  heard(span: Micros, now: Micros): void {
    this.#excused = 0;
    if (now >= this.#turnAt) this.#turn(now);
    if (span > this.#longest) this.#longest = span;
  }

  /**
   * The peer was suspected after being silent, and lives: the silence lasted `span`. One that was longer than any
   * threshold was no false alarm.
   */
  wronged(span: Micros, now: Micros): void {
    if (span > this.most) return;
    this.heard(span, now);
    const doublings = Math.max(this.#doublings, this.#doublingsBefore);
    if (this.#least * 2 ** doublings < this.most) this.#doublings = doublings + 1;
  }

  /**
   * We did not run for `stall`, and so could not hear the peer.
   * @returns how much of it does not count as its silence: none if our stalls excused this silence for long enough
   */
  excuse(stall: Micros): Micros {
    if (this.#excused >= EXCUSES * this.threshold) return 0;
    this.#excused += Math.min(stall, this.threshold);
    return stall;
  }

  #turn(now: Micros): void {
    const recent = now < this.#turnAt + PERIOD;
    this.#turnAt = now + PERIOD;
    this.#longestBefore = recent ? this.#longest : 0;
    this.#doublingsBefore = recent ? this.#doublings : 0;
    this.#longest = this.#doublings = 0;
  }
}

/** The patience with each of the other members, by their ids. */
export class Patiences {
  readonly #least: Micros;
  readonly #byId = new Map<number, Patience>();

  constructor(least: Micros) {
    this.#least = least;
  }

  with(id: number): Patience {
    let patience = this.#byId.get(id);
    if (patience === undefined) {
      patience = new Patience(this.#least);
      this.#byId.set(id, patience);
    }
    return patience;
  }
}
