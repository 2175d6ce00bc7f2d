// Which life of a member speaks: a number that grows from start to start.
import type { Clock } from '../env/clock.ts';
import type { Random } from '../env/random.ts';

/** 64 bits in two halves. */
export interface Incarnation {
  /** Time of day in seconds when it started, or one more than the life that it must supersede; uint32. */
  readonly seconds: number;
  /** Random, so that two starts within a second differ; uint32. */
  readonly salt: number;
}

/** Stands for "not known yet" on the wire. */
export const NO_INCARNATION: Incarnation = { seconds: 0, salt: 0 };

/** A new life, later than `above` even if the machine's clock went back. */
export function newIncarnation(
  clock: Clock,
  random: Random,
  above: Incarnation = NO_INCARNATION,
): Incarnation {
  return { seconds: Math.max(clock.wall(), above.seconds + 1) >>> 0, salt: random.uint32() };
}

export const isSameIncarnation = (a: Incarnation, b: Incarnation): boolean =>
  a.seconds === b.seconds && a.salt === b.salt;

/** Starts of one member within one second that are told apart. */
const MAX_STARTS = 64;

/** The lives of one member that came into the mesh: none of them, and none from before, comes again. */
export class PastLives {
  /** Those that started in the latest second of all. */
  readonly #latest: Incarnation[] = [];

  /** True if `life` came in before, or started in an earlier second than the latest that did. */
  includes(life: Incarnation): boolean {
    if (this.#latest.length === 0) return false;
    const { seconds } = this.#latest[0];
    if (life.seconds !== seconds) return life.seconds < seconds;
    return (
      this.#latest.length >= MAX_STARTS ||
      this.#latest.some((known) => isSameIncarnation(known, life))
    );
  }

  /** Adds one that was not included. */
  add(life: Incarnation): void {
    if (life.seconds !== this.#latest[0]?.seconds) this.#latest.length = 0;
    this.#latest.push(life);
  }
}
