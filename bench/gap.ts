// How long a stream pauses when its proxy fails, and where the time goes: until the survivor suspects the member,
// until it has announced the addresses, and until the next new byte is there.
//
//   npm run bench:gap -- [--rounds N] [--how kill|pause|link-down] [--kind TEXT] [--lab FILE] [--seed N] [--json]
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { seededRandom } from '../src/env/random.ts';
import { loadTopology } from '../src/lab/topology.ts';
import { loadProxyConfig } from '../src/proxy/config.ts';
import { KINDS } from './gap/kinds.ts';
import { type How, type Place, Rounds, type Sample } from './gap/rounds.ts';
import { quantile } from './harness/statistics.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    how: { type: 'string', default: 'kill' },
    kind: { type: 'string', default: '' },
    lab: { type: 'string', default: join(import.meta.dirname, '../labs/duo.yaml') },
    victim: { type: 'string', default: 'a' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});

function placeOf(path: string): Place {
  const { topology, folder } = loadTopology(path);
  const [proxy] = Object.values(topology.proxies);
  const [service] = loadProxyConfig(resolve(folder, proxy.config)).services;
  return { file: path, address: service.addresses[0], port: service.port, victim: values.victim };
}

const COLUMNS = [
  'gap',
  'p90',
  'max',
  'detection',
  'adoption',
  'retransm.',
  '2nd',
  'n',
  'resets',
  'wrong',
];

function row(samples: readonly Sample[]): string[] {
  const of = (field: Exclude<keyof Sample, 'kind'>): number[] => samples.map((s) => s[field]);
  const sum = (field: 'wrong' | 'resets'): number => of(field).reduce((a, b) => a + b, 0);
  const gaps = of('gapMs');
  const parts = [of('detectionMs'), of('adoptionMs'), of('retransmissionMs'), of('secondMs')];
  const spans = [
    quantile(gaps, 0.5),
    quantile(gaps, 0.9),
    Math.max(...gaps),
    ...parts.map((part) => quantile(part, 0.5)),
  ];
  return [
    ...spans.map((ms) => ms.toFixed(1)),
    ...[samples.length, sum('resets'), sum('wrong')].map(String),
  ];
}

// The programs of the lab run on the Node that runs this.
process.env.SUTURE_NODE = process.execPath;
const kinds = KINDS.filter(({ name }) => name.includes(values.kind));
const samples: Sample[] = [];
let counters: Record<string, number> = {};
{
  await using rounds = await Rounds.up(placeOf(values.lab), seededRandom(Number(values.seed)));
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const kind of kinds) {
      process.stderr.write(`\rround ${round}/${values.rounds}: ${kind.name}\x1b[K`);
      try {
        samples.push(await rounds.round(kind, values.how as How));
      } catch (error) {
        process.stderr.write(`\n${String(error)}\n`);
      }
    }
  }
  counters = await rounds.counters();
}
process.stderr.write('\r\x1b[K');
if (values.json) process.stdout.write(`${JSON.stringify({ samples, counters })}\n`);
else {
  const line = (name: string, cells: readonly string[]): string =>
    `${name.padEnd(14)}${cells.map((cell) => cell.padStart(10)).join('')}\n`;
  process.stdout.write(line('ms, medians', COLUMNS));
  for (const { name } of kinds) {
    const own = samples.filter(({ kind }) => kind === name);
    if (own.length > 0) process.stdout.write(line(name, row(own)));
  }
  process.stdout.write(`${JSON.stringify(counters)}\n`);
}
