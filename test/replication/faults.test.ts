// Members die, pause and come back at random moments, under traffic; one of them is always spared.
// Nothing committed is ever lost, and in the end all have the same.
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { below } from '../../src/env/random.ts';
import { SimCluster, type SimMember, text } from './cluster.ts';
import { Traffic } from './traffic.ts';

/** Lets members work for `span`, each that serves committing and deleting as it likes. */
function work(sim: SimCluster, traffic: readonly Traffic[], span: number): void {
  const end = sim.network.now() + span;
  while (sim.network.now() < end) {
    for (const each of traffic) {
      if (each.member.serves && !each.member.paused) {
        each.burst(below(sim.network.random, 4), below(sim.network.random, 3));
      }
    }
    sim.network.pass(1 + below(sim.network.random, 3 * MILLISECOND));
  }
}

/** Kills or pauses the victims one after another, and brings them back in another order. */
function faults(sim: SimCluster, traffic: readonly Traffic[], victims: SimMember[]): void {
  const { random } = sim.network;
  const back: (() => void)[] = [];
  for (const victim of victims) {
    if (below(random, 2) === 0) {
      victim.kill();
      back.splice(below(random, back.length + 1), 0, () => victim.start());
    } else {
      victim.pause();
      back.splice(below(random, back.length + 1), 0, () => victim.resume());
    }
    work(sim, traffic, below(random, 200 * MILLISECOND));
  }
  for (const bring of back) {
    bring();
    work(sim, traffic, below(random, 150 * MILLISECOND));
  }
}

test.each(Array.from({ length: 6 }, (_, index) => [index + 1, 2 + (index % 3)]))(
  'seed %i, %i members',
  (seed, count) => {
    const sim = new SimCluster(seed, count);
    sim.startAll();
    const traffic = sim.members.map((member) => new Traffic(member));
    for (let round = 0; round < 5; round++) {
      work(sim, traffic, below(sim.network.random, 60 * MILLISECOND));
      const spared = below(sim.network.random, count);
      const victims = sim.members.filter(
        ({ id }) => id !== spared && (count === 2 || below(sim.network.random, 2) === 0),
      );
      faults(sim, traffic, victims);
      sim.network.until(() => sim.settled(sim.members), 20 * SECOND);
      for (const member of sim.members) expect([...member.held]).toEqual([member.id]);
      const [first, ...others] = sim.members;
      const contents = first.table.contents();
      for (const other of others) expect(other.table.contents()).toEqual(contents);
      const there = new Set(contents);
      for (const record of traffic.flatMap(({ live }) => live)) {
        expect(there.has(text(record))).toBe(true);
      }
    }
    for (const member of sim.members) {
      expect(member.replicator.counters.dropMalformed).toBe(0);
      expect(member.replicator.counters.dropNotAuthentic).toBe(0);
    }
    expect(traffic.reduce((sum, { committed }) => sum + committed, 0)).toBeGreaterThan(200);
  },
);
