// What runs, what is left, and for how long: one line that is written over on a terminal; elsewhere a line
// a round.
import type { Writable } from 'node:stream';

/** A step of a run, for the eyes. */
export interface Step {
  readonly suite: string;
  readonly case: string;
  readonly contestant: string;
  /** 0 is the warm-up. */
  readonly round: number;
  readonly rounds: number;
}

export interface ProgressOptions {
  readonly out: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** Steps of the whole run, and the seconds they take by estimate. */
  readonly steps: number;
  readonly seconds: number;
  /** Milliseconds, of a clock that does not leap. */
  readonly now: () => number;
}

export class Progress {
  readonly #options: ProgressOptions;
  #done = 0;
  /** Of the steps that are over: seconds by estimate, and in truth. */
  #estimated = 0;
  #spent = 0;
  #begunAt = 0;
  #lastLine = '';

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  /** A step begins. */
  begin(step: Step): void {
    const { out, steps, now } = this.#options;
    this.#begunAt = now();
    const which = step.round === 0 ? 'warm-up' : `round ${step.round}/${step.rounds}`;
    const where = `${step.suite}: ${step.case}, ${which}`;
    const left = `${duration(this.left())} left`;
    if (out.isTTY === true) {
      const text = `[${this.#done + 1}/${steps}] ${where}: ${step.contestant}   ${left}`;
      out.write(`\r${text.slice(0, (out.columns ?? 80) - 1)}\x1b[K`);
    } else if (where !== this.#lastLine) {
      this.#lastLine = where;
      out.write(`[${this.#done + 1}/${steps}] ${where}   ${left}\n`);
    }
  }

  /** A step is over; `estimate` is how long it was thought to take, in seconds. */
  end(estimate: number): void {
    this.#done++;
    this.#estimated += estimate;
    const now = this.#options.now();
    this.#spent += (now - this.#begunAt) / 1_000;
    this.#begunAt = now;
  }

  /** Something that stays on the screen. */
  note(text: string): void {
    const { out } = this.#options;
    out.write(out.isTTY === true ? `\r${text}\x1b[K\n` : `${text}\n`);
  }

  /** Wipes the line. */
  close(): void {
    const { out } = this.#options;
    if (out.isTTY === true) out.write('\r\x1b[K');
  }

  /** Seconds to go: the estimates, corrected by how long the steps that are over took. */
  left(): number {
    const { seconds } = this.#options;
    const pace = this.#estimated > 0 ? this.#spent / this.#estimated : 1;
    return Math.max(0, seconds - this.#estimated) * pace;
  }
}

/** `45 s`, `3 min 20 s`, `2 h 05 min` */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
