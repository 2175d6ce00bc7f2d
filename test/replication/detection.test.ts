// How soon a dead member is found out, and how seldom a living one is taken for dead.
import { describe, expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { below } from '../../src/env/random.ts';
import { Patience } from '../../src/replication/patience.ts';
import { SimCluster, type SimMember } from './cluster.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];

function pair(seed: number): { sim: SimCluster; first: SimMember; second: SimMember } {
  const sim = new SimCluster(seed, 2);
  sim.startAll();
  const [first, second] = sim.members;
  // Lives that are new have more patience.
  sim.network.pass(3 * SECOND);
  return { sim, first, second };
}

const thresholdOf = (member: SimMember): number => member.replicator.peers[0].suspectAfter;

/** Stops a member for so long. */
function stall(sim: SimCluster, member: SimMember, span: number): void {
  member.pause();
  sim.network.pass(span);
  member.resume();
}

/** How long it takes until `by` suspects a member that is killed now. */
function killed(sim: SimCluster, member: SimMember, by: SimMember): number {
  const at = sim.network.now();
  const { suspicions } = by.replicator.counters;
  member.kill();
  sim.network.until(() => by.replicator.counters.suspicions > suspicions);
  return sim.network.now() - at;
}

describe('a dead member is suspected', () => {
  test.each(SEEDS)('after 30 ms of silence where all is calm (seed %i)', (seed) => {
    const { sim, first, second } = pair(seed);
    sim.network.pass(3 * SECOND + below(sim.network.random, 10 * MILLISECOND));
    const heardAt = sim.network.now();
    const took = killed(sim, second, first);
    expect(thresholdOf(first)).toBe(30 * MILLISECOND);
    expect(sim.network.now() - heardAt).toBeLessThanOrEqual(31 * MILLISECOND);
    expect(took).toBeGreaterThanOrEqual(20 * MILLISECOND);
    expect(first.replicator.counters.suspicionsFalse).toBe(0);
  });

  test('in bounded time where it was all but calm before', () => {
    const { sim, first, second } = pair(1);
    for (const span of [40, 60, 90, 130, 150]) {
      stall(sim, second, span * MILLISECOND);
      sim.network.pass(500 * MILLISECOND);
    }
    sim.network.until(() => sim.settled(sim.members));
    expect(killed(sim, second, first)).toBeLessThanOrEqual(301 * MILLISECOND);
  });

  test('in bounded time by a member that hardly runs itself', () => {
    const { sim, first, second } = pair(1);
    sim.network.pass(100 * MILLISECOND);
    const { counters } = first.replicator;
    second.kill();
    const killedAt = sim.network.now();
    while (counters.suspicions === 0 && sim.network.now() < killedAt + SECOND) {
      stall(sim, first, 27 * MILLISECOND);
      sim.network.pass(MILLISECOND);
    }
    expect(counters.stalls).toBeGreaterThan(2);
    expect(counters.suspicions).toBe(1);
    expect(sim.network.now() - killedAt).toBeLessThan(200 * MILLISECOND);
  });
});

describe('a member that lives is not suspected', () => {
  test('when a fifth of all datagrams is lost, but once in some minutes', () => {
    let suspicions = 0;
    for (const seed of SEEDS) {
      const { sim, first, second } = pair(seed);
      sim.network.conditions.loss = 0.2;
      sim.network.pass(20 * SECOND);
      for (const { replicator } of [first, second]) {
        suspicions += replicator.counters.suspicions;
        expect(replicator.counters.probesOut).toBeGreaterThan(100);
        expect(replicator.peers[0].suspectAfter).toBeGreaterThan(30 * MILLISECOND);
      }
    }
    expect(suspicions).toBeLessThanOrEqual(1);
  });

  test('when the wire takes 50 ms, and its time varies', () => {
    const { sim, first, second } = pair(1);
    const { conditions } = sim.network;
    for (const jitter of [5, 10, 20, 40, 60]) {
      conditions.minDelay = 50 * MILLISECOND;
      conditions.maxDelay = (50 + jitter) * MILLISECOND;
      sim.network.pass(5 * SECOND);
    }
    // The first datagram over the longer wire is late, and so is what answers a probe.
    for (const { replicator } of [first, second]) {
      expect(replicator.counters.suspicions).toBeLessThanOrEqual(1);
    }
    sim.network.until(() => sim.settled(sim.members));
  });

  test('twice for pauses of one length', () => {
    const { sim, first, second } = pair(1);
    for (let count = 0; count < 40; count++) {
      stall(sim, second, 45 * MILLISECOND);
      sim.network.pass(SECOND);
    }
    expect(first.replicator.counters).toMatchObject({ suspicions: 1, suspicionsFalse: 1 });
    expect(second.fences.length).toBe(1);
    expect(thresholdOf(first)).toBeGreaterThan(90 * MILLISECOND);
  });

  test('often for pauses that grow, and all is forgotten after a calm minute', () => {
    const { sim, first, second } = pair(1);
    for (let span = 40; span < 280; span += 10) {
      stall(sim, second, span * MILLISECOND);
      sim.network.pass(500 * MILLISECOND);
    }
    expect(first.replicator.counters.suspicions).toBeLessThanOrEqual(3);
    expect(thresholdOf(first)).toBe(300 * MILLISECOND);
    sim.network.pass(61 * SECOND);
    expect(thresholdOf(first)).toBe(30 * MILLISECOND);
    expect(sim.settled(sim.members)).toBe(true);
  });

  test('by the next life of who was fenced, which knows what the last one learnt', () => {
    const { sim, first, second } = pair(1);
    // Both lives see the other's pauses; a new one would begin with 30 ms again.
    stall(sim, first, 45 * MILLISECOND);
    sim.network.until(() => sim.settled(sim.members));
    stall(sim, first, 50 * MILLISECOND);
    sim.network.pass(4 * SECOND);
    stall(sim, second, 45 * MILLISECOND);
    sim.network.until(() => sim.settled(sim.members));
    stall(sim, first, 50 * MILLISECOND);
    sim.network.pass(SECOND);
    expect(first.fences.length).toBe(1);
    expect(second.fences.length).toBe(1);
  });
});

describe('patience', () => {
  const LEAST = 30 * MILLISECOND;

  test('is twice the longest silence of the last half to whole minute, within its bounds', () => {
    const patience = new Patience(LEAST);
    patience.heard(10 * MILLISECOND, 0);
    expect(patience.threshold).toBe(LEAST);
    patience.heard(40 * MILLISECOND, SECOND);
    expect(patience.threshold).toBe(80 * MILLISECOND);
    patience.heard(10 * MILLISECOND, 31 * SECOND);
    expect(patience.threshold).toBe(80 * MILLISECOND);
    patience.heard(10 * MILLISECOND, 62 * SECOND);
    expect(patience.threshold).toBe(LEAST);
    patience.heard(5 * SECOND, 63 * SECOND);
    expect(patience.threshold).toBe(10 * LEAST);
  });

  test('doubles with each false alarm, and forgets after a long absence at once', () => {
    const patience = new Patience(LEAST);
    for (const expected of [60, 120, 240, 300, 300]) {
      patience.wronged(31, SECOND);
      expect(patience.threshold).toBe(expected * MILLISECOND);
    }
    patience.wronged(11 * LEAST, 2 * SECOND);
    patience.heard(0, 100 * SECOND);
    expect(patience.threshold).toBe(LEAST);
  });

  test('a silence is excused by own stalls up to three thresholds', () => {
    const patience = new Patience(LEAST);
    expect(patience.excuse(SECOND)).toBe(SECOND);
    expect(patience.excuse(LEAST)).toBe(LEAST);
    expect(patience.excuse(LEAST)).toBe(LEAST);
    expect(patience.excuse(LEAST)).toBe(0);
    patience.heard(0, 0);
    expect(patience.excuse(LEAST)).toBe(LEAST);
  });
});
