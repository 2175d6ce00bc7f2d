// A member leaves in order while clients are about: none of them notices.
import { describe, expect, test } from 'vitest';
import { MILLISECOND, type Micros, SECOND } from '../../src/env/clock.ts';
import { Cluster, type ClusterOptions, isServing } from './cluster.ts';
import { request, response, type ScriptedClient } from './peers.ts';
import { begin, faultsOf, type Scenario, scenarios } from './scenarios.ts';

const MOMENTS = 3;
const SPRAYED: ClusterOptions = { members: 3, spray: true };
/** What a client may lose of time, beside what it takes anyway. */
const PAUSE = 50 * MILLISECOND;

/** How many events, and how long, it takes without a drain. */
function undisturbed(
  scenario: Scenario,
  options: ClusterOptions,
): { readonly events: number; readonly took: number } {
  const { cluster, client } = begin(scenario, options);
  const { simulation } = cluster;
  const [events, at] = [simulation.events, simulation.clock.now()];
  cluster.until(() => client.closed, 'the client is done');
  return { events: simulation.events - events, took: simulation.clock.now() - at };
}

for (const scenario of scenarios) {
  for (const [name, options] of [
    ['a', {}],
    ['b', {}],
    ['a', SPRAYED],
  ] as const) {
    const what = options === SPRAYED ? ', one of three by chance' : '';
    test(`${scenario.name}, and ${name} leaves${what}`, () => {
      const { events, took } = undisturbed(scenario, options);
      const found: string[] = [];
      for (let index = 0; index < MOMENTS; index++) {
        const moment = Math.floor((index * events) / MOMENTS);
        const run = begin(scenario, options);
        const { cluster, client } = run;
        const { simulation } = cluster;
        const at = simulation.clock.now();
        simulation.runUntil(() => false, { maxEvents: moment });
        cluster.drain(name);
        simulation.runUntil(() => client.closed, { maxTime: 20 * SECOND });
        const late = simulation.clock.now() - at - took;
        const wrong = faultsOf(run, scenario);
        if (late > PAUSE) wrong.push(`${late} us late`);
        cluster.until(() => cluster.drained.has(name), 'it has left');
        const outcome = cluster.drained.get(name);
        if (outcome?.result !== 'left' || !outcome.handedOver || outcome.cut + outcome.lost > 0) {
          wrong.push(JSON.stringify(outcome));
        }
        if (wrong.length > 0) found.push(`after ${moment} of ${events}: ${wrong.join(', ')}`);
      }
      expect(found).toEqual([]);
    });
  }
}

test('all members are restarted one after the other, and no request fails', () => {
  const cluster = new Cluster({ members: 3 });
  const { simulation } = cluster;
  const asked: { readonly client: ScriptedClient; readonly path: string; readonly at: number }[] =
    [];
  const late: string[] = [];
  /** Lets clients come while it waits. */
  const until = (condition: () => boolean, what: string): void => {
    for (let beat = 0; !condition(); beat++) {
      if (beat > 2_000) throw new Error(`${what}: never`);
      const size = beat % 10 === 0 ? 20_000 : 500;
      const path = `/x${asked.length}/${size}`;
      const client = cluster.connect([{ say: request(path) }], response(path).length);
      asked.push({ client, path, at: simulation.clock.now() });
      simulation.runFor(4 * MILLISECOND);
      for (const { client: open, path: name, at } of asked.slice(-40)) {
        if (!open.closed && simulation.clock.now() - at > PAUSE) late.push(name);
      }
    }
  };
  // One connection is there from the first to the last.
  const first = response('/first/5000');
  const last = response('/last/5000');
  const kept = cluster.connect(
    [
      { say: request('/first/5000') },
      { say: request('/last/5000'), heard: first.length, pause: 5 * SECOND },
    ],
    first.length + last.length,
  );
  for (const name of ['a', 'b', 'c'] as const) {
    cluster.drain(name);
    until(() => !cluster.members.has(name), `${name} has left`);
    cluster.start(name);
    until(() => isServing(cluster.member(name)), `${name} is back`);
    const { replicator } = cluster.member(name);
    until(() => replicator?.currentView.active.length === 3, 'all see it');
  }
  cluster.until(() => asked.every(({ client }) => client.closed), 'the clients are done');
  const wrong = asked.filter(({ client, path }) => client.heard !== response(path));
  expect(wrong.map(({ path }) => path)).toEqual([]);
  expect(asked.length).toBeGreaterThan(100);
  expect(late).toEqual([]);
  expect(cluster.resets).toBe(0);
  expect(cluster.violations).toEqual([]);
  expect([...cluster.drained.values()].map(({ result }) => result)).toEqual(Array(3).fill('left'));
  expect(kept.heard).toBe(first);
  cluster.until(() => kept.closed, 'the last request is answered');
  expect(kept.heard).toBe(first + last);
  let departures = 0;
  for (const { replicator } of cluster.members.values()) {
    expect(replicator?.counters.suspicions).toBe(0);
    departures += replicator?.counters.departures ?? 0;
  }
  // Each saw those leave that were restarted after itself.
  expect(departures).toBe(3);
});

test('what is dead in the middle of its drain is taken over as ever', () => {
  const found: string[] = [];
  const [scenario] = scenarios;
  for (let moment = 0; moment < 60; moment += 4) {
    const run = begin(scenario);
    const { cluster, client } = run;
    cluster.simulation.runUntil(() => false, { maxEvents: moment });
    cluster.drain('a');
    cluster.simulation.runUntil(() => false, { maxEvents: moment % 7 });
    if (cluster.members.has('a')) cluster.kill('a');
    cluster.simulation.runUntil(() => client.closed, { maxTime: 20 * SECOND });
    const wrong = faultsOf(run, scenario);
    if (wrong.length > 0) found.push(`after ${moment}: ${wrong.join(', ')}`);
  }
  expect(found).toEqual([]);
});

describe('the last member', () => {
  const path = '/long/400000';

  function draining(limit?: Micros): { cluster: Cluster; client: ScriptedClient } {
    const cluster = new Cluster({ members: 1 });
    const client = cluster.connect([{ say: request(path) }], response(path).length);
    cluster.until(() => client.heard.length > 1_000, 'it is spliced');
    cluster.drain('a', limit);
    return { cluster, client };
  }

  test('waits until its connections are over, and takes no more', () => {
    const { cluster, client } = draining();
    const late = cluster.connect([{ say: request('/late') }], response('/late').length);
    cluster.until(() => cluster.drained.has('a'), 'it has left');
    expect(cluster.drained.get('a')).toMatchObject({ result: 'left', handedOver: false, lost: 0 });
    expect(client.heard).toBe(response(path));
    expect(late.heard).toBe('');
    expect(late.closed).toBe(false);
    expect(cluster.resets).toBe(0);
  });

  test('says what is lost at the limit', () => {
    const { cluster } = draining(5 * MILLISECOND);
    cluster.until(() => cluster.drained.has('a'), 'it has left');
    expect(cluster.drained.get('a')).toMatchObject({ result: 'late', handedOver: false, lost: 1 });
  });
});

test('whoever is to take over dies after it has the addresses: they are taken back, until there is another', () => {
  const cluster = new Cluster({ members: 2 });
  const path = '/long/4000000';
  const client = cluster.connect([{ say: request(path) }], response(path).length);
  cluster.until(() => client.heard.length > 1_000, 'it is spliced');
  cluster.drain('a');
  cluster.until(() => cluster.member('a').replicator?.holdsNothing === true, 'it handed over');
  cluster.kill('b');
  const before = client.heard.length;
  cluster.until(() => client.heard.length > before + 100_000, 'it goes on');
  expect(cluster.drained.has('a')).toBe(false);
  cluster.start('b');
  cluster.until(() => cluster.drained.has('a'), 'it has left');
  expect(cluster.drained.get('a')).toMatchObject({ handedOver: true, lost: 0 });
  cluster.until(() => client.closed, 'all is said');
  expect(client.heard).toBe(response(path));
  expect(cluster.resets).toBe(0);
});

test('a relay is finished, or cut at the limit', () => {
  for (const [limit, result] of [
    [10 * SECOND, 'left'],
    [5 * MILLISECOND, 'late'],
  ] as const) {
    const cluster = new Cluster({ timestamps: false, families: [6] });
    const path = '/long/4000000';
    const client = cluster.connect([{ say: request(path) }], response(path).length);
    cluster.until(() => client.heard.length > 1_000, 'it is relayed');
    expect(cluster.member('a').counters.activeRelays).toBe(1);
    cluster.drain('a', limit);
    cluster.until(() => cluster.drained.has('a'), 'it has left');
    const outcome = cluster.drained.get('a');
    expect(outcome).toMatchObject({ result, handedOver: true, cut: result === 'late' ? 1 : 0 });
    expect(client.heard === response(path)).toBe(result === 'left');
  }
});
