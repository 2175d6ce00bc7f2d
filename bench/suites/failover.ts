import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readLines } from '../../src/lab/channel.ts';
import type { FaultVerb } from '../../src/lab/event.ts';
import { Stage } from '../harness/stage.ts';
import type { Case, Effort, Metric, Samples, StageMaker, Suite, Turn } from '../harness/suite.ts';
import {
  CLUSTERS,
  FIRST_HAPROXY,
  failoverConfiguration,
  failoverTopology,
  PORT,
  VRRP_ADDRESS,
} from '../labs/failover.ts';
import type { Watched } from '../load/stream.ts';

const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
const PROGRAM = join(import.meta.dirname, '../load/stream.ts');
const HAPROXY = 'haproxy-keepalived';
const CONTESTANTS = ['suture-1', 'suture-sprayed', HAPROXY];
const STREAMS = 4;
/** The streams flow for so long before the failure, and at most twice as long. */
const BEFORE_MS = 300;
/** What has not come back so long after it counts as broken. */
const AFTER_MS = 3_000;
const READY_MS = 10_000;
const CURE_MS = 20_000;
const POLL_MS = 50;
/** A silence that reaches the end of the watch, and is at least so long, is no pause any more. */
const HUNG_MS = 1_500;

interface How {
  readonly name: string;
  readonly fault: FaultVerb;
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

const METRICS: readonly Metric[] = [
  { name: 'gap', unit: 'ms', better: 'lower' },
  { name: 'broken connections', unit: '%', better: 'lower' },
  { name: 'outage for new connections', unit: 'ms', better: 'lower' },
];

const stage: StageMaker = {
  name: 'failover',
  open: async (contestants) => {
    const folder = mkdtempSync(join(tmpdir(), 'suture-failover-'));
    for (const name of Object.keys(CLUSTERS) as (keyof typeof CLUSTERS)[]) {
      writeFileSync(join(folder, `${name}.yaml`), failoverConfiguration(name));
    }
    const onClose = (): void => rmSync(folder, { recursive: true, force: true });
    return Stage.open({ topology: failoverTopology(contestants, folder), folder, onClose });
  },
};

export const failover: Suite = {
  name: 'failover',
  summary: "The client's pause when its proxy is killed, paused, unplugged or drained",
  explanation:
    `${STREAMS} streams of 20 kB every 5 ms pass when the serving proxy fails; beside them new connections are opened one after ` +
    'the other. "gap" is the longest silence of each stream that goes on, failure for failure, shown as a distribution; a stream that ' +
    'ends, is reset, or is silent to the end counts as broken instead. "outage" is the longest time in which no new connection was served. ' +
    'suture-1 is a cluster of two behind one next hop, suture-sprayed one of three over which the router spreads packet by packet. ' +
    'HAProxy with keepalived (VRRP version 3, advertisements every 100 ms) keeps no connection: there every stream breaks, which is ' +
    'counted. kill and pause befall the HAProxy process, which keepalived notices at once or by asking every second; drain is the orderly ' +
    'stop of keepalived.',
  stage,
  cases: (effort) => HOWS.map((how) => caseOf(effort, how)),
};

function caseOf({ quick, repeat }: Effort, how: How): Case {
  return {
    name: how.name,
    contestants: quick ? [CONTESTANTS[0]] : CONTESTANTS,
    metrics: METRICS,
    estimate: 6,
    // 30 failures where other suites have 5 turns.
    repeat: quick ? 1 : 6 * repeat,
    warmsUp: false,
    measure: (turn) => fail(turn, how),
  };
}

async function fail(turn: Turn, how: How): Promise<Samples> {
  const { stage: on, contestant } = turn;
  const cluster = clusterOf(contestant);
  const address = cluster?.address ?? VRRP_ADDRESS;
  const victim = cluster?.members[0] ?? `${FIRST_HAPROXY}${how.haproxy}`;
  const argv = ['watch', address, String(PORT), String(STREAMS)];
  turn.ran('client', ['node', 'bench/load/stream.ts', ...argv]);
  turn.ran('this machine', ['suture', 'lab', 'fail', how.fault, victim]);
  const client = on.lab.spawn('client', [...NODE, PROGRAM, ...argv], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = client;
  if (stdin === null || stdout === null) throw new Error('the client was started without pipes');
  const ready = Promise.withResolvers<void>();
  const heard = Promise.withResolvers<Watched>();
  const onLine = (line: string): void => {
    if (line === 'ready') ready.resolve();
    else heard.resolve(JSON.parse(line) as Watched);
  };
  readLines(stdout, onLine, 16 * 2 ** 20);
  try {
    await within(ready.promise, READY_MS, 'the streams did not start');
    await delay(BEFORE_MS * (1 + Math.random()));
    const failedAt = await on.fail(how.fault, victim);
    await delay(AFTER_MS);
    stdin.end();
    const watched = await within(heard.promise, READY_MS, 'the client did not end');
    return samplesOf(watched, failedAt);
  } finally {
    client.kill();
    await on.fail(how.cure, victim);
    await whole(on, contestant);
  }
}

function clusterOf(contestant: string): (typeof CLUSTERS)[keyof typeof CLUSTERS] | undefined {
  return contestant in CLUSTERS ? CLUSTERS[contestant as keyof typeof CLUSTERS] : undefined;
}

/** What a failure at `failedAt` did. */
export function samplesOf({ streams, served, endedAt }: Watched, failedAt: number): Samples {
  const gaps: number[] = [];
  let broken = 0;
  for (const { silences, lastAt, broken: how } of streams) {
    if (how !== undefined || endedAt - lastAt >= HUNG_MS) broken++;
    else {
      const after = silences.filter(({ to }) => to > failedAt).map(({ from, to }) => to - from);
      gaps.push(Math.max(0, ...after));
    }
  }
  let outage = 0;
  let before = failedAt;
  for (const at of [...served.filter((each) => each > failedAt), endedAt]) {
    outage = Math.max(outage, at - before);
    before = at;
  }
  return {
    gap: gaps,
    'broken connections': (100 * broken) / streams.length,
    'outage for new connections': outage,
  };
}

/** Waits until all is as it was before the failure. @throws Error when that takes too long */
async function whole(on: Stage, contestant: string): Promise<void> {
  const cluster = clusterOf(contestant);
  const deadline = performance.now() + CURE_MS;
  const hosts: readonly string[] = cluster?.members ?? [FIRST_HAPROXY];
  const look =
    cluster === undefined
      ? ['ip', '-o', 'address', 'show', 'dev', 'eth0']
      : ['curl', '-s', '--max-time', '1', 'http://127.0.0.1:9100/health'];
  for (const host of hosts) {
    for (;;) {
      const { stdout } = await on.lab.exec(host, look);
      const back =
        cluster === undefined
          ? stdout.includes(`${VRRP_ADDRESS}/`)
          : stdout.includes('"status":"ok"') && stdout.includes('"adoptedAddresses":0');
      if (back) break;
      if (performance.now() > deadline) throw new Error(`${host} is not back: ${stdout.trim()}`);
      await delay(POLL_MS);
    }
  }
}

async function within<T>(promise: Promise<T>, ms: number, complaint: string): Promise<T> {
  const late = new AbortController();
  try {
    return await Promise.race([
      promise,
      delay(ms, undefined, { signal: late.signal }).then(() =>
        Promise.reject(new Error(complaint)),
      ),
    ]);
  } finally {
    late.abort();
  }
}
