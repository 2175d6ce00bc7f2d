// What `suture bench` does, verb by verb.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { UsageError } from '../../src/cli/usage-error.ts';
import { nearest } from '../../src/config/nearest.ts';
import { CONTESTANTS } from '../contestants/contestants.ts';
import { SUITES } from '../suites/suites.ts';
import { compareResults, describeComparison } from './compare.ts';
import { describeMachine, isRealTime, loadNow, scheduling, versions } from './machine.ts';
import { Players, size } from './play.ts';
import { duration, Progress } from './progress.ts';
import { RESULT_VERSION, type Result, readResult, writeResult } from './result.ts';
import type { Effort, Suite } from './suite.ts';
import { tableOf } from './table.ts';

const RESULTS = join(import.meta.dirname, '../results');
const DOCUMENT = join(import.meta.dirname, '../../docs/benchmarks.md');

export interface RunOptions {
  /** Only cases whose names have this in them. */
  readonly only?: string | undefined;
  readonly repeat?: number | undefined;
  readonly seconds?: number | undefined;
  readonly quick: boolean;
  /** Where the result goes. */
  readonly json?: string | undefined;
  readonly command: string;
  readonly signal: AbortSignal;
}

const USUAL: Effort = { repeat: 5, seconds: 2, quick: false };
const QUICK: Effort = { repeat: 1, seconds: 1, quick: true };

export function list(): string {
  const width = Math.max(...CONTESTANTS.map(({ name }) => name.length), 14);
  const line = ({ name, summary }: { readonly name: string; readonly summary: string }): string =>
    `  ${name.padEnd(width)}  ${summary}`;
  const efforts = [USUAL, QUICK].map((effort) => duration(size(SUITES, effort).seconds));
  return [
    'Suites:',
    ...SUITES.map(line),
    '',
    'Contestants of the contest (bench/contestants):',
    ...CONTESTANTS.map(line),
    '',
    `All of them take some ${efforts[0]}, with --quick some ${efforts[1]}.`,
    '',
  ].join('\n');
}

/** @throws UsageError for a name that no suite has, or when no case is left */
function suitesOf(names: readonly string[], only: string, effort: Effort): readonly Suite[] {
  const known = SUITES.map(({ name }) => name);
  for (const name of names) {
    if (known.includes(name)) continue;
    const meant = nearest(name, known);
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    throw new UsageError(`there is no suite ${name}${hint} (suites: ${known.join(', ')})`);
  }
  const chosen = SUITES.filter(({ name }) => names.length === 0 || names.includes(name))
    .map((suite) => ({
      ...suite,
      cases: (each: Effort) => suite.cases(each).filter(({ name }) => name.includes(only)),
    }))
    .filter((suite) => suite.cases(effort).length > 0);
  if (chosen.length === 0) {
    throw new UsageError(`none of the suites has a case with '${only}' in its name`);
  }
  return chosen;
}

/** Plays suites and writes the result. Resolves with how many turns failed. */
export async function run(names: readonly string[], options: RunOptions): Promise<number> {
  const usual = options.quick ? QUICK : USUAL;
  const effort: Effort = {
    ...usual,
    repeat: options.repeat ?? usual.repeat,
    seconds: options.seconds ?? usual.seconds,
  };
  const suites = suitesOf(names, options.only ?? '', effort);
  const startedAt = new Date().toISOString();
  const loadBefore = loadNow();
  const progress = new Progress({
    out: process.stderr,
    ...size(suites, effort),
    now: () => performance.now(),
  });
  if (isRealTime(scheduling())) {
    progress.note(
      'note: with real-time priority the softirq work of a TAP starves: figures are worse than without it',
    );
  }
  const players = new Players(effort, progress, options.signal);
  const played = await players.play(suites);
  progress.close();
  const result: Result = {
    version: RESULT_VERSION,
    startedAt,
    endedAt: new Date().toISOString(),
    command: options.command,
    effort,
    machine: describeMachine(loadBefore),
    versions: versions(),
    ...played,
  };
  const file = options.json ?? join(RESULTS, nameFor(result));
  if (result.series.length > 0) {
    mkdirSync(dirname(file), { recursive: true });
    writeResult(file, result);
    process.stdout.write(tableOf(result));
    process.stderr.write(`every sample: ${relative('.', resolve(file))}\n`);
  }
  return result.failures.length;
}

/** Quick results are for the moment: the next one takes their place. */
function nameFor({ effort, startedAt }: Result): string {
  return effort.quick ? 'quick.json' : `${startedAt.slice(0, 16).replaceAll(':', '')}.json`;
}

/** Prints how two results differ; true when something got significantly worse. */
export function compare(
  before: string,
  after: string,
  { json }: { readonly json: boolean },
): boolean {
  const comparison = compareResults(readResult(before), readResult(after));
  const { figures } = comparison;
  process.stdout.write(json ? `${JSON.stringify(comparison)}\n` : describeComparison(comparison));
  return figures.some(({ verdict }) => verdict === 'worse');
}

/** Writes the document and its plots. @throws UsageError when there is no result to write of */
export async function report(
  files: readonly string[],
  { out = DOCUMENT }: { readonly out?: string | undefined },
): Promise<void> {
  const chosen = files.length > 0 ? files : keptResults();
  if (chosen.length === 0) {
    throw new UsageError('there is no result yet; make one with: suture bench run');
  }
  const results = chosen.map(readResult).sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  const folder = basename(out, '.md');
  // Only now: the plotting library is large.
  const { makeReport } = await import('./report.ts');
  const { markdown, plots } = makeReport(results, SUITES, folder);
  const place = join(dirname(out), folder);
  mkdirSync(place, { recursive: true });
  // Plots of suites that are no more. Where somebody else chose the place, nothing of theirs is touched.
  const old = out === DOCUMENT ? readdirSync(place).filter((name) => name.endsWith('.svg')) : [];
  for (const name of old) rmSync(join(place, name));
  writeFileSync(out, markdown);
  for (const [name, svg] of plots) writeFileSync(join(place, name), svg);
  process.stderr.write(
    `${relative('.', out)}, and ${plots.size} plots in ${relative('.', place)}\n`,
  );
}

/** The results that are kept. */
function keptResults(): string[] {
  if (!existsSync(RESULTS)) return [];
  return readdirSync(RESULTS)
    .filter((name) => name.endsWith('.json') && name !== 'quick.json')
    .map((name) => join(RESULTS, name));
}
