// Turns that the hypervisor disturbed. On a virtual machine others share the processors: the time that it gave to them
// while a program here would have run is counted by the kernel (proc_stat(5), "steal"), and nothing measured meanwhile is
// a figure of the contestant's. Such a turn is played again, and what counts is the try of which least was stolen, be it
// the slowest.
import { readFileSync } from 'node:fs';
import { median } from 'simple-statistics';

/** Ticks since the machine started, of all processors together. */
export interface ProcessorTimes {
  readonly total: number;
  readonly stolen: number;
}

/** A turn is disturbed of which more than this share was stolen. */
export const DISTURBED = 0.03;
/** Tries of one turn at most. */
const TRIES = 3;
/** Tries beyond the first make a run longer by this share at most. */
const LONGER = 1 / 3;

/** What became of the turns that count. */
export interface StolenSummary {
  /** Tries beyond the first. */
  readonly again: number;
  /** Share of processor time that was stolen from a turn, 0 to 1: the median, and the most. */
  readonly median: number;
  readonly most: number;
}

export function processorTimes(): ProcessorTimes {
  const [line] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  // The two fields behind, of guests, are counted in the first two already.
  const times = line.split(/\s+/).slice(1, 9).map(Number);
  return { total: times.reduce((sum, time) => sum + time, 0), stolen: times[7] ?? 0 };
}

export class StolenTime {
  readonly #times: () => ProcessorTimes;
  readonly #shares: number[] = [];
  #seconds = 0;
  #secondsAgain = 0;
  #again = 0;

  /** @param times reads the machine's clocks */
  constructor(times: () => ProcessorTimes = processorTimes) {
    this.#times = times;
  }

  /**
   * Plays a turn, and again if it was disturbed.
   * @param seconds how long a try takes, about
   * @returns what the least disturbed try gave. @throws what a try throws
   */
  async play<T>(seconds: number, turn: () => Promise<T>): Promise<T> {
    let best = await this.#try(turn);
    this.#seconds += seconds;
    for (let tries = 1; tries < TRIES && best.share > DISTURBED; tries++) {
      if (this.#secondsAgain + seconds > this.#seconds * LONGER) break;
      this.#secondsAgain += seconds;
      this.#again++;
      const next = await this.#try(turn);
      if (next.share < best.share) best = next;
    }
    this.#shares.push(best.share);
    return best.value;
  }

  /** Undefined before the first turn. */
  get summary(): StolenSummary | undefined {
    if (this.#shares.length === 0) return undefined;
    const most = Math.max(...this.#shares);
    return { again: this.#again, median: median(this.#shares), most };
  }

  async #try<T>(turn: () => Promise<T>): Promise<{ readonly value: T; readonly share: number }> {
    const before = this.#times();
    const value = await turn();
    const after = this.#times();
    const total = after.total - before.total;
    return { value, share: total > 0 ? (after.stolen - before.stolen) / total : 0 };
  }
}
