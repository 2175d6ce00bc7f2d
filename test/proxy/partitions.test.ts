// Members that do not hear each other, while clients reach all of them: connections go on.
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { chance, seededRandom } from '../../src/env/random.ts';
import { Cluster, isServing, type Name } from './cluster.ts';
import { request, response, type ScriptedClient } from './peers.ts';

type Cut = (from: Name, to: Name | undefined) => boolean;

const between =
  (a: Name, b: Name): Cut =>
  (from, to) =>
    !((from === a && to === b) || (from === b && to === a));

const random = seededRandom(1);

const cuts: readonly (readonly [string, Cut])[] = [
  ['a and b do not hear each other', between('a', 'b')],
  ['a and c do not hear each other', between('a', 'c')],
  ['b and c do not hear each other', between('b', 'c')],
  ['a does not hear c', (from, to) => !(from === 'c' && to === 'a')],
  ['c does not hear a', (from, to) => !(from === 'a' && to === 'c')],
  ['c hears nobody, and nobody hears it', (from, to) => from !== 'c' && to !== 'c'],
  ['nobody hears a', (from) => from !== 'a'],
  ['a third of all is lost', () => !chance(random, 0.3)],
];

test.each(cuts)('%s', (_, cut) => {
  const cluster = new Cluster({ members: 3 });
  const { simulation } = cluster;
  const kept: ScriptedClient[] = [];
  const first = response('/first/3000');
  const last = response('/last/3000');
  for (let count = 0; count < 5; count++) {
    kept.push(
      cluster.connect(
        [
          { say: request('/first/3000') },
          { say: request('/last/3000'), heard: first.length, pause: (count * SECOND) / 2 },
        ],
        first.length + last.length,
      ),
    );
  }
  cluster.until(() => kept.every(({ heard }) => heard.length === first.length), 'all are spliced');
  cluster.meshPasses = cut;
  const asked: (readonly [ScriptedClient, string])[] = [];
  for (let beat = 0; beat < 60; beat++) {
    const path = `/x${beat}/2000`;
    asked.push([cluster.connect([{ say: request(path) }], response(path).length), path]);
    simulation.runFor(50 * MILLISECOND);
  }
  cluster.meshPasses = () => true;
  cluster.until(
    () =>
      [...cluster.members.values()].every(
        (member) =>
          isServing(member) &&
          member.replicator?.currentView.active.length === 3 &&
          member.holdings.adopted === 0,
      ),
    'views heal',
  );
  cluster.until(() => cluster.clients.every(({ closed }) => closed), 'all clients are done');
  for (const client of kept) expect(client.heard).toBe(first + last);
  const wrong = asked.filter(([client, path]) => client.heard !== response(path));
  expect(wrong.map(([, path]) => path)).toEqual([]);
  expect(cluster.resets).toBe(0);
});
