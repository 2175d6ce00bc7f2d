import { Command } from 'commander';
import { type Outcome, rehearse } from '../rehearsal/rehearsal.ts';
import { countsText, rehearseAll, replayOf, type Total, totalOf } from '../rehearsal/series.ts';
import { integer } from './integer.ts';

interface SimOptions {
  readonly seeds?: number;
  readonly seed?: number;
  readonly jobs: number;
  readonly trace?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  suture sim --seeds 1000                 seeds 1 to 1000
  suture sim --seeds 1000 --seed 5001     the next ones
  suture sim --seed 17 --trace            one seed again, with everything that happened`;

/** `suture sim` */
export function command(): Command {
  return new Command('sim')
    .summary('run the whole cluster in a simulator, with faults, and check it at every step')
    .description(
      'Runs proxies, backends and clients on a virtual clock. Each seed draws a cluster, a network, what\n' +
        'clients do, and what breaks: members crash, stop, return, are cut off. What must hold is checked\n' +
        'at every step (docs/simulator.md). A seed that fails is printed with the command that plays it\n' +
        'again, to the same step. Ends with 1 if one failed.',
    )
    .option('--seeds <n>', 'how many seeds; 100, or 1 with --seed', integer(1, 10_000_000))
    .option('--seed <n>', 'the first of them', integer(0, 2 ** 32 - 1))
    .option('--jobs <n>', 'processes to share the work', integer(1, 256), 1)
    .option('--trace', 'print the timeline of every seed, up to the violation')
    .option('--json', 'one object: {seeds, failed: [...], events, ...}')
    .addHelpText('after', EXAMPLES)
    .action(run);
}

async function run({ seeds, seed, jobs, trace = false, json = false }: SimOptions): Promise<void> {
  const first = seed ?? 1;
  const count = seeds ?? (seed === undefined ? 100 : 1);
  const total = totalOf();
  const startedAt = performance.now();
  const done = (outcome: Outcome): void => {
    total.add(outcome);
    if (outcome.violation !== undefined && !json) process.stdout.write(`${replayOf(outcome)}\n`);
    if (!json && !trace && total.seeds % 100 === 0 && total.seeds < count) {
      process.stdout.write(`${total.seeds} of ${count} seeds, ${total.failed.length} failed\n`);
    }
  };
  if (trace) {
    const write = (line: string): void => {
      process.stdout.write(`${line}\n`);
    };
    for (let each = first; each < first + count; each++) {
      done(rehearse(each, { trace: write }));
      // A signal, and that nobody reads any more, are heard in between.
      await new Promise(setImmediate);
    }
  } else await rehearseAll(first, count, jobs, done);
  const seconds = (performance.now() - startedAt) / 1_000;
  process.stdout.write(
    json ? `${JSON.stringify(reportOf(total))}\n` : `${countsText(total, seconds)}\n`,
  );
  if (total.failed.length > 0) process.exitCode = 1;
}

const reportOf = ({ add: _, ...report }: Total): Omit<Total, 'add'> => report;
