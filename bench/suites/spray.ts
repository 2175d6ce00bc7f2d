import type { Case, Effort, Metric, Samples, StageMaker, Suite, Turn } from '../harness/suite.ts';
import { BULK_PORT, openSpread, SERVICE, spreadOtherwise } from '../labs/spread.ts';
import { countersOf } from '../load/counters.ts';
import { iperf3 } from '../load/iperf3.ts';
import { wrk } from '../load/wrk.ts';
import { THROUGHPUT } from './bulk.ts';
import { REQUESTS } from './rate.ts';

const PROXIES = 3;
/** How the router sends on what is for the proxies: by contestant. */
const WAYS = {
  'one proxy': ['one', 1],
  'by flow': ['flow', 1],
  'by packet': ['packet', 1],
  'by packet, 32 in a row': ['packet', 32],
} as const;
type Way = keyof typeof WAYS;

interface Counted extends Metric {
  readonly counter: string;
}
const counted = (name: string, counter: string, meaning: string, picture?: 'none'): Counted => ({
  ...{ name, counter, meaning, unit: 'of 1,000 segments', better: 'lower' },
  ...(picture === undefined ? {} : { picture }),
});
const RETRANSMITTED = counted('retransmitted', 'Tcp.RetransSegs', 'segments sent again');
const COUNTED = [
  RETRANSMITTED,
  counted('fast retransmit', 'TcpExt.TCPFastRetrans', 'of them by fast retransmit', 'none'),
  counted('timeouts', 'TcpExt.TCPTimeouts', 'retransmission timers that ran out', 'none'),
  counted(
    'reordering seen',
    'TcpExt.TCPSACKReorder',
    'times that a sender found by SACK that what it had taken for lost was late',
    'none',
  ),
  counted(
    'out of order',
    'TcpExt.TCPOFOQueue',
    'trains of segments that a receiver had to keep until earlier ones came',
    'none',
  ),
];

const stage: StageMaker = { name: 'spray', open: () => openSpread(PROXIES, 'packet') };

export const spray: Suite = {
  name: 'spray',
  summary: 'What it costs to spread the packets of one connection over three proxies',
  explanation:
    'The same three proxies, and a router before them that sends everything by way of one of them, spreads flows, or spreads ' +
    'packets one by one, or 32 in a row; what the server sends passes the router, too, and is spread alike. Three proxies, both ' +
    'ends and the router share the processors, so this is what spraying costs where nothing is gained by it. Packets that go different ' +
    "ways overtake each other; the counters are those of both ends' kernels, for each 1,000 segments that they sent, and say what the " +
    'ends made of it: a sender that takes what is late for lost sends it twice.',
  stage,
  cases: (effort) => [
    bulk(effort, 1, true),
    ...(effort.quick
      ? []
      : [
          bulk(effort, 1, false),
          bulk(effort, 8, true),
          requests(effort, '1 connection', 1),
          requests(effort, '64 connections', 64),
          requests(effort, 'a connection for each request, 64 at a time', 64, true),
        ]),
  ],
};

const ways = ({ quick }: Effort): readonly string[] => Object.keys(WAYS).slice(quick ? 2 : 0);

function bulk(effort: Effort, connections: number, toClient: boolean): Case {
  const { seconds } = effort;
  const count = connections === 1 ? '1 connection' : `${connections} connections`;
  return {
    name: `bulk, ${count}, ${toClient ? 'to the client' : 'from the client'}`,
    contestants: ways(effort),
    metrics: [THROUGHPUT, ...COUNTED],
    estimate: seconds + 1,
    measure: (turn) =>
      play(turn, async () => {
        const where = { address: SERVICE, port: BULK_PORT };
        const { rate } = await iperf3(turn, { ...where, connections, toClient, seconds });
        return { throughput: rate / 1e9 };
      }),
  };
}

function requests(effort: Effort, name: string, connections: number, newOnes = false): Case {
  const { seconds } = effort;
  return {
    name: newOnes ? name : `requests, ${name} that stay${connections === 1 ? 's' : ''}`,
    contestants: ways(effort),
    metrics: [REQUESTS, RETRANSMITTED],
    estimate: seconds + 1,
    measure: (turn) =>
      play(turn, async () => {
        const load = { web: SERVICE, file: '1k', newConnections: newOnes, connections } as const;
        return { requests: (await wrk(turn, { ...load, seconds })).rate };
      }),
  };
}

async function play(turn: Turn, load: () => Promise<Samples>): Promise<Samples> {
  const { stage: on, contestant } = turn;
  const [how, run] = WAYS[contestant as Way];
  await spreadOtherwise(on, PROXIES, how, run);
  const both = (): Promise<Readonly<Record<string, number>>[]> =>
    Promise.all(['client', 'web'].map((host) => countersOf(on, host)));
  const before = await both();
  const samples = await load();
  const after = await both();
  const moved = (name: string): number =>
    after.reduce((sum, each, host) => sum + (each[name] ?? 0) - (before[host][name] ?? 0), 0);
  const thousands = moved('Tcp.OutSegs') / 1_000;
  const counts = COUNTED.map(({ name, counter }) => [name, moved(counter) / thousands] as const);
  return { ...samples, ...Object.fromEntries(counts) };
}
