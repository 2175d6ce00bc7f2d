import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Takeover } from '../../src/demo/takeover.ts';
import { gapAmong, lengthOf, type Silence } from '../../src/demo/timeline.ts';
import { type FaultVerb, monotonic } from '../../src/lab/event.ts';
import { Stage } from '../harness/stage.ts';
import type { Case, Effort, Metric, Samples, StageMaker, Suite, Turn } from '../harness/suite.ts';
import {
  clusterOf,
  FIRST_HAPROXY,
  failoverFiles,
  failoverTopology,
  PORT,
  untilWhole,
  VRRP_ADDRESS,
} from '../labs/failover.ts';
import type { KindName } from '../load/kinds.ts';
import type { Watched } from '../load/stream.ts';
import { whileStreaming } from '../load/streams.ts';

const OURS = ['suture-1', 'suture-sprayed'];
const HAPROXY = 'haproxy-keepalived';
/** The streams flow for so long before the failure, and at most twice as long. */
const BEFORE_MS = 300;
/** After it, they flow for so long; HAProxy has no stream to watch, but comes back later. */
const AFTER_MS = 1_200;
const AFTER_HAPROXY_MS = 3_000;

interface How {
  readonly name: string;
  /** Absent: nothing fails. */
  readonly fault?: FaultVerb;
  readonly cure: FaultVerb;
  /** What of the host with HAProxy it befalls. */
  readonly haproxy: string;
}
const HOWS: readonly How[] = [
  { name: 'kill', fault: 'kill', cure: 'restart', haproxy: '/haproxy' },
  { name: 'pause', fault: 'pause', cure: 'resume', haproxy: '/haproxy' },
  { name: 'link-down', fault: 'link-down', cure: 'link-up', haproxy: '' },
  { name: 'drain', fault: 'drain', cure: 'restart', haproxy: '/keepalived' },
];
/** What the streams' silences are like anyway. */
const NOTHING: How = { name: 'nothing', cure: 'resume', haproxy: '' };

interface Load {
  readonly name: string;
  readonly kinds: readonly KindName[];
  /** Whether new connections are opened beside the streams. */
  readonly knock: boolean;
}
const LIGHT: Load = {
  name: 'light streams',
  kinds: ['paced download', 'paced upload', 'small segments', 'requests'],
  knock: true,
};
const BULK: Load = {
  name: 'bulk both ways',
  kinds: ['bulk download', 'bulk upload'],
  knock: false,
};

const stage: StageMaker = {
  name: 'failover',
  open: async (contestants) => {
    const folder = mkdtempSync(join(tmpdir(), 'suture-failover-'));
    for (const [name, text] of failoverFiles()) writeFileSync(join(folder, name), text);
    const onClose = (): void => rmSync(folder, { recursive: true, force: true });
    return Stage.open({ topology: failoverTopology(contestants, folder), folder, onClose });
  },
};

export const failover: Suite = {
  name: 'failover',
  summary:
    "The client's pause when its proxy is killed, paused, unplugged or drained, and where its time goes",
  explanation:
    'Streams pass when the serving proxy fails, again and again; every byte is checked.\n\n' +
    '- Light streams, all at once: 20 kB every 5 ms to the client and from it ("paced"), 200 bytes every 5 ms ("small segments"), a request ' +
    'of one byte, 1,000 bytes of answer and 5 ms of rest ("requests"); beside them new connections are opened one after the other. Bulk: one ' +
    'stream in each direction as fast as they go, both at once.\n' +
    '- suture-1 is a cluster of two behind one next hop, suture-sprayed one of three over which the router sprays packet by packet. ' +
    'HAProxy with keepalived (VRRP version 3, advertisements every 100 ms) keeps no connection: there every stream breaks, which is ' +
    'counted. kill and pause befall the HAProxy process, which keepalived notices at once or by asking every second; drain is the orderly ' +
    'stop of keepalived.\n' +
    "- The parts of a gap follow each other: detection, adoption, and retransmission, which is the two ends' part and depends on the kind of stream: " +
    'a request that was under way alone waits for its timer of 200 ms. A gap may exceed the sum of its parts, if a second silence is ' +
    'longer, or fall short of it: buffers behind the proxy are not empty at once, and of sprayed packets two thirds go another way.\n' +
    '- A drain is told: it has no detection, and what counts as its gap is the longest silence of each stream from then on, of which 5 ms ' +
    'are the own rhythm of all but bulk.\n' +
    '- nothing is the control: no proxy fails, and the longest silence of each stream in a time as long is told. A gap that is no longer is not ' +
    'the failure of a proxy, but the rhythm of the machine or of packets that overtake each other.',
  stage,
  cases: (effort) =>
    effort.quick
      ? [
          caseOf(effort, HOWS[0], LIGHT, [...OURS, HAPROXY]),
          caseOf(effort, HOWS[3], LIGHT, OURS.slice(0, 1)),
          caseOf(effort, HOWS[1], BULK, OURS.slice(0, 1)),
        ]
      : HOWS.flatMap((how) => [
          caseOf(effort, how, LIGHT, [...OURS, HAPROXY]),
          caseOf(effort, how, BULK, OURS),
        ]).concat([LIGHT, BULK].map((load) => caseOf(effort, NOTHING, load, OURS))),
};

function caseOf(
  { quick, repeat }: Effort,
  how: How,
  load: Load,
  contestants: readonly string[],
): Case {
  return {
    name: `${how.name}, ${load.name}`,
    contestants,
    metrics: metricsOf(how, load),
    estimate: load.knock ? 6 : 6.5,
    // 32 failures where other suites have 5 turns: 30 and some that may fail on a busy machine.
    repeat: quick ? 1 : 6 * repeat + 2,
    warmsUp: false,
    playsAgain: false,
    measure: (turn) => fail(turn, how, load),
  };
}

const span = (name: string, meaning: string): Metric => ({
  ...{ name, meaning, unit: 'ms', better: 'lower', picture: 'shared' },
});
/** Of which there should be none: all turns together. */
const total = (name: string, unit: string, meaning: string): Metric => ({
  ...{ name, meaning, unit, better: 'lower', picture: 'none', summed: true },
});

function metricsOf({ fault }: How, { kinds, knock }: Load): Metric[] {
  const isTold = fault === 'drain' || fault === undefined;
  return [
    ...kinds.map((kind) => span(`gap: ${kind}`, 'longest silence of a stream that goes on')),
    ...(isTold
      ? []
      : [
          span('detection', 'from the failure until who adopts the addresses suspects the member'),
          span('adoption', 'from then until it has announced them'),
          ...kinds.map((kind) =>
            span(
              `retransmission: ${kind}`,
              'from then until the next new byte; 0 if it came before',
            ),
          ),
        ]),
    ...(knock ? [span('outage for new connections', 'longest time in which none was served')] : []),
    total(
      'broken',
      'streams',
      `of ${kinds.length} in each failure: reset, ended, or silent for good`,
    ),
    total('resets', 'connections', 'reset or refused, new ones included'),
    total('wrong bytes', 'bytes', 'not those that had been sent'),
  ];
}

async function fail(turn: Turn, how: How, { kinds, knock }: Load): Promise<Samples> {
  const { stage: on, contestant } = turn;
  const { fault } = how;
  const cluster = clusterOf(contestant);
  const address = cluster?.address ?? VRRP_ADDRESS;
  const [victim, ...survivors] = cluster?.members ?? [`${FIRST_HAPROXY}${how.haproxy}`];
  const wallMinusMonotonic = Date.now() - monotonic();
  const takeovers = survivors.map(
    (survivor) => new Takeover({ survivor, victim, wallMinusMonotonic }),
  );
  using _ = on.hear((event) => {
    for (const takeover of takeovers) takeover.see(event);
  });
  if (fault !== undefined) turn.ran('this machine', ['suture', 'lab', 'fail', fault, victim]);
  let failedAt: number | undefined;
  try {
    const watched = await whileStreaming(turn, { address, port: PORT, kinds, knock }, async () => {
      await delay(BEFORE_MS * (1 + Math.random()));
      failedAt = fault === undefined ? monotonic() : await on.fail(fault, victim);
      await delay(cluster === undefined ? AFTER_HAPROXY_MS : AFTER_MS);
    });
    const at = failedAt ?? 0;
    for (const takeover of takeovers) takeover.failed(at);
    const isTold = fault === 'drain' || fault === undefined;
    const parts = cluster === undefined || isTold ? {} : partsOf(takeovers);
    return samplesOf(watched, { at, ...parts });
  } finally {
    if (fault !== undefined && failedAt !== undefined) await on.fail(how.cure, victim);
    await untilWhole(on, contestant);
  }
}

/** When a failure was, and what a survivor did about it, in milliseconds of CLOCK_MONOTONIC. */
interface Failure {
  readonly at: number;
  readonly detectedAt?: number;
  readonly adoptedAt?: number;
}

/** @throws Error when nobody took over, or somebody had before the failure */
function partsOf(takeovers: readonly Takeover[]): Omit<Failure, 'at'> {
  if (takeovers.some(({ wasBefore }) => wasBefore)) throw new Error('adopted before the failure');
  const adopter = takeovers.find(({ adopted }) => adopted !== undefined);
  if (adopter?.adopted === undefined) throw new Error('nobody took over');
  const adoptedAt = adopter.adopted.at;
  return { adoptedAt, detectedAt: Math.min(adopter.detected?.at ?? adoptedAt, adoptedAt) };
}

/** What a failure did. */
export function samplesOf(
  { streams, served, resets, endedAt }: Watched,
  { at: failedAt, detectedAt = failedAt, adoptedAt }: Failure,
): Samples {
  const samples: Record<string, number> = {
    broken: streams.filter(({ broken }) => broken !== undefined).length,
    'wrong bytes': streams.reduce((sum, { wrong }) => sum + wrong, 0),
    resets,
    'outage for new connections': outageOf(served, failedAt, endedAt),
  };
  if (adoptedAt !== undefined) {
    samples.detection = detectedAt - failedAt;
    samples.adoption = adoptedAt - detectedAt;
  }
  for (const { kind, silences: pairs, broken } of streams) {
    if (broken !== undefined) continue;
    const silences = pairs.map(([from, to]): Silence => ({ from, to }));
    const longest = gapAmong(silences, failedAt, endedAt);
    samples[`gap: ${kind}`] = longest === undefined ? 0 : lengthOf(longest);
    if (adoptedAt === undefined) continue;
    const first = gapAmong(silences, failedAt, adoptedAt);
    const resumedAt = first?.to ?? failedAt;
    samples[`retransmission: ${kind}`] = Math.max(0, resumedAt - adoptedAt);
  }
  return samples;
}

/** The longest time after the failure in which no new connection was served, in milliseconds. */
function outageOf(served: readonly number[], failedAt: number, endedAt: number): number {
  let outage = 0;
  let before = failedAt;
  for (const at of [...served.filter((each) => each > failedAt), endedAt]) {
    outage = Math.max(outage, at - before);
    before = at;
  }
  return outage;
}
