// What clients and backends sent while nobody carried their packets goes out again before their timers expire.
import { expect, test } from 'vitest';
import { MILLISECOND, type Micros, SECOND } from '../../src/env/clock.ts';
import { below, type Random, seededRandom } from '../../src/env/random.ts';
import type { Host } from '../../src/host/host.ts';
import type { ResumptionView } from '../../src/proxy/metric-sources.ts';
import { sourcesOf } from '../../src/proxy/sources.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { bodyOf, request, response } from './peers.ts';

/** The least that a retransmission timer waits. */
const TIMER: Micros = 200 * MILLISECOND;
/** Downloads are longer: the server of the tests is slow to read. */
const sizeOf = (upload: boolean): number => (upload ? 150_000 : 200_000);

interface Ends {
  readonly name: string;
  readonly cluster?: ClusterOptions;
  /** Changes what the ends are. */
  readonly prepare?: (host: Host) => void;
  /** Whether the pause must be shorter than a timer. */
  readonly isQuick: boolean;
}

const withoutSack = ({ tcp }: Host): void => {
  const { offerFor } = tcp;
  tcp.offerFor = (remote) => ({ ...offerFor.call(tcp, remote), sack: false });
};
const behindFilter = ({ tcp }: Host): void => {
  tcp.pathError = () => {};
};

const ends: readonly Ends[] = [
  { name: 'as they are', isQuick: true },
  { name: 'of IPv6', cluster: { clients: 6 }, isQuick: true },
  // What is lost in several places goes out again one round trip after the other, or by the timer.
  { name: 'without SACK', prepare: withoutSack, isQuick: false },
  { name: 'behind a filter of ICMP', prepare: behindFilter, isQuick: true },
  {
    name: 'without SACK, behind a filter',
    prepare: (host) => {
      withoutSack(host);
      behindFilter(host);
    },
    isQuick: false,
  },
  // Nobody can ask them: what they would take for true is not known.
  { name: 'without timestamps', cluster: { timestamps: false }, isQuick: false },
];

interface Outcome {
  readonly wrong: readonly string[];
  readonly pause: Micros;
  /** Of the survivor. */
  readonly resumption: ResumptionView;
}

/** A stream in one direction, whose proxy is killed somewhere in its first half. */
function run({ cluster: options, prepare }: Ends, upload: boolean, random: Random): Outcome {
  const cluster = new Cluster({ ...options, seed: below(random, 1_000) });
  for (const host of [...cluster.backends, cluster.client]) prepare?.(host);
  const size = sizeOf(upload);
  const path = upload ? '/up/100' : `/file/${size}`;
  const hears = response(path);
  const client = cluster.connect([{ say: request(path, upload ? size : 0) }], hears.length);
  const { connection } = client;
  const { simulation } = cluster;
  const start = connection.snd.iss;
  const progress = (): number => client.heard.length + ((connection.snd.una - start) | 0);
  const until = 20_000 + below(random, size / 2);
  cluster.until(() => progress() >= until, 'the stream flows');
  cluster.kill('a');
  let pause = 0;
  let last = simulation.clock.now();
  let reached = progress();
  simulation.onEvent = () => {
    if (progress() === reached) return;
    reached = progress();
    pause = Math.max(pause, simulation.clock.now() - last);
    last = simulation.clock.now();
  };
  simulation.runUntil(() => client.closed, { maxTime: 20 * SECOND });
  const asks = upload ? `POST ${path} ${bodyOf(`up${path}`, size)}` : `GET ${path} `;
  const wrong = [
    ...(client.heard === hears ? [] : ['the client heard something else']),
    ...(cluster.requests.length === 1 && cluster.requests[0] === asks
      ? []
      : ['it was asked wrongly']),
    ...(client.error === undefined ? [] : [client.error]),
    ...(cluster.resets === 0 ? [] : ['a reset']),
    ...cluster.violations,
  ];
  return { wrong, pause, resumption: sourcesOf(cluster.member('b')).resumption };
}

const ROUNDS = 3;

for (const upload of [false, true]) {
  test.each(ends)(`${upload ? 'uploads' : 'downloads'} of ends $name`, (kind) => {
    const random = seededRandom(7);
    for (let round = 0; round < ROUNDS; round++) {
      const { wrong, pause, resumption } = run(kind, upload, random);
      expect(wrong).toEqual([]);
      if (!kind.isQuick) continue;
      expect(pause).toBeLessThan(TIMER);
      expect(resumption.asked).toBe(1);
      // To a server that sends the answer alone is enough: it has an acknowledgment of news in it.
      if (upload) {
        expect(resumption.urgedBySize + resumption.urgedByReport).toBeGreaterThan(0);
      }
    }
  });
}

test('where it is turned off, the timers of the ends make them go on', () => {
  const kind = { name: 'left alone', cluster: { resume: false }, isQuick: false };
  const { wrong, pause, resumption } = run(kind, false, seededRandom(7));
  expect(wrong).toEqual([]);
  expect(resumption).toEqual({ asked: 0, urgedBySize: 0, urgedByReport: 0 });
  expect(pause).toBeGreaterThanOrEqual(TIMER);
});
