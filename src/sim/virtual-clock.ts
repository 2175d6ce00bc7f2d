// Time that stands still until somebody moves it.
import { type Clock, type Micros, SECOND } from '../env/clock.ts';

export class VirtualClock implements Clock {
  readonly #wallStart: number;
  #now: Micros;

  /**
   * @param start what `now` says first, in microseconds
   * @param wallStart what `wall` says at time 0, in seconds since 1970
   */
  constructor(start: Micros = 0, wallStart = 1_700_000_000) {
    this.#now = start;
    this.#wallStart = wallStart;
  }

  now(): Micros {
    return this.#now;
  }

  wall(): number {
    return this.#wallStart + Math.floor(this.#now / SECOND);
  }

  /** Moves the time forward; a time that has passed changes nothing. */
  advanceTo(time: Micros): void {
    if (time > this.#now) this.#now = time;
  }
}
