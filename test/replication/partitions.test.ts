// Members that do not hear each other, wholly, in part or in one direction; and wires that are bad.
import { describe, expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { keyOf, recordOf, SimCluster, type SimMember } from './cluster.ts';
import { Traffic } from './traffic.ts';

function started(count: number, seed = 1): SimCluster {
  const sim = new SimCluster(seed, count);
  sim.startAll();
  return sim;
}

/** Loses what goes from a member to another, for each pair of ids. */
function cut(sim: SimCluster, pairs: readonly (readonly [number, number])[]): void {
  const idOf = (address: unknown): number =>
    sim.members.findIndex(({ member }) => member.address === address);
  sim.network.passes = (from, to) => {
    const [source, target] = [idOf(from), idOf(to)];
    return !pairs.some(([a, b]) => a === source && b === target);
  };
}

const bothWays = (a: number, b: number): (readonly [number, number])[] => [
  [a, b],
  [b, a],
];

const heldBy = (members: readonly SimMember[]): number[] =>
  members.flatMap(({ held }) => [...held]).sort();

function expectHealed(sim: SimCluster): void {
  sim.network.passes = () => true;
  sim.network.until(() => sim.settled(sim.members), 20 * SECOND);
  const [first, ...others] = sim.members;
  for (const other of others) expect(other.table.contents()).toEqual(first.table.contents());
  for (const { id, held } of sim.members) expect([...held]).toEqual([id]);
}

describe('two of three members do not hear each other', () => {
  test.each([
    [0, 1],
    [0, 2],
    [1, 2],
  ])('%i and %i: the latter gives way, and the others have all', (stays, goes) => {
    const sim = started(3);
    const rest = sim.members.filter(({ id }) => id !== goes);
    const traffic = rest.map((member) => new Traffic(member));
    for (const each of traffic) each.burst(20, 5);
    cut(sim, bothWays(stays, goes));
    sim.network.until(() => sim.members[goes].fences.length > 0, 3 * SECOND);
    sim.network.until(() => sim.settled(rest), 3 * SECOND);
    expect(sim.members[goes].replicator.counters.partialPartitions).toBe(0);
    expect(sim.members[goes].held.size).toBe(0);
    expect(heldBy(rest)).toEqual([0, 1, 2]);
    for (const each of traffic) each.burst(20, 5);
    sim.network.pass(5 * SECOND);
    // It stays out as long as it would miss something.
    expect(sim.members[goes].serves).toBe(false);
    expect(sim.members[goes].fences.length).toBe(1);
    expect(rest.map(({ fences }) => fences.length)).toEqual([0, 0]);
    expectHealed(sim);
    expect(sim.members[goes].table.size).toBe(traffic.flatMap(({ live }) => live).length);
  });

  test('which is over before it matters', () => {
    const sim = started(3);
    cut(sim, bothWays(0, 2));
    sim.network.pass(300 * MILLISECOND);
    sim.network.passes = () => true;
    sim.network.pass(5 * SECOND);
    for (const { replicator } of sim.members) {
      expect(replicator.counters.partialPartitions).toBe(0);
    }
    expectHealed(sim);
  });

  test('a member that starts anew is not taken for one that is not heard', () => {
    const sim = started(3);
    sim.members[0].kill();
    sim.network.pass(5 * SECOND);
    sim.members[0].start();
    sim.network.pass(5 * SECOND);
    expect(sim.members.map(({ fences }) => fences.length)).toEqual([0, 0, 0]);
    expectHealed(sim);
  });
});

test.each([
  [0, 1],
  [1, 0],
  [2, 0],
])('what %i says does not reach %i: one goes, the others have all', (mute, deaf) => {
  const sim = started(3);
  cut(sim, [[mute, deaf]]);
  sim.network.pass(5 * SECOND);
  const serving = sim.members.filter(({ serves }) => serves);
  // The one that is not heard, or the one that does not hear.
  expect(serving.length).toBe(2);
  expect(heldBy(serving)).toEqual([0, 1, 2]);
  let done = false;
  serving[0].commit(recordOf(1), () => {
    done = true;
  });
  sim.network.until(() => done);
  expectHealed(sim);
});

test('a member that is cut off from all others serves alone, and goes when it hears them', () => {
  const sim = started(3);
  const [first, second, third] = sim.members;
  cut(sim, [...bothWays(0, 2), ...bothWays(1, 2)]);
  sim.network.until(() => third.held.size === 3);
  sim.network.until(() => sim.settled([first, second]));
  first.commit(recordOf(1));
  third.commit(recordOf(2));
  sim.network.pass(SECOND);
  expectHealed(sim);
});

describe('a member whose link was down cannot know who is dead', () => {
  /** Two members; the second is cut off for a while and serves alone; then its first frame comes. */
  function isolated(): { sim: SimCluster; first: SimMember; second: SimMember; frames: number[] } {
    const frames = [0, 0];
    const sim = new SimCluster(1, 2);
    for (const member of sim.members) {
      member.settings = { evidence: () => 1_000 - member.id, frames: () => frames[member.id] };
    }
    const passes = (_: unknown, to: unknown): boolean => {
      frames[sim.members.findIndex(({ member }) => member.address === to)]++;
      return true;
    };
    sim.network.passes = passes;
    sim.startAll();
    sim.network.passes = () => false;
    const [first, second] = sim.members;
    sim.network.until(() => second.held.size === 2 && first.held.size === 2);
    sim.network.pass(5 * SECOND);
    expect(second.replicator.graceUntil(sim.network.now())).toBe(false);
    frames[1]++;
    sim.network.passes = passes;
    return { sim, first, second, frames };
  }

  test('from its first frame on it says nothing about flows, settles nothing and claims nothing', () => {
    const { sim, first, second } = isolated();
    const logged = second.log.length;
    let outcome: boolean | undefined;
    expect(second.replicator.graceUntil(sim.network.now())).toBe(true);
    second.commit(recordOf(2), (done) => {
      outcome = done;
    });
    second.replicator.remove(keyOf(recordOf(4)));
    expect(outcome).toBeUndefined();
    sim.network.until(() => second.fences.length === 1, SECOND);
    expect(outcome).toBe(false);
    expect(second.log.slice(logged)).not.toContain('returned');
    expect(first.fences).toEqual([]);
    sim.network.until(() => sim.settled(sim.members), 5 * SECOND);
    expect(first.table.size).toBe(0);
  });

  test('if nobody contradicts, it goes on after a few heartbeats, and announces what it holds', () => {
    const { sim, first, second } = isolated();
    first.kill();
    let outcome: boolean | undefined;
    expect(second.replicator.graceUntil(sim.network.now())).toBe(true);
    second.commit(recordOf(2), (done) => {
      outcome = done;
    });
    expect(outcome).toBeUndefined();
    sim.network.pass(55 * MILLISECOND);
    expect(outcome).toBeUndefined();
    sim.network.pass(10 * MILLISECOND);
    expect(outcome).toBe(true);
    expect(second.log.at(-1)).toBe('returned');
    expect(second.replicator.graceUntil(sim.network.now())).toBe(false);
    expect(second.table.size).toBe(1);
    second.commit(recordOf(4));
    expect(second.table.size).toBe(2);
  });

  test('one that goes on hearing frames when its peer dies does not doubt', () => {
    const { sim, first, second, frames } = isolated();
    sim.network.until(() => sim.settled(sim.members), 5 * SECOND);
    first.kill();
    sim.network.until(() => {
      frames[1]++;
      return second.held.size === 2;
    });
    second.commit(recordOf(2));
    expect(second.table.size).toBe(1);
  });
});

test.each([1, 2, 3])('under much loss views heal (seed %i)', (seed) => {
  const sim = started(3, seed);
  sim.network.conditions.loss = 0.3;
  const traffic = sim.members.map((member) => new Traffic(member));
  for (let round = 0; round < 50; round++) {
    for (const each of traffic) if (each.member.serves) each.burst(2, 1);
    sim.network.pass(100 * MILLISECOND);
  }
  // False alarms come while patience is learnt, then none.
  const before = sim.members.map(({ fences }) => fences.length);
  sim.network.pass(5 * SECOND);
  expect(sim.members.map(({ fences }) => fences.length)).toEqual(before);
  sim.network.conditions.loss = 0;
  expectHealed(sim);
});

test('50 ms of delay change nothing but the time that commits take', () => {
  const sim = started(3);
  Object.assign(sim.network.conditions, { minDelay: 50_000, maxDelay: 52_000 });
  sim.network.pass(2 * SECOND);
  sim.network.until(() => sim.settled(sim.members));
  const suspicions = sim.members.map(({ replicator }) => replicator.counters.suspicions);
  let took = 0;
  const at = sim.network.now();
  sim.members[0].commit(recordOf(1), (ok) => {
    took = ok ? sim.network.now() - at : -1;
  });
  sim.network.pass(10 * SECOND);
  expect(took).toBeGreaterThanOrEqual(100 * MILLISECOND);
  expect(took).toBeLessThan(130 * MILLISECOND);
  expect(sim.members.map(({ replicator }) => replicator.counters.suspicions)).toEqual(suspicions);
  Object.assign(sim.network.conditions, { minDelay: 100, maxDelay: 200 });
  expectHealed(sim);
});
