import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { Cluster, isServing, type Name } from './cluster.ts';
import { request, response } from './peers.ts';
import { begin, faultsOf, type Scenario } from './scenarios.ts';

const DOWNLOAD: Scenario = {
  name: 'a long download',
  steps: [{ say: request('/file/300000') }],
  hears: response('/file/300000'),
  asks: ['GET /file/300000 '],
  cluster: { store: true },
};
const TWO: Scenario = {
  name: 'two requests with a pause between',
  steps: [
    { say: request('/one/5000') },
    { say: request('/two/5000'), heard: response('/one/5000').length, pause: 5 * SECOND },
  ],
  hears: response('/one/5000') + response('/two/5000'),
  asks: ['GET /one/5000 ', 'GET /two/5000 '],
  cluster: { store: true },
};

function killAll(cluster: Cluster): Name[] {
  const names = [...cluster.members.keys()];
  for (const name of names) cluster.kill(name);
  return names;
}

function startAll(cluster: Cluster, names: readonly Name[]): void {
  for (const name of names) cluster.start(name);
  cluster.until(() => [...cluster.members.values()].every(isServing), 'all serve again');
}

const keeperOf = (cluster: Cluster, name: Name) => {
  const { keeper } = cluster.member(name);
  if (keeper === undefined) throw new Error(`${name} has no store`);
  return keeper;
};

const counted = (cluster: Cluster, what: 'restored' | 'lookups' | 'dropConflicting'): number =>
  [...cluster.members.keys()].reduce(
    (sum, name) => sum + keeperOf(cluster, name).counters[what],
    0,
  );

function settle(cluster: Cluster): void {
  cluster.simulation.runFor(4 * SECOND);
  cluster.expectNothingLeft();
  expect(cluster.violations).toEqual([]);
  expect(cluster.store.size).toBe(0);
}

test('a record is in the store while its connection lives', () => {
  const run = begin(DOWNLOAD);
  const { cluster, client } = run;
  cluster.until(() => cluster.requests.length > 0, 'the backend is asked');
  expect(cluster.store.size).toBe(2);
  cluster.until(() => client.closed, 'the client is done');
  expect(faultsOf(run, DOWNLOAD)).toEqual([]);
  settle(cluster);
});

for (const [scenario, members] of [
  [DOWNLOAD, 3],
  [TWO, 1],
  [TWO, 2],
] as const) {
  test(`${scenario.name}: all members of ${members} die and come back`, () => {
    const run = begin(scenario, { members });
    const { cluster, client } = run;
    cluster.until(() => client.heard.length > 5_000, 'a part of the response');
    const names = killAll(cluster);
    cluster.simulation.runFor(SECOND);
    startAll(cluster, names);
    cluster.until(() => client.closed, 'the client is done', 120 * SECOND);
    expect(faultsOf(run, scenario)).toEqual([]);
    expect(counted(cluster, 'restored')).toBeGreaterThan(0);
    settle(cluster);
  });
}

test('without a store such a connection is lost', () => {
  const { cluster, client } = begin(TWO, { store: false });
  cluster.until(() => client.heard.length > 5_000, 'the first response');
  const names = killAll(cluster);
  startAll(cluster, names);
  cluster.until(() => client.closed, 'the client is done', 120 * SECOND);
  expect(client.error).toBeDefined();
});

test('a client that is silent, and a server that speaks, find their connection again', () => {
  const scenario: Scenario = { ...TWO, thinking: 3 * SECOND, steps: TWO.steps.slice(0, 1) };
  const { cluster, client } = begin({ ...scenario, hears: '' });
  cluster.until(() => cluster.requests.length === 1, 'the server thinks');
  const names = killAll(cluster);
  startAll(cluster, names);
  cluster.until(() => client.heard === response('/one/5000'), 'the response', 30 * SECOND);
  expect(cluster.resets).toBe(0);
});

test.each(['the client', 'the backend'])(
  '%s speaks first: a packet of nobody is looked up, once',
  (who) => {
    const thinking = who === 'the backend' ? SECOND : 0;
    const { cluster, client } = begin({ ...TWO, thinking });
    cluster.until(
      () => (thinking > 0 ? cluster.requests.length === 1 : client.heard.length > 5_000),
      'the moment',
    );
    cluster.simulation.runFor(20 * MILLISECOND);
    // As if a partition had cost both their tables.
    for (const { splices } of cluster.members.values()) splices.forgetAll();
    cluster.until(() => client.closed, 'the client is done', 60 * SECOND);
    expect(client.heard).toBe(TWO.hears);
    expect(cluster.resets).toBe(0);
    expect(counted(cluster, 'lookups')).toBe(1);
    expect(counted(cluster, 'restored')).toBe(1);
    settle(cluster);
  },
);

test('a backend is told nothing before the store has the record', () => {
  const cluster = new Cluster({ store: true });
  cluster.store.latency = 30 * MILLISECOND;
  const client = cluster.connect([{ say: request('/file/3000') }], response('/file/3000').length);
  cluster.until(() => cluster.store.asked.put > 0, 'it is on its way');
  cluster.until(() => cluster.requests.length > 0 || cluster.store.size > 0, 'one of both');
  expect([cluster.requests.length, cluster.store.size]).toEqual([0, 2]);
  cluster.until(() => client.closed, 'the client is done');
  expect(client.heard).toBe(response('/file/3000'));
  settle(cluster);
});

test('a store that hangs delays one connection for a moment, and the next not at all', () => {
  const cluster = new Cluster({ store: true });
  const keeper = keeperOf(cluster, 'a');
  expect(keeper.isWell).toBe(true);
  cluster.store.state = 'hung';
  const { clock } = cluster.simulation;
  const times: number[] = [];
  for (let index = 0; index < 2; index++) {
    const began = clock.now();
    const next = cluster.connect([{ say: request('/file/3000') }], response('/file/3000').length);
    cluster.until(() => next.heard.length > 0, 'a response');
    times.push(clock.now() - began);
    cluster.until(() => next.closed, 'the end');
  }
  expect(times[0]).toBeGreaterThan(50 * MILLISECOND);
  expect(times[0]).toBeLessThan(70 * MILLISECOND);
  expect(times[1]).toBeLessThan(20 * MILLISECOND);
  expect(keeper.isWell).toBe(false);
  expect(keeper.counters).toMatchObject({ commits: 0, commitsAlone: 2, outages: 1 });
});

test('what the store has missed is written when it is back, and what is over is removed', () => {
  const { cluster, client } = begin(TWO);
  cluster.until(() => cluster.store.size === 2, 'a record');
  cluster.store.state = 'down';
  const second = cluster.connect([{ say: request('/file/3000') }], Number.POSITIVE_INFINITY);
  cluster.until(() => second.heard === response('/file/3000'), 'a response');
  cluster.until(() => client.closed, 'the first client is done');
  // Its record is over, and still in the store.
  cluster.simulation.runFor(2 * SECOND);
  expect([cluster.store.size, keeperOf(cluster, 'a').removalsWaiting]).toEqual([2, 1]);
  expect(keeperOf(cluster, 'a').isWell).toBe(false);
  cluster.store.state = 'up';
  cluster.until(() => keeperOf(cluster, 'a').isWell, 'all is well');
  expect([cluster.store.size, keeperOf(cluster, 'a').removalsWaiting]).toEqual([2, 0]);
  // The one that is there is that of the living connection: it survives everybody.
  const names = killAll(cluster);
  startAll(cluster, names);
  expect(cluster.member('a').splices.size).toBe(1);
  second.connection.end();
  cluster.until(() => second.closed, 'the second client is done', 60 * SECOND);
  expect(cluster.resets).toBe(0);
  settle(cluster);
});

test('members that start without their store serve, and say nothing about what it may know', () => {
  const { cluster, client } = begin(TWO);
  cluster.until(() => client.heard.length > 5_000, 'the first response');
  const names = killAll(cluster);
  cluster.store.state = 'down';
  startAll(cluster, names);
  const other = cluster.connect([{ say: request('/file/3000') }], response('/file/3000').length);
  cluster.until(() => other.closed, 'another client is served');
  // The first client has repeated its second request often by now.
  cluster.simulation.runFor(20 * SECOND);
  expect([client.closed, cluster.resets]).toEqual([false, 0]);
  cluster.store.state = 'up';
  cluster.until(() => client.closed, 'the first client is done', 120 * SECOND);
  expect(client.heard).toBe(TWO.hears);
  expect(cluster.violations).toEqual([]);
});

test('a packet of nobody is reset once the store has said that it knows nothing either', () => {
  const cluster = new Cluster({ store: true });
  cluster.simulation.runFor(4 * SECOND);
  const client = cluster.connect([{ say: request('/one/5000') }], Number.POSITIVE_INFINITY);
  cluster.until(() => client.heard.length > 5_000, 'a response');
  cluster.simulation.runFor(100 * MILLISECOND);
  cluster.store.kept.clear();
  for (const { splices } of cluster.members.values()) splices.forgetAll();
  client.connection.write(Buffer.from(request('/two/5000')));
  cluster.until(() => client.closed, 'the client learns it', 20 * SECOND);
  expect(client.error).toBe('ECONNRESET');
  expect(counted(cluster, 'lookups')).toBe(1);
});

test('a record of a connection whose backend has another one now is not used', () => {
  const { cluster, client } = begin(TWO);
  cluster.until(() => client.heard.length > 5_000, 'the first response');
  cluster.simulation.runFor(4 * SECOND);
  const a = cluster.member('a');
  const { table } = a.splices.splicer.ipv4;
  const stale = new Uint8Array(table.form.recordBytes);
  table.copyRecord(table.nextUsed(0), stale, 0);
  // Another client has the same source port towards the same backend, and all members know it.
  const later = stale.slice();
  new DataView(later.buffer).setUint16(8, 50_000);
  for (const { splices } of cluster.members.values()) {
    splices.forgetAll();
    splices.insert(later);
  }
  client.connection.write(Buffer.from(request('/two/5000')));
  const { framesToBackend } = a.splices.passed;
  cluster.until(() => client.closed, 'the client learns it', 20 * SECOND);
  expect(client.error).toBe('ECONNRESET');
  expect(a.splices.passed.framesToBackend).toBe(framesToBackend);
  for (const { splices } of cluster.members.values()) {
    expect(splices.has(later.subarray(0, table.form.flowBytes))).toBe(true);
    expect(splices.size).toBe(1);
  }
  expect(counted(cluster, 'dropConflicting')).toBe(1);
});

test('packets of one connection come to any member: who may takes the record back', () => {
  const { cluster, client } = begin(TWO, { members: 3, spray: true });
  cluster.until(() => client.heard.length >= response('/one/5000').length, 'the first response');
  cluster.simulation.runFor(100 * MILLISECOND);
  for (const { splices } of cluster.members.values()) splices.forgetAll();
  cluster.until(() => client.closed, 'the client is done', 120 * SECOND);
  expect(client.heard).toBe(TWO.hears);
  expect([cluster.resets, cluster.violations]).toEqual([0, []]);
  expect(counted(cluster, 'restored')).toBe(1);
  settle(cluster);
});

test('all members die under a router that spreads packets', () => {
  const run = begin(DOWNLOAD, { members: 3, spray: true });
  const { cluster, client } = run;
  cluster.until(() => client.heard.length > 50_000, 'a part of the response');
  const names = killAll(cluster);
  startAll(cluster, names);
  cluster.until(() => client.closed, 'the client is done', 120 * SECOND);
  expect(faultsOf(run, DOWNLOAD)).toEqual([]);
  settle(cluster);
});
