import { contestant } from '../contestants/contestants.ts';
import { contest, wake } from '../harness/contest-stage.ts';
import type { Case, Effort, Metric, Suite } from '../harness/suite.ts';
import { wrk } from '../load/wrk.ts';

export const REQUESTS: Metric = { name: 'requests', unit: 'requests/s', better: 'higher' };

export const ALL = [
  'direct',
  'tap-loop',
  'haproxy-tcp',
  'haproxy-splice',
  'haproxy-http',
  'nginx-stream',
  'nginx-http',
  'node-pipe',
  'suture-1',
  'suture-http',
];
export const FEW = ['direct', 'haproxy-tcp', 'suture-1'];

export const rate: Suite = {
  name: 'rate',
  summary: 'New connections a second: 1 KB and 100 KB responses',
  explanation:
    'wrk with 64 connections at a time asks for one file over each and opens the next: handshakes, choosing a ' +
    'server, replication and closing dominate. Ports in TIME-WAIT are used again after a second on all hosts; ' +
    "without that it is the client's search for a free port that is measured, not the proxy.",
  stage: contest,
  cases: (effort) => [
    newConnections(effort, '1k', '1 KB'),
    newConnections(effort, '100k', '100 KB'),
  ],
};

function newConnections({ quick, seconds }: Effort, file: '1k' | '100k', size: string): Case {
  return {
    name: `a connection for each request of ${size}, 64 at a time`,
    contestants: quick ? FEW : ALL,
    metrics: [REQUESTS],
    estimate: seconds + 0.3,
    measure: async (turn) => {
      await wake(turn);
      const { web } = contestant(turn.contestant);
      const options = { web, file, connections: 64, newConnections: true, seconds };
      return { requests: (await wrk(turn, options)).rate };
    },
  };
}
