// What the comparisons share: clients that measure, run in a host of a lab, and medians.
import { parseArgs } from 'node:util';
import type { Lab } from '../src/lab/lab.ts';

async function output(lab: Lab, argv: readonly string[], seconds: number): Promise<string> {
  const { code, stdout, stderr } = await lab.exec('client', argv, {
    timeoutMs: (seconds + 20) * 1_000,
  });
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${stderr || stdout}`);
  return stdout;
}

/**
 * Gbit/s that arrive at the receiver of one connection between the client and an iperf3 server.
 * @param more further arguments of iperf3, such as `-R` to receive
 */
export async function iperf3(
  lab: Lab,
  to: string,
  seconds: number,
  ...more: readonly string[]
): Promise<number> {
  const argv = ['iperf3', '-J', '-c', to, '-t', String(seconds), ...more];
  const report = JSON.parse(await output(lab, argv, seconds)) as {
    end: { sum_received: { bits_per_second: number } };
  };
  return report.end.sum_received.bits_per_second / 1e9;
}

/**
 * Requests for `/1k` a second over 64 connections.
 * @param more further arguments of wrk
 * @throws Error when a request fails
 */
export async function wrk(
  lab: Lab,
  to: string,
  seconds: number,
  ...more: readonly string[]
): Promise<number> {
  const argv = ['wrk', '-t1', '-c64', `-d${seconds}`, ...more, `http://${to}/1k`];
  const text = await output(lab, argv, seconds);
  if (text.includes('Socket errors') || text.includes('Non-2xx')) throw new Error(text);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export interface Contestant {
  readonly name: string;
  /** Where its HTTP server and its iperf3 server are found. */
  readonly web: string;
  readonly bulk: string;
}

export interface Suite {
  readonly name: string;
  readonly unit: string;
  /** Contestants that do not take part. */
  readonly skips?: readonly string[];
  readonly measure: (lab: Lab, contestant: Contestant, seconds: number) => Promise<number>;
}

export interface Result {
  readonly suite: string;
  readonly contestant: string;
  readonly unit: string;
  readonly samples: readonly number[];
}

export interface Effort {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** Part of the names of the suites to run. */
  readonly only: string;
}

/** Reads `--rounds N --seconds N --only TEXT --json` from the command line. */
export function readOptions(): Effort & { readonly json: boolean } {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
    },
  });
  return { ...values, rounds: Number(values.rounds), seconds: Number(values.seconds) };
}

/** Runs each suite by turns over its contestants; the first round only warms them up. */
export async function compete(
  lab: Lab,
  suites: readonly Suite[],
  contestants: readonly Contestant[],
  { rounds, seconds, only }: Effort,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const { name: suite, unit, skips, measure } of suites) {
    if (!suite.includes(only)) continue;
    const taking = contestants.filter(({ name }) => skips?.includes(name) !== true);
    const samples = new Map(taking.map(({ name }) => [name, [] as number[]]));
    for (let round = 0; round <= rounds; round++) {
      const which = round === 0 ? 'warm-up' : `round ${round}/${rounds}`;
      for (const contestant of taking) {
        process.stderr.write(`\r${suite}, ${which}: ${contestant.name}\x1b[K`);
        const value = await measure(lab, contestant, seconds);
        if (round > 0) samples.get(contestant.name)?.push(value);
      }
    }
    for (const [contestant, values] of samples) {
      results.push({ suite, contestant, unit, samples: values });
    }
  }
  process.stderr.write('\r\x1b[K');
  return results;
}

/** Prints medians, and each as a share of that of `peer`. */
export function print(results: readonly Result[], peer: string, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(results)}\n`);
    return;
  }
  for (const { suite, contestant, unit, samples } of results) {
    const other = results.find((r) => r.suite === suite && r.contestant === peer);
    const ratio = median(samples) / median(other?.samples ?? samples);
    const value = median(samples).toFixed(unit === 'Gbit/s' ? 2 : 0);
    process.stdout.write(
      `${suite.padEnd(34)} ${contestant.padEnd(12)} ${value.padStart(8)} ${unit.padEnd(10)} ${ratio.toFixed(2)} x ${peer}\n`,
    );
  }
}
