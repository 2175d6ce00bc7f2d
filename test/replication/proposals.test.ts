// Two members that want the same flow, and members that die while they propose: one record for a flow, and the
// same at all who are left.
import { describe, expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { below } from '../../src/env/random.ts';
import { flowOf, keyOf, recordOf, SimCluster, type SimMember, text } from './cluster.ts';

const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);

/** Who serves and is not being told that its life is over. */
const serving = (sim: SimCluster): SimMember[] =>
  sim.members.filter((member) => member.serves && !member.paused);

/** Invariant I3: no two of them translate a flow by different records. */
function expectOneRecordAFlow(members: readonly SimMember[]): void {
  const byFlow = new Map<string, string>();
  for (const { table } of members) {
    for (const record of table.contents()) {
      const flow = record.slice(0, record.length === 128 ? 24 : 72);
      const known = byFlow.get(flow);
      if (known !== undefined && known !== record) throw new Error(`two records for ${flow}`);
      byFlow.set(flow, record);
    }
  }
}

function expectEqualTables(members: readonly SimMember[]): void {
  const [first, ...others] = members;
  for (const other of others) expect(other.table.contents()).toEqual(first.table.contents());
}

describe('two members propose a record for the same flow', () => {
  test.each(SEEDS)('one of them wins everywhere, the other is told (seed %i)', (seed) => {
    const count = 2 + (seed % 3);
    const sim = new SimCluster(seed, count, { suspectAfter: SECOND });
    sim.startAll();
    const { random, conditions } = sim.network;
    Object.assign(conditions, { loss: 0.1, duplication: 0.1, maxDelay: 2 * MILLISECOND });
    sim.network.passes = () => {
      expectOneRecordAFlow(sim.members);
      return true;
    };
    for (let flow = 2; flow < 22; flow++) {
      const outcomes = new Map<SimMember, boolean>();
      const proposers = sim.members.filter((_, id) => id < 2 || below(random, 2) === 0);
      for (const member of proposers) {
        member.commit(recordOf(flow, 1, member.id + 1), (ok) => {
          outcomes.set(member, ok);
        });
        sim.network.pass(below(random, 3 * MILLISECOND));
      }
      sim.network.until(() => outcomes.size === proposers.length, 10 * SECOND);
      expect([...outcomes.values()].filter((ok) => ok)).toHaveLength(1);
    }
    Object.assign(conditions, { loss: 0 });
    sim.network.until(() => sim.settled(sim.members), 10 * SECOND);
    expectEqualTables(sim.members);
    expect(sim.members[0].table.size).toBe(20);
    const counts = sim.members.map(({ replicator }) => replicator.counters);
    expect(counts.reduce((sum, { suspicions }) => sum + suspicions, 0)).toBe(0);
  });

  test('the higher record wins when both are on their way', () => {
    const sim = new SimCluster(1, 3);
    sim.startAll();
    const [first, second, third] = sim.members;
    const outcomes: string[] = [];
    first.commit(recordOf(2, 7, 1), (ok) => outcomes.push(`first ${ok}`));
    second.commit(recordOf(2, 7, 2), (ok) => outcomes.push(`second ${ok}`));
    sim.network.until(() => outcomes.length === 2);
    expect(outcomes).toEqual(['first false', 'second true']);
    sim.network.until(() => sim.settled(sim.members));
    expect(third.table.contents()).toEqual([text(recordOf(2, 7, 2))]);
    expect(first.replicator.counters.proposalsWithdrawn).toBe(1);
  });

  test('who comes later than an accepted one is refused at once, whatever it has', () => {
    const sim = new SimCluster(1, 2);
    sim.startAll();
    const [first, second] = sim.members;
    // What the first says last does not come: the second never hears that its record is settled.
    first.commit(recordOf(2, 1));
    sim.network.until(() => second.replicator.proposerOf(flowOf(recordOf(2))) === 0);
    let outcome: boolean | undefined;
    second.commit(recordOf(2, 9), (ok) => {
      outcome = ok;
    });
    expect(outcome).toBe(false);
    expect(second.replicator.counters.commitsFailed).toBe(1);
  });

  test('a proposal against a record in the tables of others is answered with that record', () => {
    const sim = new SimCluster(1, 3);
    sim.startAll();
    const [first, second] = sim.members;
    first.commit(recordOf(2, 5));
    sim.network.until(() => sim.settled(sim.members));
    second.table.delete(keyOf(recordOf(2, 5)));
    let outcome: boolean | undefined;
    second.commit(recordOf(2, 4), (ok) => {
      outcome = ok;
    });
    sim.network.until(() => outcome !== undefined);
    expect(outcome).toBe(false);
    sim.network.until(() => sim.settled(sim.members));
    expectEqualTables(sim.members);
    expect(second.table.contents()).toEqual([text(recordOf(2, 5))]);
    // And what was deferred holds up nothing.
    let next: boolean | undefined;
    second.commit(recordOf(4), (ok) => {
      next = ok;
    });
    sim.network.until(() => next === true);
  });
});

describe('a member dies in the middle of a commit', () => {
  test.each(SEEDS)('all who are left have its record, or none has (seed %i)', (seed) => {
    const sim = new SimCluster(seed, 3 + (seed % 2));
    sim.startAll();
    const { random } = sim.network;
    const [victim, ...others] = sim.members;
    const known = new Set<string>();
    sim.network.passes = (from, to) => {
      expectOneRecordAFlow(serving(sim));
      // Some of its last words get to some of the others.
      return from !== victim.member.address || below(random, 3) > 0 || to === from;
    };
    for (let flow = 2; flow < 12; flow++) {
      const record = recordOf(flow, 1, 1);
      victim.commit(record, (ok) => {
        if (ok) known.add(text(record));
      });
      if (below(random, 3) === 0) victim.remove(recordOf(flow, 1, 1));
      sim.network.pass(below(random, 200));
    }
    victim.kill();
    // The clients come to the others meanwhile.
    for (let flow = 2; flow < 12; flow += 3) {
      const home = others[below(random, others.length)];
      const isKnown = home.table.contents().includes(text(recordOf(flow, 1, 1)));
      if (!isKnown) home.commit(recordOf(flow, 2, 2));
      sim.network.pass(below(random, 20 * MILLISECOND));
    }
    sim.network.until(() => sim.settled(others), 10 * SECOND);
    expectEqualTables(others);
    expect(others[0].replicator.undecided).toBe(0);
  });

  test.each(SEEDS)('two die, one after the other or at once (seed %i)', (seed) => {
    const sim = new SimCluster(seed, 4);
    sim.startAll();
    const { random } = sim.network;
    const committed = new Set<string>();
    sim.network.passes = () => {
      expectOneRecordAFlow(serving(sim));
      return below(random, 20) > 0;
    };
    for (let flow = 2; flow < 40; flow++) {
      const proposers = sim.members.filter(() => below(random, 3) === 0);
      for (const member of proposers) {
        const record = recordOf(flow, 1, member.id + 1);
        member.commit(record, (ok) => {
          if (ok) committed.add(text(record));
        });
      }
      sim.network.pass(below(random, MILLISECOND));
      if (flow === 20) sim.members[0].kill();
      if (flow === 20 + (seed % 8)) sim.members[1].kill();
    }
    const left = sim.members.slice(2);
    sim.network.until(() => sim.settled(left), 20 * SECOND);
    expectEqualTables(left);
    const there = new Set(left[0].table.contents());
    // What its proposer may have used is still there.
    for (const record of committed) expect(there.has(record)).toBe(true);
  });
});

test('a head is nobody’s to acknowledge while a record of a third member may become the flow’s', () => {
  const sim = new SimCluster(1, 3);
  sim.startAll();
  const [first, second, third] = sim.members;
  const record = recordOf(2, 1, 1);
  const { address } = third.member;
  sim.network.passes = (from, to) => !(from === first.member.address && to === address);
  first.commit(record);
  sim.network.until(() => second.seen.has(text(record)));
  first.kill();
  let isKnown: boolean | undefined;
  const flow = flowOf(record);
  third.act((replicator) => {
    replicator.logHead(flow, new Uint8Array(28), 0, new Uint8Array(10), (ok) => {
      const isProposed = replicator.proposerOf(flow) !== undefined;
      isKnown = ok && (isProposed || third.table.size === 1);
    });
  });
  sim.network.until(() => isKnown !== undefined);
  expect(isKnown).toBe(true);
  sim.network.until(() => second.table.size === 1 && third.table.size === 1);
});
