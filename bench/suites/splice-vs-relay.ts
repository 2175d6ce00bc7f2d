import { bulkOf, contestant } from '../contestants/contestants.ts';
import { contest, wake } from '../harness/contest-stage.ts';
import type { Case, Effort, Suite } from '../harness/suite.ts';
import { iperf3 } from '../load/iperf3.ts';
import { wrk } from '../load/wrk.ts';
import { THROUGHPUT } from './bulk.ts';
import { REQUESTS } from './rate.ts';

const BOTH = ['suture-1', 'suture-relay'];

export const spliceVsRelay: Suite = {
  name: 'splice-vs-relay',
  summary: 'What splicing is worth: our splice beside two terminated connections of our own TCP',
  explanation:
    'The same proxy, the same service, once spliced by rewriting headers, once relayed: both connections end in our ' +
    'own TCP and the bytes are copied. Nothing else differs, except that the relayed server is reached by IPv6, ' +
    'which is what forces the relay and costs 20 bytes of header a segment.',
  stage: contest,
  cases: (effort) => [
    bulk(effort, true),
    requests(effort, true),
    ...(effort.quick ? [] : [bulk(effort, false), requests(effort, false)]),
  ],
};

function bulk({ seconds }: Effort, toClient: boolean): Case {
  return {
    name: `1 connection, ${toClient ? 'to the client' : 'from the client'}`,
    contestants: BOTH,
    metrics: [THROUGHPUT],
    estimate: seconds + 0.4,
    measure: async (turn) => {
      const where = bulkOf(turn.contestant);
      await wake(turn);
      const { rate } = await iperf3(turn, { ...where, toClient, seconds });
      return { throughput: rate / 1e9 };
    },
  };
}

function requests({ seconds }: Effort, newConnections: boolean): Case {
  return {
    name: newConnections
      ? 'a connection for each request, 64 at a time'
      : '64 connections that stay',
    contestants: BOTH,
    metrics: [REQUESTS],
    estimate: seconds + 0.3,
    measure: async (turn) => {
      await wake(turn);
      const { web } = contestant(turn.contestant);
      const options = { web, file: '1k', connections: 64, newConnections, seconds } as const;
      return { requests: (await wrk(turn, options)).rate };
    },
  };
}
