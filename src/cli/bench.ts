// `suture bench`: the benchmark harness of a checkout. What it does is in bench/harness, which the installed
// package does not have: contestants, testbeds and results are no part of a proxy.
import { existsSync } from 'node:fs';
import { Argument, Command } from 'commander';
import { integer } from './integer.ts';
import { UsageError } from './usage-error.ts';

/** What bench/harness/main.ts offers. */
export interface BenchHarness {
  list(): string;
  run(
    suites: readonly string[],
    options: {
      readonly only?: string | undefined;
      readonly repeat?: number | undefined;
      readonly seconds?: number | undefined;
      readonly quick: boolean;
      readonly json?: string | undefined;
      readonly command: string;
      readonly signal: AbortSignal;
    },
  ): Promise<number>;
  compare(before: string, after: string, options: { readonly json: boolean }): boolean;
  report(files: readonly string[], options: { readonly out?: string | undefined }): Promise<void>;
}

const HARNESS = new URL('../../bench/harness/main.ts', import.meta.url);

async function harness(): Promise<BenchHarness> {
  if (!existsSync(HARNESS)) {
    throw new UsageError(
      'the benchmarks are not part of the installed package: run ./suture bench in a checkout of its repository',
    );
  }
  return (await import(HARNESS.href)) as BenchHarness;
}

const EXAMPLES = `
Examples:
  suture bench list
  suture bench run --quick                         does all of it work? 3 minutes
  suture bench run bulk rate --repeat 9
  suture bench run failover --only kill            how long a stream pauses, and why
  suture bench compare before.json after.json
  suture bench report`;

/** `suture bench` */
export function command(): Command {
  return new Command('bench')
    .summary('measure splicing beside other proxies, and report')
    .description(
      'Measure our splice beside HAProxy, nginx and others: one client, one server, the same network and\n' +
        'the same run, by turns. For checkouts; what is missing is installed where it may be.',
    )
    .helpCommand(false)
    .enablePositionalOptions()
    .addCommand(listCommand())
    .addCommand(runCommand())
    .addCommand(compareCommand())
    .addCommand(reportCommand())
    .addHelpText('after', EXAMPLES);
}

function listCommand(): Command {
  return new Command('list')
    .summary('suites and contestants')
    .description('List suites and contestants, and how long they take.')
    .addHelpText('after', '\nExamples:\n  suture bench list')
    .action(async () => {
      process.stdout.write((await harness()).list());
    });
}

function runCommand(): Command {
  return new Command('run')
    .summary('play suites')
    .description(
      'Play suites, all by default: each contestant in its turn, round after round, the first of which only\n' +
        'warms up. Ctrl-C ends it after the turn at hand and keeps what was measured. Ends with 1 when a turn failed.',
    )
    .addArgument(new Argument('[suites...]', 'suites to play; see: suture bench list'))
    .option('--only <text>', 'only cases whose names have TEXT in them')
    .option(
      '--repeat <n>',
      'turns of each contestant (default: 5, with --quick 1)',
      integer(1, 1_000),
    )
    .option('--seconds <n>', 'load in a turn (default: 2, with --quick 1)', integer(1, 600))
    .option(
      '--quick',
      'few contestants, one short turn each: whether it works, in 3 minutes',
      false,
    )
    .option('--json <file>', 'where the result goes (default: bench/results/TIME.json, quick.json)')
    .addHelpText(
      'after',
      '\nExamples:\n  suture bench run --quick\n  suture bench run spray --only bulk\n  suture bench run failover --repeat 50 --json failover.json',
    )
    .action(run);
}

interface RunOptions {
  readonly only?: string;
  readonly repeat?: number;
  readonly seconds?: number;
  readonly quick: boolean;
  readonly json?: string;
}

async function run(suites: readonly string[], options: RunOptions): Promise<void> {
  const { run: play } = await harness();
  const ending = new AbortController();
  const end = (): void => {
    process.stderr.write('\nending after this turn\n');
    ending.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  try {
    const command = `suture ${process.argv.slice(2).join(' ')}`;
    const failed = await play(suites, { ...options, command, signal: ending.signal });
    if (failed > 0) process.exitCode = 1;
  } finally {
    for (const signal of signals) process.off(signal, end);
  }
}

function compareCommand(): Command {
  return new Command('compare')
    .summary('which figures of two results differ')
    .description(
      'Say which figures of two results differ by more than chance (permutation test, 5 %). Ends with 0 when\n' +
        'nothing got significantly worse from A to B, with 1 when something did.',
    )
    .argument('<a>', 'result file, the earlier one')
    .argument('<b>', 'result file, the later one')
    .option('--json', 'one array of differences', false)
    .addHelpText(
      'after',
      '\nExamples:\n  suture bench compare bench/results/before.json bench/results/after.json',
    )
    .action(async (a: string, b: string, options: { readonly json: boolean }) => {
      if ((await harness()).compare(a, b, options)) process.exitCode = 1;
    });
}

function reportCommand(): Command {
  return new Command('report')
    .summary('write docs/benchmarks.md with plots')
    .description(
      'Write docs/benchmarks.md and its plots from result files: of each suite what the latest file has.',
    )
    .argument('[files...]', 'result files (default: all of bench/results)')
    .option('--out <file>', 'the Markdown file (default: docs/benchmarks.md); plots go beside it')
    .addHelpText('after', '\nExamples:\n  suture bench report')
    .action(async (files: readonly string[], options: { readonly out?: string }) => {
      await (await harness()).report(files, options);
    });
}
