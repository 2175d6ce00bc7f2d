// What an experiment is made of: suites of cases, each played by its contestants in turns.
import type { Stage } from './stage.ts';

/** What is measured: `better` says which way is an improvement. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  /** What it is, where its name does not tell: a line of the report. */
  readonly meaning?: string;
  /** Whether the sum over all turns counts, not the median: of errors, a single one does. */
  readonly summed?: boolean;
  /** `shared`: sample by sample in one picture with the others of its case that say so. A picture of its own when absent. */
  readonly picture?: 'shared' | 'none';
}

/** What one turn gave, by metric: one sample, or several where a turn has many events. */
export type Samples = Readonly<Record<string, number | readonly number[]>>;

/** How much is measured. */
export interface Effort {
  /** Turns of each contestant in each case, after one that only warms up. */
  readonly repeat: number;
  /** Seconds of load in a turn; whole, since wrk counts whole ones. */
  readonly seconds: number;
  /** Few contestants and one short turn each: whether all works, not how fast it is. */
  readonly quick: boolean;
}

/** One contestant's turn in a case. */
export interface Turn {
  readonly stage: Stage;
  readonly contestant: string;
  readonly effort: Effort;
  /** It warms up: what it gives is thrown away. */
  readonly warmUp: boolean;
  /** Notes a command that is run, for the result file. */
  readonly ran: (host: string, argv: readonly string[]) => void;
}

export interface Case {
  /** What is done, in words: `1 connection, to the client`. */
  readonly name: string;
  readonly contestants: readonly string[];
  readonly metrics: readonly Metric[];
  /** Seconds that a turn takes, about: for the time that is left. */
  readonly estimate: number;
  /** Turns instead of `effort.repeat`, where a turn has many events or takes long. */
  readonly repeat?: number;
  /** False where nothing needs to warm up. */
  readonly warmsUp?: boolean;
  /** False where a turn is not played again, though the hypervisor disturbed it: what it measures is not speed. */
  readonly playsAgain?: boolean;
  /** @throws Error when the contestant fails; the run goes on without this turn */
  readonly measure: (turn: Turn) => Promise<Samples>;
}

export interface Suite {
  readonly name: string;
  /** What question it answers, in one line. */
  readonly summary: string;
  /** How it is measured and how to read it: a paragraph of the report. */
  readonly explanation: string;
  /** Where it is played. Suites that name the same stage share it. */
  readonly stage: StageMaker;
  readonly cases: (effort: Effort) => readonly Case[];
}

/** Opens a stage for the contestants that will be on it. */
export interface StageMaker {
  readonly name: string;
  /** @throws Unavailable when this machine cannot have it */
  readonly open: (contestants: readonly string[], effort: Effort) => Promise<Stage>;
}

/** This machine cannot do it; the message says what is missing. The suite is left out, with this reason. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
