// One clock reading a breath: while a burst of frames is handled, the time stands still.
import type { Clock, Micros } from '../env/clock.ts';

export class BreathClock implements Clock {
  readonly #source: Clock;
  #held: Micros = -1;

  constructor(source: Clock) {
    this.#source = source;
  }

  now(): Micros {
    return this.#held >= 0 ? this.#held : this.#source.now();
  }

  wall(): number {
    return this.#source.wall();
  }

  /** Reads the clock and holds it there. */
  inhale(): Micros {
    this.#held = this.#source.now();
    return this.#held;
  }

  exhale(): void {
    this.#held = -1;
  }
}
