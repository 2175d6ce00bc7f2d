import { contestant } from '../contestants/contestants.ts';
import { contest, wake } from '../harness/contest-stage.ts';
import type { Suite } from '../harness/suite.ts';
import { wrk } from '../load/wrk.ts';
import { ALL, FEW, REQUESTS } from './rate.ts';

const CONNECTIONS = [1, 16, 64, 256];

export const keepalive: Suite = {
  name: 'keepalive',
  summary: 'Requests a second over 1, 16, 64 and 256 connections that stay',
  explanation:
    'wrk asks for 1 KB over each connection as soon as the answer is there: what a proxy costs each request once ' +
    'the connection stands. With one connection it is the round trip that counts.',
  stage: contest,
  cases: ({ quick, seconds }) =>
    CONNECTIONS.filter((connections) => !quick || connections === 1 || connections === 64).map(
      (connections) => ({
        name: connections === 1 ? '1 connection' : `${connections} connections`,
        contestants: quick ? FEW : ALL,
        metrics: [REQUESTS],
        estimate: seconds + 0.3,
        measure: async (turn) => {
          await wake(turn);
          const { web } = contestant(turn.contestant);
          const { rate } = await wrk(turn, { web, file: '1k', connections, seconds });
          return { requests: rate };
        },
      }),
    ),
};
