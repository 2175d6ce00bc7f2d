import { describe, expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { flowOf, keyOf, recordOf, SimCluster, type SimMember } from './cluster.ts';
import { Traffic } from './traffic.ts';

const SEEDS = [1, 2, 3];
const PATIENT = { suspectAfter: 3 * SECOND };

function started(count: number, seed = 1, settings = {}): SimCluster {
  const sim = new SimCluster(seed, count, settings);
  sim.startAll();
  return sim;
}

function expectEqualTables(members: readonly SimMember[]): void {
  const [first, ...others] = members;
  for (const other of others) expect(other.table.contents()).toEqual(first.table.contents());
}

describe('start', () => {
  test('a lone member listens, then holds all addresses', () => {
    const { members, network } = new SimCluster(1, 3);
    const [first] = members;
    first.start();
    network.pass(1_499 * MILLISECOND);
    expect(first.held.size).toBe(0);
    expect(first.replicator.graceUntil(network.now())).toBe(true);
    network.pass(12 * MILLISECOND);
    expect([...first.held]).toEqual([0, 1, 2]);
    network.pass(3 * SECOND);
    expect(first.replicator.graceUntil(network.now())).toBe(false);
  });

  test('a process that stands still does not listen meanwhile', () => {
    const { members, network } = new SimCluster(1, 3);
    const [first] = members;
    first.start();
    network.pass(100 * MILLISECOND);
    first.pause();
    network.pass(SECOND);
    first.resume();
    network.pass(1_380 * MILLISECOND);
    expect(first.held.size).toBe(0);
    network.pass(40 * MILLISECOND);
    expect([...first.held]).toEqual([0, 1, 2]);
  });

  test.each(SEEDS)('members that start at once each hold their own (seed %i)', (seed) => {
    const sim = started(3, seed);
    for (const member of sim.members) expect([...member.held]).toEqual([member.id]);
    expect(sim.members.every((member) => member.fences.length === 0)).toBe(true);
  });

  test.each(SEEDS)('two members find each other through loss (seed %i)', (seed) => {
    const sim = new SimCluster(seed, 2, { suspectAfter: 150 * MILLISECOND });
    Object.assign(sim.network.conditions, { loss: 0.3, maxDelay: 3 * MILLISECOND });
    for (const member of sim.members) member.start();
    sim.network.until(() => sim.settled(sim.members), 60 * SECOND);
    sim.network.conditions.loss = 0;
    sim.network.until(() => sim.settled(sim.members), 60 * SECOND);
    for (const member of sim.members) expect([...member.held]).toEqual([member.id]);
  });

  test('who starts alone beside a member that serves has to start again, whatever it says', () => {
    const sim = new SimCluster(1, 2, { evidence: () => sim.network.now() });
    const [first, second] = sim.members;
    first.start();
    sim.network.until(() => first.serves);
    first.commit(recordOf(2));
    // It is heard, and hears nothing.
    sim.network.passes = (_, to) => to !== second.member.address;
    second.start();
    sim.network.until(() => second.serves, 5 * SECOND);
    sim.network.passes = () => true;
    sim.network.until(() => sim.settled(sim.members), 5 * SECOND);
    expect(first.fences).toEqual([]);
    expect(second.fences).toHaveLength(1);
    expect(second.table.size).toBe(1);
  });

  test('a clock that went back does not keep a member out', () => {
    const sim = started(2);
    const [, second] = sim.members;
    second.kill();
    const { wall } = sim.network;
    sim.network.wall = () => 1_000;
    second.start();
    sim.network.until(() => second.fences.length === 1);
    sim.network.wall = wall;
    sim.network.until(() => sim.settled(sim.members));
    expect([...second.held]).toEqual([1]);
  });
});

describe('records', () => {
  test('a commit alone is done at once', () => {
    const sim = new SimCluster(1, 2);
    const [first] = sim.members;
    first.start();
    sim.network.until(() => first.serves);
    let done = false;
    first.commit(recordOf(1), (ok) => {
      done = ok;
    });
    expect(done).toBe(true);
  });

  test('a commit waits for the acknowledgment, which comes in one round trip', () => {
    const sim = started(2);
    const [first, second] = sim.members;
    let doneAt = 0;
    const sentAt = sim.network.now();
    first.commit(recordOf(1), () => {
      doneAt = sim.network.now();
    });
    expect(doneAt).toBe(0);
    expect(first.replicator.unacked).toBe(1);
    sim.network.until(() => doneAt > 0);
    expect(doneAt - sentAt).toBeLessThanOrEqual(400);
    expect(first.replicator.commitLatency).toMatchObject({ count: 1, sum: doneAt - sentAt });
    // It is in the other table as soon as that member knows that all have it.
    expect(second.table.size).toBe(0);
    expect(second.replicator.proposerOf(flowOf(recordOf(1)))).toBe(0);
    sim.network.until(() => second.replicator.undecided === 0, 10 * MILLISECOND);
    expect(second.table.contents()).toEqual(first.table.contents());
    first.remove(recordOf(1));
    sim.network.until(() => first.replicator.unacked === 0);
    expect(second.table.size).toBe(0);
  });

  test.each(SEEDS)(
    'arrive once and in order under loss, duplication, reordering (seed %i)',
    (seed) => {
      const sim = started(3, seed, PATIENT);
      Object.assign(sim.network.conditions, {
        loss: 0.3,
        duplication: 0.1,
        maxDelay: 4 * MILLISECOND,
      });
      const traffic = sim.members.map((member) => new Traffic(member));
      for (let round = 0; round < 100; round++) {
        for (const each of traffic) each.burst(15, 10);
        sim.network.pass(2 * MILLISECOND);
      }
      sim.network.until(() => sim.settled(sim.members), 60 * SECOND);
      for (const { member, sent, committed } of traffic) {
        expect(committed).toBe(1_500);
        for (const other of sim.members) {
          if (other === member) continue;
          const came = other.arrivals.filter((entry) => entry.startsWith(`${member.id} `));
          expect(came).toEqual(sent);
        }
        expect(member.replicator.counters.retransmissions).toBeGreaterThan(0);
        expect(member.replicator.counters.suspicions).toBe(0);
      }
      expectEqualTables(sim.members);
    },
  );

  test('a full window does not stop what comes after it', () => {
    const sim = started(2);
    const traffic = new Traffic(sim.members[0]);
    traffic.member.act(() => {
      for (let count = 0; count < 10_000; count++) {
        traffic.member.replicator.commit(recordOf(count), () => traffic.committed++);
      }
    });
    sim.network.until(() => traffic.committed === 10_000);
    sim.network.until(() => sim.members[1].replicator.undecided === 0);
    expect(sim.members[1].table.size).toBe(10_000);
  });
});

describe('suspicion', () => {
  test.each(SEEDS)('one survivor adopts, and commits go on (seed %i)', (seed) => {
    const sim = started(3, seed);
    const [first, second, third] = sim.members;
    sim.network.pass(3 * SECOND);
    const killedAt = sim.network.now();
    second.kill();
    let doneAt = 0;
    first.commit(recordOf(1), (ok) => {
      expect(ok).toBe(true);
      doneAt = sim.network.now();
    });
    sim.network.until(() => sim.settled([first, third]));
    expect(doneAt - killedAt).toBeGreaterThan(25 * MILLISECOND);
    expect(doneAt - killedAt).toBeLessThan(55 * MILLISECOND);
    expect([...first.held, ...third.held].sort()).toEqual([0, 1, 2]);
    expectEqualTables([first, third]);
    expect(first.replicator.graceUntil(sim.network.now())).toBe(true);
    third.kill();
    sim.network.until(() => sim.settled([first]));
    expect([...first.held].sort()).toEqual([0, 1, 2]);
  });

  test('a pause of the whole machine accuses nobody', () => {
    const sim = started(2);
    for (const member of sim.members) member.pause();
    sim.network.pass(5 * SECOND);
    for (const member of sim.members) member.resume();
    sim.network.pass(SECOND);
    expect(sim.settled(sim.members)).toBe(true);
    for (const { replicator } of sim.members) {
      expect(replicator.counters).toMatchObject({ suspicions: 0, stalls: 1 });
    }
  });

  test.each(SEEDS)('a member that was paused is fenced and comes back new (seed %i)', (seed) => {
    const sim = started(2, seed);
    const [zombie, survivor] = sim.members;
    const traffic = new Traffic(survivor);
    traffic.burst(50, 0);
    zombie.commit(recordOf(0xabc));
    sim.network.pass(10 * MILLISECOND);
    const { incarnation } = zombie.replicator;
    zombie.pause();
    sim.network.until(() => survivor.held.size === 2);
    traffic.burst(50, 20);
    sim.network.pass(SECOND);
    const wokeAt = sim.network.now();
    const logged = zombie.log.length;
    zombie.resume();
    sim.network.until(() => zombie.held.size === 0);
    expect(sim.network.now() - wokeAt).toBeLessThan(MILLISECOND);
    expect(zombie.fences).toEqual([incarnation]);
    // Neighbours that believed it would send it what the survivor has begun to serve.
    expect(zombie.log.slice(logged)).not.toContain('returned');
    sim.network.until(() => sim.settled(sim.members));
    expect([...zombie.held]).toEqual([0]);
    expect([...survivor.held]).toEqual([1]);
    expect(survivor.fences).toEqual([]);
    expectEqualTables(sim.members);
    expect(zombie.table.size).toBe(81);
  });

  test('a peer that is heard but acknowledges nothing does not stop commits', () => {
    const sim = started(2);
    const [first, second] = sim.members;
    sim.network.passes = (from, _, payload) =>
      from !== first.member.address || payload.length < 24 + 33 + 16 + 69;
    let done = false;
    first.commit(recordOf(1), () => {
      done = true;
    });
    sim.network.until(() => done, 3 * SECOND);
    sim.network.until(() => second.fences.length > 0);
    sim.network.passes = () => true;
    sim.network.until(() => sim.settled(sim.members));
    expectEqualTables(sim.members);
    expect(second.table.size).toBe(1);
  });

  test.each([0, 1])('who is not heard any more (member %i) yields and stays out', (mute) => {
    const sim = started(2);
    const muted = sim.members[mute];
    const other = sim.members[1 - mute];
    const { address } = muted.member;
    sim.network.passes = (from) => from !== address;
    sim.network.until(() => muted.fences.length === 1);
    sim.network.pass(2 * SECOND);
    expect(other.fences).toEqual([]);
    expect([...other.held].sort()).toEqual([0, 1]);
    expect(muted.held.size).toBe(0);
    sim.network.passes = () => true;
    sim.network.until(() => sim.settled(sim.members));
    expect([...muted.held]).toEqual([mute]);
  });

  test.each([
    [0, [10, 0]],
    [1, [0, 10]],
    [0, [0, 0]],
  ])('of two halves member %i goes on if the world sent them %j frames', (winner, frames) => {
    const evidence = [0, 0];
    const sim = new SimCluster(1, 2);
    for (const member of sim.members) {
      member.settings = { evidence: () => evidence[member.id] };
      member.start();
    }
    sim.network.until(() => sim.settled(sim.members));
    evidence.fill(1_000);
    sim.network.passes = () => false;
    sim.network.until(() => sim.members.every((member) => member.held.size === 2));
    sim.network.pass(5 * SECOND);
    evidence[0] += frames[0];
    evidence[1] += frames[1];
    sim.members[winner].commit(recordOf(1));
    sim.members[1 - winner].commit(recordOf(2));
    sim.network.passes = () => true;
    sim.network.until(() => sim.settled(sim.members));
    expect(sim.members[winner].fences).toEqual([]);
    expect(sim.members[1 - winner].fences.length).toBe(1);
    expectEqualTables(sim.members);
    expect(sim.members[winner].table.size).toBe(1);
  });
});

describe('join', () => {
  test.each([1, 3, 5, 7])(
    'a restarted member has all when it serves, under traffic (seed %i)',
    (seed) => {
      const sim = started(3, seed, { suspectAfter: 200 * MILLISECOND });
      const [first, second, third] = sim.members;
      Object.assign(sim.network.conditions, {
        loss: 0.1,
        duplication: 0.05,
        maxDelay: MILLISECOND,
      });
      const traffic = [new Traffic(first), new Traffic(third)];
      for (const each of traffic) each.burst(1_000, 0);
      sim.network.pass(20 * MILLISECOND);
      second.kill();
      for (const member of [first, third]) member.table.step = 16;
      let served = false;
      for (let round = 0; round < 400; round++) {
        if (round === seed * 20) second.start();
        for (const each of traffic) each.burst(4, 4);
        sim.network.pass(2 * MILLISECOND);
        served ||= second.serves;
      }
      expect(served).toBe(true);
      expect(second.replicator.counters.snapshotRecordsIn).toBeGreaterThan(1_000);
      sim.network.until(() => sim.settled(sim.members), 60 * SECOND);
      expectEqualTables(sim.members);
      expect(second.fences).toEqual([]);
      expect([...second.held]).toEqual([1]);
      const live = traffic.flatMap((each) => each.live).length;
      expect(second.table.size).toBe(live);
    },
  );

  test('the addresses are claimed only with the table, and change hands within a round trip', () => {
    const sim = started(2);
    const [first, second] = sim.members;
    new Traffic(first).burst(3_000, 0);
    sim.network.pass(50 * MILLISECOND);
    second.kill();
    sim.network.until(() => first.held.size === 2);
    second.start();
    sim.network.until(() => second.held.size > 0);
    const claimedAt = sim.network.now();
    expect(second.table.size).toBe(3_000);
    expect(first.held.size).toBe(2);
    sim.network.until(() => first.held.size === 1);
    expect(sim.network.now() - claimedAt).toBeLessThan(MILLISECOND);
    expect([...first.held, ...second.held]).toEqual([0, 1]);
  });

  test.each(SEEDS)('the giver of the snapshot dies in the middle (seed %i)', (seed) => {
    const sim = started(3, seed);
    const [first, second, third] = sim.members;
    new Traffic(first).burst(2_000, 0);
    new Traffic(second).burst(10, 0);
    sim.network.until(() => sim.settled(sim.members));
    third.kill();
    sim.network.until(() => sim.settled([first, second]));
    first.table.step = 10;
    third.start();
    sim.network.until(() => third.replicator.counters.snapshotRecordsIn > 100 * seed);
    expect(third.serves).toBe(false);
    first.kill();
    sim.network.until(() => sim.settled([second, third]));
    expect(third.table.size).toBe(2_010);
    expectEqualTables([second, third]);
  });

  test('a restart that is faster than suspicion', () => {
    const sim = started(3);
    const [first, second, third] = sim.members;
    new Traffic(first).burst(10, 0);
    sim.network.pass(10 * MILLISECOND);
    second.kill();
    sim.network.pass(MILLISECOND);
    let done = false;
    first.commit(recordOf(77), () => {
      done = true;
    });
    second.start();
    expect(done).toBe(false);
    sim.network.until(() => sim.settled(sim.members));
    expect(done).toBe(true);
    expect(second.table.size).toBe(11);
    expectEqualTables(sim.members);
    expect([...second.held]).toEqual([1]);
    expect([...first.held, ...third.held].sort()).toEqual([0, 2]);
  });

  test('a delete that overtakes the snapshot wins, and so does the flow that came after it', () => {
    const sim = started(3);
    const [first, second, third] = sim.members;
    const records = Array.from({ length: 500 }, (_, flow) => recordOf(flow));
    for (const record of records) first.commit(record);
    sim.network.until(() => sim.settled(sim.members));
    third.kill();
    sim.network.until(() => sim.settled([first, second]));
    first.table.step = 1;
    third.start();
    sim.network.until(() => third.replicator.counters.snapshotRecordsIn > 0);
    // What the giver's table still shows to the joiner is over for the others.
    sim.network.passes = (from, to) =>
      from !== second.member.address || to !== first.member.address;
    const last = records[499];
    second.remove(last);
    second.commit(recordOf(498, 1));
    sim.network.pass(20 * MILLISECOND);
    sim.network.passes = () => true;
    sim.network.until(() => sim.settled(sim.members));
    expectEqualTables(sim.members);
    expect(third.table.size).toBe(499);
    third.table.delete(keyOf(recordOf(498, 1)));
    expect(third.table.size).toBe(498);
  });
});
