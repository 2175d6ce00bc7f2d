import { bulkOf, contestant } from '../contestants/contestants.ts';
import { contest, wake } from '../harness/contest-stage.ts';
import type { Case, Effort, Metric, Suite } from '../harness/suite.ts';
import { iperf3 } from '../load/iperf3.ts';
import { wrk } from '../load/wrk.ts';

export const THROUGHPUT: Metric = {
  ...{ name: 'throughput', meaning: 'what arrived at the receiver' },
  ...{ unit: 'Gbit/s', better: 'higher' },
};

const TCP = [
  'direct',
  'tap-loop',
  'haproxy-tcp',
  'haproxy-splice',
  'nginx-stream',
  'node-pipe',
  'suture-1',
];
const QUICK = ['direct', 'tap-loop', 'haproxy-tcp', 'suture-1'];
const HTTP = ['direct', 'haproxy-http', 'nginx-http', 'suture-http'];

export const bulk: Suite = {
  name: 'bulk',
  summary: 'How much goes through: one and eight connections, both directions',
  explanation:
    'iperf3 sends as fast as it can; what arrives at the receiver counts. Client, proxy and server share the ' +
    "machine's processors, so that a figure is what is left for the proxy beside the two ends. HTTP proxies cannot " +
    'carry iperf3: for them, wrk fetches a file of 64 MiB over one connection, again and again.',
  stage: contest,
  cases: (effort) => [
    tcp(effort, 1, true),
    tcp(effort, 1, false),
    tcp(effort, 8, true),
    ...(effort.quick ? [] : [tcp(effort, 8, false)]),
    http(effort),
  ],
};

function tcp({ quick, seconds }: Effort, connections: number, toClient: boolean): Case {
  const count = connections === 1 ? '1 connection' : `${connections} connections`;
  return {
    name: `${count}, ${toClient ? 'to the client' : 'from the client'}`,
    contestants: quick ? QUICK.slice(connections === 1 ? 0 : 2) : TCP,
    metrics: [THROUGHPUT],
    estimate: seconds + 0.4,
    measure: async (turn) => {
      const where = bulkOf(turn.contestant);
      await wake(turn);
      const { rate } = await iperf3(turn, { ...where, connections, toClient, seconds });
      return { throughput: rate / 1e9 };
    },
  };
}

function http({ quick, seconds }: Effort): Case {
  return {
    name: '1 connection, 64 MiB responses by HTTP',
    contestants: quick ? HTTP.slice(2) : HTTP,
    metrics: [THROUGHPUT],
    estimate: seconds + 0.3,
    measure: async (turn) => {
      await wake(turn);
      const { web } = contestant(turn.contestant);
      const { bits } = await wrk(turn, { web, file: '64m', connections: 1, seconds });
      return { throughput: bits / 1e9 };
    },
  };
}
