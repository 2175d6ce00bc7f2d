// A client that comes again with the port of a connection that is over, while a record of that is left.
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { Cluster, HTTP, isServing } from './cluster.ts';
import { request, response, type ScriptedClient } from './peers.ts';

const PORT = 41_000;

/** The server closes first, so that the client may use its port again at once. */
const OLD = '/close/100000';
const NEW = '/close/500';

const connect = (cluster: Cluster, path: string): ScriptedClient =>
  cluster.connect([{ say: request(path) }], Number.POSITIVE_INFINITY, HTTP, PORT);

/** How long the next connection takes. */
function again(cluster: Cluster): number {
  const { clock } = cluster.simulation;
  const before = clock.now();
  const client = connect(cluster, NEW);
  cluster.until(() => client.heard === response(NEW), 'it is served');
  const took = clock.now() - before;
  cluster.until(() => client.closed, 'it is done');
  expect(client.error).toBeUndefined();
  expect(cluster.violations).toEqual([]);
  expect(cluster.requests).toHaveLength(2);
  return took;
}

test('whose end only another member saw that tells who joins: it is served at once', () => {
  const cluster = new Cluster();
  const first = connect(cluster, OLD);
  cluster.until(() => first.heard.length > 1_000, 'it is spliced');
  cluster.kill('a');
  cluster.until(() => first.closed, 'it is done');
  cluster.start('a');
  cluster.until(() => isServing(cluster.member('a')), 'a is back');
  const { splices } = cluster.member('a');
  expect(splices.size).toBe(1);
  expect(again(cluster)).toBeLessThan(SECOND);
  expect(splices.passed.synsChallenged).toBe(0);
});

test('whose end only the dead saw: it is asked, and served when it repeats its SYN', () => {
  // What is asked after an adoption would tell first.
  const cluster = new Cluster({ resume: false });
  const first = connect(cluster, OLD);
  cluster.until(() => first.closed, 'it is done');
  cluster.kill('a');
  const { splices, holdings } = cluster.member('b');
  cluster.until(() => holdings.adopted > 0, 'b has its addresses');
  expect(splices.size).toBe(1);
  again(cluster);
  expect(splices.passed.synsChallenged).toBe(1);
});

/** SYNs that were answered. */
const answered = (cluster: Cluster): number =>
  [...cluster.members.values()].reduce((sum, { host }) => sum + host.tcp.counters.cookiesSent, 0);

test.each([4, 6] as const)(
  'IPv%i, while a member has not heard that it is over: what comes there is left to who answered',
  (clients) => {
    const first = '/turn0/2000';
    for (let seed = 1; seed <= 4; seed++) {
      const cluster = new Cluster({ members: 3, spray: true, mesh: 4, clients, seed });
      const steps = [
        { say: request(first) },
        // Time enough for the next connection to begin with quite another number.
        { say: request(NEW), heard: response(first).length, pause: 2 * SECOND },
      ];
      const old = cluster.connect(steps, Number.POSITIVE_INFINITY, HTTP, PORT);
      cluster.until(() => old.heard.length === response(first).length, 'its first answer');
      cluster.bypassed = ['c'];
      cluster.until(() => cluster.requests.length === 2, 'its last request');
      cluster.meshPasses = (from, to) => from !== 'c' && to !== 'c';
      cluster.until(() => old.closed, 'it is done');
      // The others tell each other. All this is shorter than what makes members suspect one that is silent.
      cluster.simulation.runFor(10 * MILLISECOND);
      const before = answered(cluster);
      const { passed } = cluster.member('c').splices;
      const { framesToBackend } = passed;
      const client = connect(cluster, NEW);
      cluster.until(() => answered(cluster) > before, 'its SYN is answered');
      cluster.bypassed = ['a', 'b'];
      cluster.simulation.runFor(20 * MILLISECOND);
      expect(passed.successors).toBeGreaterThan(0);
      expect(passed.framesToBackend).toBe(framesToBackend);
      cluster.meshPasses = () => true;
      cluster.until(() => client.closed, 'the next one is done');
      expect([client.heard, client.error]).toEqual([response(NEW), undefined]);
      expect([cluster.violations, cluster.requests.length]).toEqual([[], 3]);
    }
  },
);
