// The secret is changed while members speak: add the new one behind the old one everywhere, swap, remove.
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { SimCluster } from './cluster.ts';
import { Traffic } from './traffic.ts';

const OLD = 'a secret of the cluster under test';
const NEW = 'the secret that comes next';

test.each([1, 2, 3, 4])('nothing is lost while the secret is changed (seed %i)', (seed) => {
  const sim = new SimCluster(seed, 3, { suspectAfter: 100 * MILLISECOND });
  sim.startAll();
  Object.assign(sim.network.conditions, { loss: 0.05, duplication: 0.05, maxDelay: MILLISECOND });
  const traffic = sim.members.map((member) => new Traffic(member));
  for (const secrets of [[OLD, NEW], [NEW, OLD], [NEW]]) {
    for (const member of sim.members) {
      for (const each of traffic) each.burst(10, 3);
      sim.network.pass(MILLISECOND);
      member.settings = { ...member.settings, secrets };
      member.replicator.rekey(secrets);
      sim.network.pass(30 * MILLISECOND);
    }
  }
  sim.network.until(() => sim.settled(sim.members), 10 * SECOND);
  for (const { replicator, fences } of sim.members) {
    expect(fences).toEqual([]);
    expect(replicator.counters).toMatchObject({ suspicions: 0, dropNotAuthentic: 0 });
  }
  const [first, ...others] = sim.members;
  for (const other of others) expect(other.table.contents()).toEqual(first.table.contents());
  // And who starts with the new one alone is let in.
  first.kill();
  first.start();
  sim.network.until(() => sim.settled(sim.members), 10 * SECOND);
});

test('what is sealed by a secret that is not good any more is dropped and counted', () => {
  const sim = new SimCluster(1, 2);
  sim.startAll();
  const [first, second] = sim.members;
  second.replicator.rekey([NEW]);
  sim.network.pass(SECOND);
  expect(second.replicator.counters.dropNotAuthentic).toBeGreaterThan(0);
  expect(first.replicator.counters.dropNotAuthentic).toBeGreaterThan(0);
  expect(first.replicator.counters.suspicions).toBe(1);
  first.replicator.rekey([OLD, NEW]);
  second.replicator.rekey([NEW, OLD]);
  sim.network.until(() => sim.settled(sim.members));
});
