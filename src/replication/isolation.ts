/**
 * Notices that this member may have been cut off from everybody. To it, that looked as if all others had died at
 * once. When frames come again it cannot know yet whether others serve in its place: those who do will say so
 * within a few heartbeats, and until then it changes nothing. The same holds for one whose process stood still.
 */
import type { Micros } from '../env/clock.ts';
import { Timer, type Timers } from '../env/timers.ts';

export interface IsolationOptions {
  /** Frames that came so far, of whatever kind. */
  readonly frames: () => number;
  readonly timers: Timers;
  /** A link on which nothing came for so long, while a peer went silent, may have been down. */
  readonly quiet: Micros;
  /** For so long the others get to say that they went on. */
  readonly doubt: Micros;
  readonly begins: () => void;
  /** @param isolated whether it was cut off: then the link may have forgotten it */
  readonly ends: (now: Micros, isolated: boolean) => void;
}

export class Isolation {
  readonly #options: IsolationOptions;
  readonly #timer: Timer;
  #frames = 0;
  #heardAt: Micros = 0;
  /** A peer went silent since a frame came last. */
  #lost = false;
  #doubtful = false;
  #isolated = false;

  constructor(options: IsolationOptions) {
    this.#options = options;
    this.#timer = new Timer((now) => {
      const isolated = this.#isolated;
      this.#doubtful = false;
      this.#isolated = false;
      options.ends(now, isolated);
    });
  }

  start(now: Micros): void {
    this.#frames = this.#options.frames();
    this.#heardAt = now;
  }

  stop(): void {
    this.#options.timers.remove(this.#timer);
  }

  /** A peer was suspected for its silence. */
  lost(): void {
    this.#lost = true;
  }

  /** This process did not run for so long that others may have gone on without it. */
  stood(now: Micros): void {
    this.#doubt(now);
  }

  /**
   * Notices whether frames come again, and what that means.
   * @returns true while this member may be the one that the others went on without
   */
  notice(now: Micros): boolean {
    const { frames: count, quiet } = this.#options;
    const frames = count();
    if (frames === this.#frames) return this.#doubtful;
    if (this.#lost && now - this.#heardAt >= quiet) {
      this.#isolated = true;
      this.#doubt(now);
    }
    this.#frames = frames;
    this.#heardAt = now;
    this.#lost = false;
    return this.#doubtful;
  }

  #doubt(now: Micros): void {
    const { doubt, timers, begins } = this.#options;
    this.#doubtful = true;
    timers.set(this.#timer, now + doubt);
    begins();
  }
}
