import { describe, expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { request, response } from './peers.ts';
import { begin, faultsOf, scenarios } from './scenarios.ts';

/** Moments of each scenario at which the home is killed, spread over all its events. */
const MOMENTS = 2;

const clusters: readonly { readonly what: string; readonly options: ClusterOptions }[] = [
  { what: 'IPv6 clients, a mesh over IPv6', options: { clients: 6 } },
  { what: 'IPv6 clients, a mesh over IPv4', options: { clients: 6, mesh: 4 } },
  { what: 'IPv4 clients, a mesh over IPv6', options: { clients: 4, mesh: 6 } },
];

describe.each(clusters)('$what', ({ options }) => {
  test.each(scenarios)('$name: its home may be killed at any moment', (scenario) => {
    const whole = begin(scenario, options);
    const { simulation } = whole.cluster;
    const start = simulation.events;
    whole.cluster.until(() => whole.client.closed, 'the client is done');
    const events = simulation.events - start;
    expect(faultsOf(whole, scenario)).toEqual([]);
    const found: string[] = [];
    for (let index = 0; index < MOMENTS; index++) {
      const moment = Math.floor((index * events) / MOMENTS);
      const run = begin(scenario, options);
      const { cluster, client } = run;
      cluster.simulation.runUntil(() => false, { maxEvents: moment });
      cluster.kill('a');
      cluster.simulation.runUntil(() => client.closed, { maxTime: 20 * SECOND });
      const wrong = faultsOf(run, scenario);
      if (wrong.length > 0) found.push(`after ${moment} of ${events} events: ${wrong.join(', ')}`);
    }
    expect(found).toEqual([]);
  });
});

const PATH = '/file/60000';

function download(cluster: Cluster): void {
  const client = cluster.connect([{ say: request(PATH) }], response(PATH).length);
  cluster.until(() => client.closed, 'the client is done');
  expect(client.heard).toBe(response(PATH));
  expect(client.error).toBeUndefined();
}

test('a splice over IPv6 is forgotten by all members when it is over', () => {
  const cluster = new Cluster({ clients: 6 });
  download(cluster);
  cluster.simulation.runFor(10 * MILLISECOND);
  expect(cluster.member('b').splices.counters.inserted).toBe(1);
  expect(cluster.member('a').splices.passed.framesToClient).toBeGreaterThan(40);
  cluster.simulation.runFor(5 * SECOND);
  cluster.expectNothingLeft();
  expect(cluster.violations).toEqual([]);
});

test('a member that comes back learns IPv6 splices, and carries them when the other dies', () => {
  const cluster = new Cluster({ clients: 6 });
  const steps = [
    { say: request(PATH) },
    { say: request(PATH), heard: response(PATH).length, pause: 3 * SECOND },
  ];
  const client = cluster.connect(steps, 2 * response(PATH).length);
  cluster.until(() => client.heard.length === response(PATH).length, 'the first response');
  cluster.kill('b');
  cluster.simulation.runFor(SECOND);
  cluster.start('b');
  cluster.until(() => cluster.member('b').splices.size === 1, 'the record comes back');
  cluster.simulation.runFor(SECOND / 2);
  cluster.kill('a');
  cluster.until(() => client.closed, 'the client is done');
  expect(client.heard).toBe(response(PATH) + response(PATH));
  expect(cluster.resets).toBe(0);
  expect(cluster.violations).toEqual([]);
});

describe.each([
  { client: 4, other: 6 },
  { client: 6, other: 4 },
] as const)('an IPv$client client', ({ client, other }) => {
  test(`whose backends are all IPv${other} is relayed`, () => {
    const cluster = new Cluster({ clients: client, families: [other], mesh: 4 });
    cluster.answered.add(40_000);
    download(cluster);
    expect(cluster.member('a').counters.relays).toBe(1);
    expect(cluster.member('a').splices.counters.inserted).toBe(0);
    cluster.simulation.runFor(62 * SECOND);
    cluster.expectNothingLeft();
  });

  test('is spliced to a backend of its family where a pool has both', () => {
    const cluster = new Cluster({ clients: client, families: [other, client] });
    for (let count = 0; count < 4; count++) download(cluster);
    expect(cluster.member('a').counters.relays).toBe(0);
    expect(cluster.member('a').splices.counters.inserted).toBe(4);
  });

  test('is relayed where the backends of its family do not answer', () => {
    const cluster = new Cluster({ clients: client, families: [other, client], backends: [31] });
    const backend = cluster.servers[client === 4 ? 0 : 1];
    backend.close();
    cluster.answered.add(40_000);
    download(cluster);
    expect(cluster.member('a').counters.relays).toBe(1);
  });
});
