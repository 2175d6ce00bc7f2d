// A run of chaos: a lab, clients of every kind, and members that fail.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/env/random.ts';
import { SERVED_FOLDER } from '../../src/lab/backend-server.ts';
import { monotonic } from '../../src/lab/event.ts';
import { NODE } from '../../src/lab/plan.ts';
import { TestLab } from '../e2e/cluster.ts';
import { chunksOf } from '../e2e/content.ts';
import { capture } from './capture.ts';
import { type Deed, type Harm, inflictFaults } from './faults.ts';
import { leftovers } from './leftovers.ts';
import { Members } from './members.ts';
import type { News } from './news.ts';
import type { ClientsOptions } from './programs/clients.ts';
import { type ChaosResult, countsOf, quantiles, Story } from './result.ts';
import { ADMIN_PORT, chaosTopology, type Topology } from './topologies.ts';
import { runWrk } from './wrk.ts';

export interface ChaosOptions {
  readonly topology: Topology;
  readonly seed: number;
  readonly seconds: number;
  /** An empty folder for logs, captures and the timeline. */
  readonly folder: string;
  /** What may befall members. */
  readonly harms: readonly Harm[];
  /** Whether frames are captured, which costs some of the machine. */
  readonly captures: boolean;
  /** Whether wrk takes part. */
  readonly wrk: boolean;
  readonly onDeed?: (deed: Deed) => void;
  readonly onNews?: (news: News) => void;
}

const FILE_BYTES = 8_000_000;
/** Members that have just started in a busy machine, in milliseconds. */
const START_MS = 60_000;
/** After the time is over, what was begun may still take so long. */
const END_MS = 75_000;
/** A connection that ended without our doing, and one that could not be made or was given up. */
const RESETS = ['Tcp.EstabResets', 'Tcp.AttemptFails'];
/** What we close with unread bytes the kernel counts as reset, too. */
const OWN = 'TcpExt.TCPAbortOnClose';

/** Runs until the time is over and all clients are done, and tells what came of it. */
export async function runChaos(
  options: ChaosOptions,
): Promise<ChaosResult & { readonly timeline: readonly string[] }> {
  const { seed, seconds, folder } = options;
  const { topology, members: names } = chaosTopology(options.topology, folder);
  await using test = await TestLab.up(topology);
  const { lab } = test;
  const log = createWriteStream(join(folder, 'lab.jsonl'));
  const logged = (async () => {
    for await (const event of lab.events) log.write(`${JSON.stringify(event)}\n`);
  })();
  const file = Buffer.concat([...chunksOf(seed, FILE_BYTES)]);
  const served = join(lab.path(SERVED_FOLDER), 'files');
  mkdirSync(served, { recursive: true });
  writeFileSync(join(served, 'large'), file);
  writeFileSync(join(served, '1k'), file.subarray(0, 1_024));

  await using members = new Members(lab, names, ADMIN_PORT);
  await members.allSettled(START_MS);
  await using captures = options.captures ? capture(lab, folder) : undefined;
  const before = await kernelResets(test);
  const story = new Story();
  const problems: string[] = [];
  const hear = (news: News): void => {
    if (news.type === 'ended') story.ended(news);
    else if (news.type === 'silence') story.silences.push(news);
    options.onNews?.(news);
  };

  const wanted: ClientsOptions = {
    ...{ seed, forMs: seconds * 1_000 },
    ...{ fileSha256: createHash('sha256').update(file).digest('hex'), fileBytes: FILE_BYTES },
  };
  const program = join(import.meta.dirname, 'programs/clients.ts');
  const clients = lab.spawn('client', [...NODE, program, JSON.stringify(wanted)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (clients.stdout === null) throw new Error('clients without an output');
  const lines = createInterface({ input: clients.stdout });
  const underWay = once(lines, 'line');
  lines.on('line', (line) => hear(JSON.parse(line) as News));
  const clientsEnded = once(lines, 'close');
  await underWay;
  const start = monotonic();
  const until = start + seconds * 1_000;
  const wrk = options.wrk ? runWrk(lab, 'bench', until, folder, hear) : undefined;
  try {
    const onDeed = (deed: Deed): void => {
      story.deeds.push(deed);
      options.onDeed?.(deed);
    };
    const { harms } = options;
    await inflictFaults({ lab, members, harms, random: seededRandom(seed), until, onDeed });
  } catch (error) {
    problems.push((error as Error).message);
  }
  await wrk;
  const late = await Promise.race([
    clientsEnded.then(() => false),
    sleep(Math.max(0, until - monotonic()) + END_MS, true, { ref: false }),
  ]);
  if (late) problems.push(`clients were not done ${END_MS} ms after their time`);
  clients.kill();
  const resets = (await kernelResets(test)) - before;
  problems.push(...(await leftovers(test, names)));

  await captures?.[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
  await logged;
  log.end();
  await finished(log);
  const timeline = story.lines(start);
  const told = [...story.deeds, ...story.silences, ...story.failed].map((it) => JSON.stringify(it));
  writeFileSync(join(folder, 'timeline.jsonl'), `${told.join('\n')}\n`);
  return {
    ...{ topology: options.topology, seed, seconds },
    ...{ requests: story.requests, bytes: story.bytes, failures: story.failures, resets },
    wrongBytes: story.failed.filter(({ wrong }) => wrong === true).length,
    ...countsOf(story),
    ...{ gapMs: quantiles(story.gaps), problems, kinds: story.kinds, timeline },
  };
}

/** Connections of both hosts of clients that the world ended. */
async function kernelResets(test: TestLab): Promise<number> {
  let sum = 0;
  for (const host of ['client', 'bench']) {
    const counters = await test.counters(host);
    for (const name of RESETS) sum += counters.get(name) ?? Number.NaN;
    sum -= counters.get(OWN) ?? Number.NaN;
  }
  return sum;
}
