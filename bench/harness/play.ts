// Plays suites: each case by its contestants in turns, round after round, so that whatever the machine does
// meanwhile befalls them all. The first round only warms up.
import type { Progress } from './progress.ts';
import type { Failure, Result, Series } from './result.ts';
import type { Stage } from './stage.ts';
import { StolenTime } from './stolen.ts';
import {
  type Case,
  type Effort,
  type Samples,
  type StageMaker,
  type Suite,
  Unavailable,
} from './suite.ts';

/** A contestant that failed so often in a row in one case gets no more turns in it. */
const PATIENCE = 3;

export type Played = Pick<Result, 'commands' | 'series' | 'failures' | 'skipped' | 'stolen'>;

/** Rounds of a case: those that warm up, 0 or 1, and those that count. */
function roundsOf(
  { repeat, warmsUp = true }: Case,
  effort: Effort,
): { warm: number; count: number } {
  const { quick } = effort;
  const count = repeat ?? effort.repeat;
  return {
    warm: warmsUp && !quick ? 1 : 0,
    count: quick ? Math.min(count, effort.repeat) : count,
  };
}

/** Steps of a run, and the seconds they take by estimate. */
export function size(
  suites: readonly Suite[],
  effort: Effort,
): { readonly steps: number; readonly seconds: number } {
  let steps = 0;
  let seconds = 0;
  for (const each of suites.flatMap((suite) => suite.cases(effort))) {
    const { warm, count } = roundsOf(each, effort);
    const turns = (warm + count) * each.contestants.length;
    steps += turns;
    seconds += turns * each.estimate;
  }
  return { steps, seconds };
}

export class Players {
  readonly #effort: Effort;
  readonly #progress: Progress;
  readonly #signal: AbortSignal;
  readonly #stolen: StolenTime;
  readonly #series = new Map<string, Series>();
  readonly #commands: Record<string, string[]> = {};
  readonly #failures: Failure[] = [];
  readonly #skipped: { suite: string; reason: string }[] = [];

  /** @param signal ends the run with the turn at hand */
  constructor(
    effort: Effort,
    progress: Progress,
    signal: AbortSignal,
    stolen: StolenTime = new StolenTime(),
  ) {
    this.#effort = effort;
    this.#progress = progress;
    this.#signal = signal;
    this.#stolen = stolen;
  }

  /** Plays all. What has been measured is kept even if the run is ended before. */
  async play(suites: readonly Suite[]): Promise<Played> {
    for (const group of byStage(suites)) {
      if (this.#signal.aborted) break;
      const contestants = group.suites.flatMap((suite) =>
        suite.cases(this.#effort).flatMap((each) => each.contestants),
      );
      let stage: Stage;
      try {
        stage = await group.stage.open([...new Set(contestants)], this.#effort);
      } catch (error) {
        for (const { name } of group.suites) {
          if (error instanceof Unavailable) this.#skip(name, error.message);
          else this.#fail({ suite: name, case: 'all', contestant: 'all' }, error);
        }
        continue;
      }
      await using open = stage;
      for (const suite of group.suites) await this.#playSuite(open, suite);
    }
    return {
      commands: this.#commands,
      series: this.#inOrder(suites),
      failures: this.#failures,
      skipped: this.#skipped,
      stolen: this.#stolen.summary,
    };
  }

  /** By suite, case, metric and contestant, as these are listed, not as they happened to play. */
  #inOrder(suites: readonly Suite[]): Series[] {
    const keys = suites.flatMap((suite) =>
      suite
        .cases(this.#effort)
        .flatMap((each) =>
          each.metrics.flatMap((metric) =>
            each.contestants.map((contestant) => keyOf(suite, each, contestant, metric.name)),
          ),
        ),
    );
    return keys.map((key) => this.#series.get(key)).filter((series) => series !== undefined);
  }

  async #playSuite(stage: Stage, suite: Suite): Promise<void> {
    const cases = suite.cases(this.#effort).map((each) => ({
      each,
      rounds: roundsOf(each, this.#effort),
    }));
    const most = Math.max(...cases.map(({ rounds: { count } }) => count));
    const failed = new Map<string, number>();
    for (let round = 0; round <= most; round++) {
      for (const { each, rounds } of cases) {
        if (round === 0 ? rounds.warm === 0 : round > rounds.count) continue;
        for (const contestant of inTurns(each.contestants, round)) {
          if (this.#signal.aborted) return;
          const key = `${each.name}/${contestant}`;
          const failures = failed.get(key) ?? 0;
          if (failures < PATIENCE) {
            const step = { suite: suite.name, case: each.name, contestant };
            this.#progress.begin({ ...step, round, rounds: rounds.count });
            const ok = await this.#turn(stage, suite, each, contestant, round === 0);
            failed.set(key, ok ? 0 : failures + 1);
          }
          this.#progress.end(each.estimate);
        }
      }
    }
  }

  async #turn(
    stage: Stage,
    suite: Suite,
    each: Case,
    contestant: string,
    warmUp: boolean,
  ): Promise<boolean> {
    const effort = this.#effort;
    const ran = (host: string, argv: readonly string[]): void => {
      if (!warmUp) this.#note([suite.name, each.name, contestant].join(' / '), host, argv);
    };
    try {
      const play = async (): Promise<Samples> => {
        const samples = await each.measure({ stage, contestant, effort, warmUp, ran });
        for (const [metric, values] of Object.entries(samples)) {
          if ([values].flat().every(Number.isFinite)) continue;
          throw new Error(`${metric}: ${String(values)} is no figure`);
        }
        return samples;
      };
      const again = !warmUp && !effort.quick && each.playsAgain !== false;
      const samples = await (again ? this.#stolen.play(each.estimate, play) : play());
      if (!warmUp) this.#keep(suite, each, contestant, samples);
      return true;
    } catch (error) {
      // What ended the run may have ended the turn's programs too.
      if (this.#signal.aborted) return false;
      this.#fail({ suite: suite.name, case: each.name, contestant }, error);
      return false;
    }
  }

  #keep(suite: Suite, each: Case, contestant: string, samples: Samples): void {
    for (const metric of each.metrics) {
      const values = samples[metric.name];
      if (values === undefined) continue;
      const key = keyOf(suite, each, contestant, metric.name);
      let series = this.#series.get(key);
      if (series === undefined) {
        const { name, unit, better, summed } = metric;
        const where = { suite: suite.name, case: each.name, contestant };
        const how = summed === true ? { better, summed } : { better };
        series = { ...where, metric: name, unit, ...how, samples: [] };
        this.#series.set(key, series);
      }
      series.samples.push(...(typeof values === 'number' ? [values] : values));
    }
  }

  #note(key: string, host: string, argv: readonly string[]): void {
    const line = `${host}: ${argv.join(' ')}`;
    this.#commands[key] ??= [];
    if (!this.#commands[key].includes(line)) this.#commands[key].push(line);
  }

  #fail(where: Omit<Failure, 'message'>, error: unknown): void {
    const [message] = (error instanceof Error ? error.message : String(error)).split('\n');
    this.#failures.push({ ...where, message });
    this.#progress.note(`failed: ${where.suite}: ${where.case}: ${where.contestant}: ${message}`);
  }

  #skip(suite: string, reason: string): void {
    this.#skipped.push({ suite, reason });
    this.#progress.note(`left out: ${suite}: ${reason}`);
  }
}

const keyOf = (suite: Suite, each: Case, contestant: string, metric: string): string =>
  [suite.name, each.name, contestant, metric].join('\n');

/** Nobody always follows the same one. */
function inTurns(contestants: readonly string[], round: number): readonly string[] {
  const first = round % contestants.length;
  return [...contestants.slice(first), ...contestants.slice(0, first)];
}

/** The suites in groups that share a stage, each where its first one stands. */
function byStage(
  suites: readonly Suite[],
): { readonly stage: StageMaker; readonly suites: Suite[] }[] {
  const groups = new Map<string, { stage: StageMaker; suites: Suite[] }>();
  for (const suite of suites) {
    const group = groups.get(suite.stage.name);
    if (group === undefined) groups.set(suite.stage.name, { stage: suite.stage, suites: [suite] });
    else group.suites.push(suite);
  }
  return [...groups.values()];
}
