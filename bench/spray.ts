// What spraying costs: the same three proxies, with all packets of a connection by way of one of them, with flows
// spread over them, and with packets spread over them; by turns in one lab and one run.
//
//   npm run bench:spray -- [--rounds N] [--seconds N] [--only TEXT] [--json]
//
// Beside each rate stand the kernel's counters of reordering at both ends, for each 1,000 segments that the
// receiver of the bulk got: what the ends take for loss is what reordering costs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Lab } from '../src/lab/lab.ts';
import { planRoutes } from '../src/lab/spreading.ts';
import { loadTopology, type RouteTopology } from '../src/lab/topology.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

const SERVICE = '10.0.0.100';
const SOURCES = '10.1.0.20/30';
const HOPS = ['10.1.0.11', '10.1.0.12', '10.1.0.13'];

/** How the router sends on what is for the proxies. */
interface Spread {
  readonly name: string;
  readonly routes: readonly RouteTopology[];
  /** Packets in a row that go the same way. */
  readonly run?: number;
  /** Whether both ends wait for what comes late, instead of taking it for lost. */
  readonly patient?: boolean;
}

const routes = (via: string | string[], how: 'flow' | 'packet'): readonly RouteTopology[] =>
  [SERVICE, SOURCES].map((to) => ({ to, via, spread: how }));

const SPREADS: readonly Spread[] = [
  { name: 'one proxy', routes: routes(HOPS[0], 'flow') },
  { name: 'by flow', routes: routes(HOPS, 'flow') },
  { name: 'by packet', routes: routes(HOPS, 'packet') },
  { name: 'by packet, 32 in a row', routes: routes(HOPS, 'packet'), run: 32 },
  { name: 'by packet, patient ends', routes: routes(HOPS, 'packet'), patient: true },
];

/**
 * No RACK, whose patience ends with a round trip, and three trains of 64 KiB out of order at first; and the
 * defaults.
 */
const PATIENCE = { tcp_recovery: [0, 1], tcp_reordering: [135, 3] } as const;

/** A load: the client's command, and how its output tells the rate. */
interface Load {
  readonly name: string;
  readonly unit: string;
  readonly command: readonly string[];
  readonly rate: (output: string) => number;
}

const gigabits = (output: string): number => {
  const report = JSON.parse(output) as { end: { sum_received: { bits_per_second: number } } };
  return report.end.sum_received.bits_per_second / 1e9;
};
const requests = (output: string): number => {
  if (/Socket errors|Non-2xx/.test(output)) throw new Error(output);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
};
const wrk = (...more: string[]): string[] => [
  ...['wrk', '-t1', `-d${seconds}`],
  ...[...more, `http://${SERVICE}/1k`],
];
const iperf3 = (...more: string[]): string[] => [
  ...['iperf3', '-J', '-c', SERVICE, '-t', String(seconds)],
  ...more,
];

const LOADS: readonly Load[] = [
  { name: 'bulk to the client', unit: 'Gbit/s', command: iperf3('-R'), rate: gigabits },
  { name: 'bulk from the client', unit: 'Gbit/s', command: iperf3(), rate: gigabits },
  {
    name: 'bulk to the client, 8 connections',
    unit: 'Gbit/s',
    command: iperf3('-R', '-P', '8'),
    rate: gigabits,
  },
  { name: 'keep-alive, 1 connection', unit: 'requests/s', command: wrk('-c1'), rate: requests },
  { name: 'keep-alive, 64 connections', unit: 'requests/s', command: wrk('-c64'), rate: requests },
  {
    name: 'new connections, 64 at a time',
    unit: 'requests/s',
    command: wrk('-c64', '-H', 'Connection: close'),
    rate: requests,
  },
];

/** What the kernel says of reordering, and of what it took for loss. */
const COUNTERS = [
  'Tcp.RetransSegs',
  'TcpExt.TCPFastRetrans',
  'TcpExt.TCPLossProbes',
  'TcpExt.TCPTimeouts',
  'TcpExt.TCPSACKReorder',
  'TcpExt.TCPTSReorder',
  'TcpExt.TCPDSACKUndo',
  'TcpExt.TCPDSACKRecv',
  'TcpExt.TCPOFOQueue',
];

type Counts = Readonly<Record<string, number>>;

async function counts(lab: Lab, host: string): Promise<Counts> {
  const { stdout } = await lab.exec(host, ['cat', '/proc/net/snmp', '/proc/net/netstat']);
  const lines = stdout.trim().split('\n');
  const found: Record<string, number> = {};
  for (let line = 0; line + 1 < lines.length; line += 2) {
    const names = lines[line].split(/:? /);
    const numbers = lines[line + 1].split(/:? /);
    for (let at = 1; at < names.length; at++)
      found[`${names[0]}.${names[at]}`] = Number(numbers[at]);
  }
  return found;
}

/** Has the router send on as a spread says from now on. */
async function apply(lab: Lab, { routes: wanted, run = 1, patient }: Spread): Promise<void> {
  const { commands, ruleset: each } = planRoutes(wanted);
  const ruleset = each?.replaceAll(
    /numgen inc mod (\d+) offset (\d+)/g,
    (_, hops: string, first: string) => {
      const turns = Array.from(
        { length: Number(hops) },
        (__, turn) => `${turn * run}-${(turn + 1) * run - 1} : ${Number(first) + turn}`,
      );
      return `numgen inc mod ${run * Number(hops)} map { ${turns.join(', ')} }`;
    },
  );
  for (const host of ['client', 'web1']) {
    const values = Object.entries(PATIENCE).map(
      ([name, [set, usual]]) =>
        `echo ${patient === true ? set : usual} > /proc/sys/net/ipv4/${name}`,
    );
    const { code, stderr } = await lab.exec(host, ['sh', '-ec', values.join('\n')]);
    if (code !== 0) throw new Error(`${host}: ${stderr}`);
  }
  const lines = commands.map((line) =>
    line.startsWith('rule') ? line : line.replace('route add', 'route replace'),
  );
  const script = [
    'nft delete table inet spread 2>/dev/null',
    'while ip rule del priority 500 2>/dev/null; do :; done',
    `ip -batch - <<'END'\n${lines.map((line) => line.replace('rule add', 'rule add priority 500')).join('\n')}\nEND`,
    ruleset === undefined ? '' : `nft -f - <<'END'\n${ruleset}END`,
  ].join('\n');
  const { code, stderr } = await lab.exec('router', [
    'sh',
    '-ec',
    script.replaceAll('null\n', 'null || true\n'),
  ]);
  if (code !== 0) throw new Error(`the router: ${stderr}`);
}

interface Sample {
  readonly rate: number;
  /** Counters at client and backend together, of this measurement. */
  readonly counted: Counts;
}

async function measure(lab: Lab, load: Load): Promise<Sample> {
  const before = [await counts(lab, 'client'), await counts(lab, 'web1')];
  const timeoutMs = (seconds + 30) * 1_000;
  const { code, stdout, stderr } = await lab.exec('client', load.command, { timeoutMs });
  if (code !== 0) throw new Error(`${load.command.join(' ')}: ${stderr}${stdout}`);
  const after = [await counts(lab, 'client'), await counts(lab, 'web1')];
  const counted = Object.fromEntries(
    ['Tcp.OutSegs', ...COUNTERS].map((name) => [
      name,
      after.reduce((sum, each, at) => sum + (each[name] ?? 0) - (before[at][name] ?? 0), 0),
    ]),
  );
  return { rate: load.rate(stdout), counted };
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'suture-spray-'));
writeFileSync(join(folder, '1k'), Buffer.alloc(1_024, 'x'));
const { topology } = loadTopology(join(root, 'labs', 'spray.yaml'));
for (const proxy of Object.values(topology.proxies)) {
  proxy.config = join(import.meta.dirname, 'labs', 'spray.proxy.yaml');
}
const { web1 } = topology.hosts;
web1.files = { root: folder, port: 80, server: 'auto' };
web1.run = [
  {
    name: 'iperf3',
    command: ['iperf3', '-s'],
    env: {},
    ready: { tcp: 5201 },
    readyTimeoutMs: 10_000,
  },
];

const results: { load: string; spread: string; unit: string; samples: readonly Sample[] }[] = [];
try {
  await using lab = await Lab.up(topology, { folder: join(root, 'labs') });
  for (const load of LOADS.filter(({ name }) => name.includes(values.only))) {
    const samples = SPREADS.map((): Sample[] => []);
    // The first round only warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [index, each] of SPREADS.entries()) {
        process.stderr.write(`\r${load.name}, round ${round}/${rounds}: ${each.name}\x1b[K`);
        await apply(lab, each);
        const sample = await measure(lab, load);
        if (round > 0) samples[index].push(sample);
      }
    }
    for (const [index, { name }] of SPREADS.entries()) {
      results.push({ load: load.name, spread: name, unit: load.unit, samples: samples[index] });
    }
  }
  process.stderr.write('\r\x1b[K');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  for (const { load, spread: how, unit, samples } of results) {
    const rate = median(samples.map((sample) => sample.rate));
    const base = results.find((other) => other.load === load)?.samples ?? samples;
    const ratio = rate / median(base.map((sample) => sample.rate));
    const text = rate.toFixed(unit === 'Gbit/s' ? 2 : 0).padStart(8);
    process.stdout.write(
      `${load.padEnd(34)} ${how.padEnd(24)} ${text} ${unit.padEnd(10)} ${ratio.toFixed(2)} x one proxy\n`,
    );
    const shares = COUNTERS.map((name) => {
      const share = median(
        samples.map(({ counted }) => (1_000 * counted[name]) / counted['Tcp.OutSegs']),
      );
      return [name.split('.')[1], share] as const;
    }).filter(([, share]) => share >= 0.05);
    if (shares.length > 0) {
      const list = shares.map(([name, share]) => `${name} ${share.toFixed(1)}`).join(', ');
      process.stdout.write(`${' '.repeat(35)}of 1,000 segments: ${list}\n`);
    }
  }
}
