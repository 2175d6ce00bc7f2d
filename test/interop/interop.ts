// `npm run interop`: the whole matrix of our stack against the kernel's.
import { Command } from 'commander';
import { integer } from '../../src/cli/integer.ts';
import { MILLISECOND } from '../../src/env/clock.ts';
import {
  combinations,
  describeRun,
  drawConditions,
  interoperateAll,
  obstacle,
  type Run,
} from './matrix.ts';

interface Options {
  readonly bytes: number;
  readonly seed: number;
  readonly parallel: number;
}

/** Round trips in milliseconds, each with several rates of loss. */
const ROUND_TRIPS = [1, 20, 100, 200];
const LOSSES = [0, 0.01, 0.04];

function* matrix({ bytes: length, seed: first }: Options): Generator<Run> {
  let seed = first;
  for (const family of [4, 6] as const) {
    for (const roundTrip of ROUND_TRIPS) {
      for (const loss of LOSSES) {
        for (const kernel of combinations) {
          const delay = (roundTrip / 2) * MILLISECOND;
          const conditions = { ...drawConditions(seed), loss, delay };
          yield { family, kernel, length, seed, conditions, limit: 180_000 };
          seed++;
        }
      }
    }
  }
}

new Command('interop')
  .description('Talks to the kernel over bad wires, for every combination of its options')
  .option('--bytes <n>', 'bytes each way of each connection', integer(1, 2 ** 40), 500_000)
  .option('--seed <s>', 'of the first run', integer(1, 2 ** 31), 1)
  .option('--parallel <n>', 'runs at a time', integer(1, 256), 4)
  .action(async (options: Options) => {
    const why = obstacle();
    if (why !== undefined) throw new Error(`the kernel cannot take part: ${why}`);
    const runs = [...matrix(options)];
    let failed = 0;
    await interoperateAll(runs, options.parallel, (run, { faults, milliseconds }) => {
      const verdict = faults.length === 0 ? 'ok' : faults.join('; ');
      if (faults.length > 0) failed++;
      console.log(`${describeRun(run)}: ${verdict} (${(milliseconds / 1_000).toFixed(1)} s)`);
    });
    console.log(`${runs.length} runs, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  })
  .parseAsync();
