// Several proxies at once: each packet of a connection, from the client and from the backend, comes to a member
// by chance.
import { expect, test } from 'vitest';
import { SECOND } from '../../src/env/clock.ts';
import { Cluster, type ClusterOptions, type Name } from './cluster.ts';
import { request, response } from './peers.ts';
import { begin, faultsOf, type Scenario, scenarios } from './scenarios.ts';

const SPRAYED = { members: 3, spray: true } as const;
const NAMES: readonly Name[] = ['a', 'b', 'c'];
/** Moments of each scenario at which each member is killed, spread over all its events. */
const MOMENTS = 2;

const BULK = 'a bulk download';
const sprayed: readonly Scenario[] = [
  ...scenarios,
  {
    name: BULK,
    steps: [{ say: request('/file/400000') }],
    hears: response('/file/400000'),
    asks: ['GET /file/400000 '],
  },
  {
    name: 'many requests, one after the other',
    steps: Array.from({ length: 100 }, (_, turn) => ({
      say: request(`/turn${turn}/2000`),
      heard: Array.from({ length: turn }, (__, n) => response(`/turn${n}/2000`)).join('').length,
    })),
    hears: Array.from({ length: 100 }, (_, turn) => response(`/turn${turn}/2000`)).join(''),
    asks: Array.from({ length: 100 }, (_, turn) => `GET /turn${turn}/2000 `),
  },
];

const passedOn = ({ members }: Cluster): number =>
  [...members.values()].reduce(
    (sum, { forwarder }) => sum + (forwarder?.counters.passedOn ?? 0),
    0,
  );

/** Lets all that is over be forgotten; TIME-WAIT, where an answer was a member's own, lasts a minute. */
function settle(cluster: Cluster, span = 62 * SECOND): void {
  cluster.simulation.runFor(span);
  cluster.expectNothingLeft();
}

for (const family of [4, 6] as const) {
  for (const scenario of sprayed) {
    test(`IPv${family}, ${scenario.name}: arrives, and nothing is left behind`, () => {
      for (const seed of [1, 2]) {
        const run = begin(scenario, { ...SPRAYED, clients: family, seed });
        run.cluster.until(() => run.client.closed, 'the client is done');
        expect(faultsOf(run, scenario)).toEqual([]);
        expect(passedOn(run.cluster)).toBeGreaterThan(0);
        // What is short may be over before the others hear that all have its record.
        if (scenario.name === BULK) expect(run.cluster.toClients.size).toBe(3);
      }
    });
  }
}

for (const scenario of scenarios) {
  test(`${scenario.name}: any member may die`, () => {
    const found: string[] = [];
    for (const [index, name] of NAMES.entries()) {
      const options: ClusterOptions = { ...SPRAYED, seed: 10 + index };
      const whole = begin(scenario, options);
      const start = whole.cluster.simulation.events;
      whole.cluster.until(() => whole.client.closed, 'the client is done');
      const events = whole.cluster.simulation.events - start;
      for (let turn = 0; turn < MOMENTS; turn++) {
        const moment = Math.floor((turn * events) / MOMENTS);
        const run = begin(scenario, options);
        run.cluster.simulation.runUntil(() => false, { maxEvents: moment });
        run.cluster.kill(name);
        run.cluster.simulation.runUntil(() => run.client.closed, { maxTime: 20 * SECOND });
        const wrong = faultsOf(run, scenario);
        if (wrong.length > 0) found.push(`${name} after ${moment} of ${events} events: ${wrong}`);
      }
    }
    expect(found).toEqual([]);
  });
}

test('frames are lost, come twice and late', () => {
  const found: string[] = [];
  for (let seed = 1; seed <= 12; seed++) {
    const scenario = scenarios[seed % scenarios.length];
    const run = begin(scenario, { ...SPRAYED, seed, trouble: 0.02 });
    run.cluster.simulation.runUntil(() => run.client.closed, { maxTime: 40 * SECOND });
    const wrong = faultsOf(run, scenario);
    if (wrong.length > 0) found.push(`seed ${seed}, ${scenario.name}: ${wrong.join(', ')}`);
  }
  expect(found).toEqual([]);
});

test('answers of our own reach the client whole', () => {
  for (const seed of [1, 2]) {
    const cluster = new Cluster({ ...SPRAYED, seed, backends: [33, 34] });
    for (const [say, status] of [
      ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
      ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 503],
      ['GET / HT', 408],
    ] as const) {
      const client = cluster.connect([{ say }], 1e9);
      cluster.answered.add(client.connection.local.port);
      cluster.until(() => client.ended, 'the answer');
      expect(client.heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      cluster.until(() => client.closed, 'the end');
      expect([client.error, cluster.resets]).toEqual([undefined, 0]);
    }
  }
});

/** A cluster that believes its backends to have timestamps, and has to relay when they do not. */
function mistaken(seed: number): Cluster {
  const cluster = new Cluster({ ...SPRAYED, seed, timestamps: false });
  for (const { pools } of cluster.members.values()) {
    for (const { pool } of pools.values()) {
      for (const backend of pool.backends) {
        pool.learn(backend, { mss: 1460, windowScale: 7, timestamps: true, sack: true });
      }
    }
  }
  return cluster;
}

const relays = ({ members }: Cluster): number =>
  [...members.values()].reduce((sum, { counters }) => sum + counters.activeRelays, 0);

test('a relay is found by all its packets', () => {
  for (const seed of [1, 2, 3]) {
    const cluster = mistaken(seed);
    cluster.answered.add(40_000);
    const first = response('/file/100000');
    const steps = [
      { say: request('/file/100000') },
      { say: request('/file/50000'), heard: first.length },
    ];
    const hears = first + response('/file/50000');
    const client = cluster.connect(steps, hears.length);
    cluster.until(() => relays(cluster) > 0, 'it is relayed');
    cluster.until(() => client.closed, 'the client is done');
    expect(client.heard).toBe(hears);
    expect([client.error, cluster.resets]).toEqual([undefined, 0]);
  }
});

test('a relay whose member dies ends with a reset, not with silence or a second answer', () => {
  const cluster = mistaken(1);
  cluster.answered.add(40_000);
  const client = cluster.connect(
    [{ say: request('/file/1000000') }, { say: request('/file/10'), pause: 3 * SECOND }],
    1e9,
  );
  cluster.until(() => relays(cluster) > 0 && client.heard !== '', 'it is relayed');
  const home = NAMES.find((name) => cluster.member(name).counters.activeRelays > 0) ?? 'a';
  cluster.kill(home);
  cluster.until(() => client.closed, 'the client learns of it');
  expect(client.error).toBe('ECONNRESET');
  expect(cluster.requests).toHaveLength(1);
  settle(cluster);
});
