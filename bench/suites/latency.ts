import { contestant } from '../contestants/contestants.ts';
import { contest, wake } from '../harness/contest-stage.ts';
import type { Case, Effort, Metric, Suite } from '../harness/suite.ts';
import { latency as measure } from '../load/latency.ts';
import { ALL, FEW } from './rate.ts';

const PERCENTILES: readonly Metric[] = [
  { name: 'p50', unit: 'us', better: 'lower' },
  { name: 'p99', unit: 'us', better: 'lower' },
  { name: 'p99.9', unit: 'us', better: 'lower' },
];
/** Far below what the slowest contestant can do, since beyond that only queues are measured. */
const LOADS = [
  { connections: 1, rate: undefined, name: '1 connection, one request after the other' },
  { connections: 64, rate: 2_000, name: '64 connections, 2,000 requests/s' },
  { connections: 64, rate: 5_000, name: '64 connections, 5,000 requests/s' },
] as const;

export const latency: Suite = {
  name: 'latency',
  summary: 'p50, p99 and p99.9 of requests at a fixed load',
  explanation:
    'Our own generator (bench/load/steady.ts) asks for 1 KB at fixed moments, whatever becomes of the requests ' +
    'before, and counts each latency from the moment at which the request was due, as wrk2 does: a proxy that ' +
    'stalls is charged for every request it kept waiting, not for one. The first tenth of each turn is not counted.',
  stage: contest,
  cases: (effort) => (effort.quick ? LOADS.slice(0, 2) : LOADS).map((load) => caseOf(effort, load)),
};

function caseOf({ quick, seconds }: Effort, { name, ...load }: (typeof LOADS)[number]): Case {
  return {
    name,
    contestants: quick ? FEW : ALL,
    metrics: PERCENTILES,
    estimate: seconds + 0.6,
    measure: async (turn) => {
      await wake(turn);
      const { connections, rate } = load;
      const { web } = contestant(turn.contestant);
      const options = { web, connections, ...(rate === undefined ? {} : { rate }), seconds };
      const { p50, p99, p999 } = await measure(turn, options);
      return { p50, p99, 'p99.9': p999 };
    },
  };
}
