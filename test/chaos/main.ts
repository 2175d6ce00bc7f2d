// `npm run chaos`: see docs/testing.md.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { integer } from '../../src/cli/integer.ts';
import { monotonic } from '../../src/lab/event.ts';
import { HARMS, type Harm } from './faults.ts';
import { type ChaosResult, isClean } from './result.ts';
import { runChaos } from './run.ts';
import { TOPOLOGIES, type Topology } from './topologies.ts';

interface Options {
  readonly seconds: number;
  readonly seed: number;
  readonly topology: Topology | 'all';
  readonly harms: readonly Harm[];
  readonly json?: boolean;
  readonly keep?: boolean;
  readonly capture: boolean;
}

/** One run, told of as it goes unless `json`. */
async function round(topology: Topology, options: Options): Promise<boolean> {
  const { seed, seconds, json = false } = options;
  const folder = mkdtempSync(join(tmpdir(), `suture-chaos-${topology}-`));
  const say = (text: string): void => {
    if (!json) process.stdout.write(`${text}\n`);
  };
  const began = monotonic();
  const clock = (): string => `${((monotonic() - began) / 1_000).toFixed(1).padStart(6)} s`;
  say(`chaos on ${topology}, seed ${seed}, ${seconds} s; logs in ${folder}`);
  const { timeline, ...result } = await runChaos({
    ...{
      topology,
      seed,
      seconds,
      folder,
      harms: options.harms,
      captures: options.capture,
      wrk: true,
    },
    onDeed: ({ verb, member }) => say(`${clock()}  ${verb} ${member}`),
    onNews: (news) => {
      if (news.type === 'ended' && news.fault !== undefined) {
        say(`${clock()}  FAILED ${news.kind}: ${news.fault}`);
      }
    },
  });
  const clean = isClean(result);
  if (json)
    process.stdout.write(`${JSON.stringify({ ...result, ...(clean ? {} : { folder }) })}\n`);
  else summarize(result);
  if (clean && options.keep !== true) rmSync(folder, { recursive: true, force: true });
  if (!clean) {
    const out = json ? process.stderr : process.stdout;
    for (const line of timeline) out.write(`${line}\n`);
    out.write(`lab.jsonl (logs), timeline.jsonl, *.pcap* are in ${folder}\n`);
  }
  return clean;
}

function summarize({ kinds, problems, gapMs, ...result }: ChaosResult): void {
  for (const [kind, [done, failed]] of Object.entries(kinds)) {
    console.log(
      `  ${kind.padEnd(24)} ${String(done).padStart(7)}${failed > 0 ? `  ${failed} FAILED` : ''}`,
    );
  }
  console.log(
    `${result.requests} requests, ${(result.bytes / 1e6).toFixed(0)} MB; ${result.failures} failures, ` +
      `${result.resets} resets, ${result.wrongBytes} with wrong bytes`,
  );
  console.log(
    `${result.kills} kills, ${result.pauses} pauses, ${result.linkDowns} links down, ` +
      `${result.restarts} restarts, ${result.drains} drains`,
  );
  if (gapMs !== null)
    console.log(`gaps: median ${gapMs.p50} ms, p99 ${gapMs.p99} ms, longest ${gapMs.max} ms`);
  for (const problem of problems) console.log(`PROBLEM: ${problem}`);
}

await new Command('chaos')
  .description(
    'Real clients through a cluster whose members are killed, paused, unplugged and restarted',
  )
  .option(
    '--seconds <n>',
    'how long clients begin requests, for each topology',
    integer(1, 1_000_000),
    60,
  )
  .option('--seed <s>', 'of what happens and when', integer(0, 2 ** 32 - 1), 1)
  .addOption(
    new Option(
      '--topology <name>',
      'two members, three, three that share the packets, or each in turn',
    )
      .choices([...TOPOLOGIES, 'all'])
      .default('all'),
  )
  .addOption(
    new Option('--harms <what...>', 'what befalls members').choices(HARMS).default(HARMS, 'all'),
  )
  .option('--json', 'an object a topology on a line')
  .option('--keep', 'keep logs and captures of a run that is clean, too')
  .option('--no-capture', 'do not capture frames')
  .addHelpText(
    'after',
    '\nEnds with 0 only if no request failed.\n\nExamples:\n  npm run chaos -- --seconds 600 --seed 7 --json\n  npm run chaos -- --topology trio --keep',
  )
  .action(async (options: Options) => {
    let clean = true;
    for (const topology of options.topology === 'all' ? TOPOLOGIES : [options.topology]) {
      clean = (await round(topology, options)) && clean;
    }
    process.exitCode = clean ? 0 : 1;
  })
  .parseAsync();
