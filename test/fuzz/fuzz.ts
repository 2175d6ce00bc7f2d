// `npm run fuzz -- --seconds N --seed S`: frames changed in flight and bytes for every parser, until the time is
// over. A case that fails is cut down and stored under test/fuzz/cases/, which `npm test` plays again.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { integer } from '../../src/cli/integer.ts';
import { seededRandom } from '../../src/env/random.ts';
import { type Case, failureOf, shrink } from './case.ts';
import { drawFlight } from './flight.ts';
import { drawParserCase } from './parsers.ts';

interface Options {
  readonly seconds: number;
  readonly seed: number;
  readonly family: '4' | '6' | 'both';
  readonly only?: 'flight' | 'parser';
  readonly cases: string;
}

const CASES = join(import.meta.dirname, 'cases');
/** Cases of parsers for each flight. */
const PARSERS_A_FLIGHT = 20;
/** Failures that are kept of one run. */
const MAX_FAILURES = 20;
/** Bytes of heap above the start, after which something must have leaked. */
const MAX_GROWTH = 400e6;

/** The cases of a seed, without end. */
function* casesOf({ seed, family, only }: Options): Generator<Case> {
  const random = seededRandom(seed);
  for (let round = 0; ; round++) {
    if (only !== 'parser') {
      const version = family === 'both' ? (round % 2 === 0 ? 4 : 6) : family === '6' ? 6 : 4;
      yield drawFlight((seed * 1_000_003 + round) >>> 0, version);
    }
    if (only !== 'flight') for (let i = 0; i < PARSERS_A_FLIGHT; i++) yield drawParserCase(random);
  }
}

function fuzz(options: Options): number {
  const { seconds, seed, cases } = options;
  const startedAt = performance.now();
  const count = { flight: 0, parser: 0 };
  const failures = new Set<string>();
  const heap = process.memoryUsage().heapUsed;
  let toldAt = startedAt;
  for (const each of casesOf(options)) {
    const now = performance.now();
    if (now - startedAt >= seconds * 1_000 || failures.size >= MAX_FAILURES) break;
    if (now - toldAt > 60_000) {
      toldAt = now;
      console.log(`${((now - startedAt) / 1_000).toFixed(0)} s: ${told(count, failures.size)}`);
    }
    count[each.kind]++;
    const failure = failureOf(each);
    // Failures that differ by numbers alone are most likely one.
    const kind = failure?.replace(/\d+/g, '0');
    if (kind !== undefined && !failures.has(kind)) {
      failures.add(kind);
      keep(shrink(each), cases);
    }
  }
  const growth = process.memoryUsage().heapUsed - heap;
  console.log(`seed ${seed}: ${told(count, failures.size)}`);
  if (growth > MAX_GROWTH) {
    console.error(`the heap has grown by ${(growth / 1e6).toFixed(0)} MB`);
    return 1;
  }
  return failures.size;
}

function keep(found: Case, folder: string): void {
  const text = `${JSON.stringify(found, null, 2)}\n`;
  const name = `${found.kind}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}.json`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), text);
  console.error(`${name}: ${failureOf(found)?.slice(0, 400)}`);
}

const told = ({ flight, parser }: { flight: number; parser: number }, failures: number): string =>
  `${flight} flights, ${parser} parser inputs, ${failures} failures`;

new Command('fuzz')
  .description('Mutates frames between two simulated hosts and the input of every parser')
  .option('--seconds <n>', 'how long', integer(0, 1_000_000), 60)
  .option('--seed <s>', 'where the cases begin', integer(0, 2 ** 32 - 1), 1)
  .option('--family <4|6|both>', 'versions of IP', 'both')
  .option('--only <flight|parser>', 'one kind of case')
  .option('--cases <folder>', 'where failing cases are kept', CASES)
  .action((options: Options) => {
    process.exitCode = fuzz(options) === 0 ? 0 : 1;
  })
  .parse();
