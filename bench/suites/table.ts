import { join } from 'node:path';
import { run } from '../../src/lab/run.ts';
import { Stage } from '../harness/stage.ts';
import type { Case, Effort, Metric, Suite, Turn } from '../harness/suite.ts';
import type { Figures } from '../kernels/table.ts';

const KERNELS = join(import.meta.dirname, '../kernels');
const FLOWS = [1_000, 10_000, 100_000, 1_000_000];
const CONNECTIONS = 20_000;
const TIMEOUT_MS = 120_000;

const rate = (name: string, meaning: string): Metric => ({
  ...{ name, meaning, unit: 'million packets/s', better: 'higher' },
});
const cost = (name: string, unit: string, meaning: string): Metric => ({
  ...{ name, meaning, unit, better: 'lower', picture: 'none' },
});
const METRICS: readonly Metric[] = [
  rate('rate', 'the whole fast path: lookup, rewrite, life cycle, counters; flows in turn'),
  rate('rate in random order', 'the same; with many flows every packet waits for memory'),
  rate('rewrite alone', 'headers of a packet whose slot is known'),
  cost('size', 'bytes/flow', 'slots and index of the table'),
  cost('insert', 'us/flow', 'the mean'),
  cost('slowest insert', 'us', 'of all that were made'),
  cost('lookup', 'us/flow', 'by addresses and ports'),
  cost('delete', 'us/flow', 'the mean'),
  cost('snapshot', 'us/flow', 'read here, and put into the table of a member that joins'),
];

export const table: Suite = {
  name: 'table',
  summary:
    'The splice table alone: packets a second, bytes a flow, and its operations, at 1,000 to 1,000,000 flows',
  explanation:
    'One process, one core, no kernel in between; full-sized segments, from either end at random. A takeover touches no record, ' +
    'whatever their number: what it takes is in the suite failover. The last case runs a whole cluster and its clients in ' +
    'one process on memory links: what our own code costs for each HTTP connection, set-up to close.',
  stage: { name: 'process', open: () => Stage.open({}) },
  cases: (effort) => [flows(effort), connection(effort)],
};

function flows({ quick }: Effort): Case {
  const sizes = quick ? FLOWS.slice(1, 2) : FLOWS;
  return {
    name: 'one core',
    contestants: sizes.map((count) => `${count.toLocaleString('en-US')} flows`),
    metrics: METRICS,
    estimate: 6,
    // Each turn is a process of its own, which warms up by itself.
    warmsUp: false,
    measure: async (turn) => {
      const count = turn.contestant.replaceAll(/\D/g, '');
      const figures = (await kernel(turn, 'table.ts', count)) as Figures;
      const { random, alone, slowestInsert, ...rest } = figures;
      return {
        ...rest,
        'rate in random order': random,
        'rewrite alone': alone,
        'slowest insert': slowestInsert,
      };
    },
  };
}

function connection({ quick }: Effort): Case {
  return {
    name: 'a spliced HTTP connection of 1 KB, our own code alone',
    contestants: ['a cluster of two'],
    metrics: [
      cost('serving member', 'us/connection', 'processor time of the member that accepts'),
      cost('its peer', 'us/connection', 'of the one that keeps a copy'),
    ],
    estimate: quick ? 3 : 8,
    warmsUp: false,
    measure: async (turn) => {
      const count = quick ? CONNECTIONS / 10 : CONNECTIONS;
      const { serving, peer } = (await kernel(turn, 'connection.ts', String(count))) as {
        readonly serving: number;
        readonly peer: number;
      };
      return { 'serving member': serving, 'its peer': peer };
    },
  };
}

/** What a kernel prints, as an object. @throws Error when it fails */
async function kernel(turn: Turn, file: string, argument: string): Promise<unknown> {
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', join(KERNELS, file)];
  turn.ran('this machine', ['node', `bench/kernels/${file}`, argument]);
  const { code, stdout, stderr } = await run([...argv, argument], { timeoutMs: TIMEOUT_MS });
  if (code !== 0) throw new Error(`${file} ${argument} ended with ${code}: ${stderr.trim()}`);
  return JSON.parse(stdout);
}
