import { bulkOf, contestant } from '../contestants/contestants.ts';
import { contest, wake } from '../harness/contest-stage.ts';
import type { Case, Effort, Metric, Suite, Turn } from '../harness/suite.ts';
import { iperf3 } from '../load/iperf3.ts';
import { latency } from '../load/latency.ts';
import { wrk } from '../load/wrk.ts';
import { THROUGHPUT } from './bulk.ts';
import { REQUESTS } from './rate.ts';

const PEERS = ['suture-0', 'suture-1', 'suture-2', 'suture-3'];
const SETUP: readonly Metric[] = [
  { name: 'p50', unit: 'us', better: 'lower' },
  { name: 'p99', unit: 'us', better: 'lower' },
];
const COST: readonly Metric[] = [
  REQUESTS,
  { name: 'datagrams', unit: 'datagrams/connection', better: 'lower' },
  { name: 'bytes', unit: 'bytes/connection', better: 'lower' },
];

export const replication: Suite = {
  name: 'replication',
  summary: 'What 0 to 3 peers cost: throughput, set-up latency, datagrams and bytes a connection',
  explanation:
    'Clusters of one to four members of which the first serves; those out of their turn are stopped. A connection is ' +
    'spliced only when every peer has its record, so its set-up waits for the slowest of them; bulk does not touch the ' +
    'peers at all. All peers share the processors here that elsewhere would be their own. Datagrams and bytes are what the ' +
    'serving member sent to all its peers, heartbeats included, over the connections it spliced.',
  stage: contest,
  cases: (effort) => [bulk(effort), rate(effort), setUp(effort)],
};

function bulk({ quick, seconds }: Effort): Case {
  return {
    name: 'bulk, 1 connection, to the client',
    contestants: quick ? PEERS.slice(0, 2) : PEERS,
    metrics: [THROUGHPUT],
    estimate: seconds + 0.5,
    measure: async (turn) => {
      await wake(turn);
      const where = bulkOf(turn.contestant);
      const { rate } = await iperf3(turn, { ...where, toClient: true, seconds });
      return { throughput: rate / 1e9 };
    },
  };
}

function rate({ quick, seconds }: Effort): Case {
  return {
    name: 'a connection for each request of 1 KB, 64 at a time',
    contestants: quick ? PEERS.slice(0, 2) : PEERS,
    metrics: COST,
    estimate: seconds + 0.5,
    measure: async (turn) => {
      await wake(turn);
      const { web } = contestant(turn.contestant);
      const before = await meshCounters(turn);
      const options = { web, file: '1k', connections: 64, newConnections: true, seconds } as const;
      const { rate, count } = await wrk(turn, options);
      const after = await meshCounters(turn);
      return {
        requests: rate,
        datagrams: (after.datagrams - before.datagrams) / count,
        bytes: (after.bytes - before.bytes) / count,
      };
    },
  };
}

function setUp({ quick, seconds }: Effort): Case {
  return {
    name: 'set-up and 1 KB over a new connection, one at a time',
    contestants: quick ? PEERS.slice(0, 2) : PEERS,
    metrics: SETUP,
    estimate: seconds + 0.6,
    measure: async (turn) => {
      await wake(turn);
      const { web } = contestant(turn.contestant);
      const options = { web, connections: 1, newConnections: true, seconds };
      const { p50, p99 } = await latency(turn, options);
      return { p50, p99 };
    },
  };
}

/** What the serving member has sent to its peers so far. */
async function meshCounters({ stage, contestant: name }: Turn): Promise<{
  readonly datagrams: number;
  readonly bytes: number;
}> {
  const [member] = contestant(name).processes;
  const text = await stage.exec(member, ['curl', '-s', 'http://127.0.0.1:9100/metrics']);
  const counter = (event: string): number => {
    const line = `suture_events_total{part="replication",event="${event}"} `;
    return Number(
      text
        .split('\n')
        .find((each) => each.startsWith(line))
        ?.slice(line.length) ?? 0,
    );
  };
  return { datagrams: counter('datagramsOut'), bytes: counter('bytesOut') };
}
