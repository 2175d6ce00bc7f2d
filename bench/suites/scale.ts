import { pidsOutside, Shares } from '../harness/share.ts';
import { Stage } from '../harness/stage.ts';
import type { Case, Effort, Samples, StageMaker, Suite, Turn } from '../harness/suite.ts';
import { BULK_PORT, openSpread, SERVICE, spreadMembers } from '../labs/spread.ts';
import { iperf3 } from '../load/iperf3.ts';
import { wrk } from '../load/wrk.ts';
import { THROUGHPUT } from './bulk.ts';
import { REQUESTS } from './rate.ts';

/** Of one processor, for each proxy: four of them leave the two ends one processor. */
const SHARE = 0.25;
const COUNTS = [1, 2, 3, 4];
const nameOf = (count: number): string => (count === 1 ? '1 proxy' : `${count} proxies`);

/** Each turn has a testbed of its own: how many proxies there are is what differs. */
const stage: StageMaker = {
  name: 'scale',
  open: async () => {
    Shares.check();
    return Stage.open({});
  },
};

export const scale: Suite = {
  name: 'scale',
  summary: 'What more proxies add: 1 to 4, each held to a share of a processor',
  explanation:
    `Each proxy gets ${SHARE * 100} % of one processor (a control group with a period of 10 ms), as if it had a small machine of its own; ` +
    'before that it has served for a while without, or its engine would still compile; client, router and server share the rest. A proxy that has used its share stands still for the rest of the period, ' +
    'which shows in a single connection more than in many. Many connections are spread by flow; the one sprayed ' +
    'connection packet by packet, in both directions, which reorders it. Proxies have no real-time priority here: ' +
    'it knows no shares.',
  stage,
  cases: (effort) => [
    many(effort),
    ...(effort.quick ? [] : [one(effort, 'one connection, to the client', 'flow')]),
    one(effort, 'one connection sprayed packet by packet, to the client', 'packet'),
  ],
};

function many({ quick, seconds }: Effort): Case {
  return {
    name: '256 connections that stay, spread by flow',
    contestants: (quick ? COUNTS.slice(0, 2) : COUNTS).map(nameOf),
    metrics: [REQUESTS],
    estimate: 2 * seconds + 4,
    warmsUp: false,
    measure: (turn) =>
      play(turn, 'flow', async (own) => {
        const options = { web: SERVICE, file: '1k', connections: 256, seconds } as const;
        return { requests: (await wrk(own, options)).rate };
      }),
  };
}

function one({ quick, seconds }: Effort, name: string, spread: 'flow' | 'packet'): Case {
  return {
    name,
    contestants: (quick ? COUNTS.slice(1, 2) : COUNTS).map(nameOf),
    metrics: [THROUGHPUT],
    estimate: 2 * seconds + 4,
    warmsUp: false,
    measure: (turn) =>
      play(turn, spread, async (own) => {
        const options = { address: SERVICE, port: BULK_PORT, toClient: true, seconds };
        return { throughput: (await iperf3(own, options)).rate / 1e9 };
      }),
  };
}

async function play(
  turn: Turn,
  spread: 'flow' | 'packet',
  load: (turn: Turn) => Promise<Samples>,
): Promise<Samples> {
  const count = Number.parseInt(turn.contestant, 10);
  using shares = new Shares();
  await using own = await openSpread(count, spread);
  const inside = await own.pids(spreadMembers(count));
  const held = { ...turn, stage: own };
  await load(held);
  for (const pid of pidsOutside(own.lab.pid, inside)) shares.hold(pid, SHARE);
  return await load(held);
}
