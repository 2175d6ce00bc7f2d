// The figures of the README: Suture beside HAProxy in TCP mode, in one topology and one run, by turns.
//
//   npm run bench -- [--rounds N] [--seconds N] [--only TEXT] [--json]
//
// Each contestant of a suite first runs once unmeasured, so that all are warm.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Lab } from '../src/lab/lab.ts';
import { loadTopology } from '../src/lab/topology.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);

interface Contestant {
  readonly name: string;
  /** Where its HTTP server and its iperf3 server are found. */
  readonly web: string;
  readonly bulk: string;
}

const CONTESTANTS: readonly Contestant[] = [
  { name: 'direct', web: '10.1.0.31', bulk: '10.1.0.31' },
  { name: 'haproxy-tcp', web: '10.1.0.50', bulk: '10.1.0.50' },
  { name: 'suture-tcp', web: '10.0.0.100:81', bulk: '10.0.0.100' },
  { name: 'suture-http', web: '10.0.0.100', bulk: '10.0.0.100' },
];

interface Suite {
  readonly name: string;
  readonly unit: string;
  readonly skips?: readonly string[];
  readonly measure: (lab: Lab, contestant: Contestant) => Promise<number>;
}

async function output(lab: Lab, argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await lab.exec('client', argv, {
    timeoutMs: (seconds + 20) * 1_000,
  });
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${stderr || stdout}`);
  return stdout;
}

async function iperf3(lab: Lab, to: string, ...more: readonly string[]): Promise<number> {
  const text = await output(lab, ['iperf3', '-J', '-c', to, '-t', String(seconds), ...more]);
  const report = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
  return report.end.sum_received.bits_per_second / 1e9;
}

async function wrk(lab: Lab, to: string, ...more: readonly string[]): Promise<number> {
  const argv = ['wrk', '-t1', '-c64', `-d${seconds}`, ...more, `http://${to}/1k`];
  const text = await output(lab, argv);
  if (text.includes('Socket errors') || text.includes('Non-2xx')) throw new Error(text);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
}

const SUITES: readonly Suite[] = [
  {
    name: 'bulk, server to client',
    unit: 'Gbit/s',
    skips: ['suture-http'],
    measure: (lab, { bulk }) => iperf3(lab, bulk, '-R'),
  },
  {
    name: 'bulk, client to server',
    unit: 'Gbit/s',
    skips: ['suture-http'],
    measure: (lab, { bulk }) => iperf3(lab, bulk),
  },
  {
    name: 'new connection each, 64 at a time',
    unit: 'requests/s',
    measure: (lab, { web }) => wrk(lab, web, '-H', 'Connection: close'),
  },
  {
    name: 'keep-alive, 64 connections',
    unit: 'requests/s',
    measure: (lab, { web }) => wrk(lab, web),
  },
];

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const folder = mkdtempSync(join(tmpdir(), 'suture-bench-'));
writeFileSync(join(folder, '1k'), Buffer.alloc(1_024, 'x'));
const labs = join(import.meta.dirname, 'labs');
const { topology } = loadTopology(join(labs, 'contest.yaml'));
const web = { ...topology.hosts.web, files: { ...topology.hosts.web.files, root: folder } };
const hosts = { ...topology.hosts, web };
const results: { suite: string; contestant: string; unit: string; samples: number[] }[] = [];
try {
  await using lab = await Lab.up({ ...topology, hosts }, { folder: labs });
  for (const { name: suite, unit, skips, measure } of SUITES) {
    if (!suite.includes(options.only)) continue;
    const contestants = CONTESTANTS.filter(({ name }) => skips?.includes(name) !== true);
    const samples = new Map(contestants.map(({ name }) => [name, [] as number[]]));
    for (let round = 0; round <= rounds; round++) {
      const which = round === 0 ? 'warm-up' : `round ${round}/${rounds}`;
      for (const contestant of contestants) {
        process.stderr.write(`\r${suite}, ${which}: ${contestant.name}\x1b[K`);
        const value = await measure(lab, contestant);
        if (round > 0) samples.get(contestant.name)?.push(value);
      }
    }
    for (const [contestant, values] of samples) {
      results.push({ suite, contestant, unit, samples: values });
    }
  }
  process.stderr.write('\r\x1b[K');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

if (options.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  for (const { suite, contestant, unit, samples } of results) {
    const peer = results.find((r) => r.suite === suite && r.contestant === 'haproxy-tcp');
    const ratio = median(samples) / median(peer?.samples ?? samples);
    const value = median(samples).toFixed(unit === 'Gbit/s' ? 2 : 0);
    process.stdout.write(
      `${suite.padEnd(34)} ${contestant.padEnd(12)} ${value.padStart(8)} ${unit.padEnd(10)} ${ratio.toFixed(2)} x HAProxy\n`,
    );
  }
}
