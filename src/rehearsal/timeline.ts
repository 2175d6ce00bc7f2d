// What happened in a run, in the order of its virtual time: a hash of all of it, and the words when they are wanted.
import type { Clock, Micros } from '../env/clock.ts';
import type { Logger, LogLine } from '../env/logger.ts';

interface Entry {
  readonly at: Micros;
  /** The talk that it is about, or -1. */
  readonly talk: number;
  readonly who: string;
  readonly what: string;
}

/** Entries that are kept: the last of them. */
const KEPT = 50_000;

export class Timeline {
  /** Whether words are kept. */
  readonly isKept: boolean;
  readonly #clock: Clock;
  #entries: Entry[] = [];
  #hash = 0x811c_9dc5;

  constructor(clock: Clock, isKept: boolean) {
    this.#clock = clock;
    this.isKept = isKept;
  }

  /** Of everything that was noted, 32 bits. Two runs that went the same way have the same. */
  get hash(): number {
    return this.#hash >>> 0;
  }

  /** Mixes a number into the hash. */
  note(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x0100_0193);
  }

  /** Notes something in words; `what` is not called unless they are kept. */
  say(who: string, what: () => string, talk = -1): void {
    if (!this.isKept) return;
    this.#entries.push({ at: this.#clock.now(), talk, who, what: what() });
    if (this.#entries.length > 2 * KEPT) this.#entries = this.#entries.slice(-KEPT);
  }

  /** Lines that tell of everything but what is only about other talks than `talk`; about all talks with -1. */
  lines(talk: number): string[] {
    return this.#entries
      .filter((entry) => talk < 0 || entry.talk < 0 || entry.talk === talk)
      .map(
        ({ at, who, what }) =>
          `${(at / 1_000).toFixed(3).padStart(11)} ms  ${who.padEnd(9)} ${what}`,
      );
  }

  /** A member's logger that speaks in the timeline. */
  loggerOf(who: string): Logger {
    const line: LogLine = (facts, message) => this.say(who, () => `${message} ${factsText(facts)}`);
    return { debug: () => {}, info: line, warn: line, error: line };
  }
}

const factsText = (facts: Readonly<Record<string, unknown>>): string => {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  return known.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(' ');
};
