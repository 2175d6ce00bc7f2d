import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { flowOf as flowOfRecord, keyOf, recordOf, type Settings, SimCluster } from './cluster.ts';

const flowOf = (id: number): Uint8Array => flowOfRecord(recordOf(id));
const FACTS = Uint8Array.of(5, 6, 7);
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at * 7);

function started(count: number, settings: Settings = {}): SimCluster {
  const sim = new SimCluster(1, count, settings);
  sim.startAll();
  return sim;
}

test('a head of many datagrams is with every member before it is called done', () => {
  const sim = started(3);
  const [first, second, third] = sim.members;
  sim.network.conditions.loss = 0.1;
  const head = pattern(20_000);
  let done = false;
  first.act((replicator) => {
    replicator.logHead(flowOf(1), FACTS, 0, head.subarray(0, 7_000), () => {});
    replicator.logHead(flowOf(1), FACTS, 7_000, head.subarray(7_000), (ok) => {
      done = ok;
      for (const { replicator: peer } of [second, third]) {
        expect(peer.heads.get(flowOf(1))).toMatchObject({ owner: 0, facts: FACTS, bytes: head });
      }
    });
  });
  expect(done).toBe(false);
  sim.network.until(() => done);
  first.act((replicator) => replicator.dropHead(flowOf(1)));
  sim.network.until(() => second.replicator.heads.size + third.replicator.heads.size === 0);
  expect(first.replicator.heads.size).toBe(0);
});

test('what leaves a gap or is too much is refused at once', () => {
  const sim = started(2);
  const [first] = sim.members;
  const answers: boolean[] = [];
  first.act((replicator) => {
    replicator.logHead(flowOf(1), FACTS, 5, pattern(5), (ok) => answers.push(ok));
    replicator.logHead(flowOf(1), FACTS, 0, pattern(70_000), (ok) => answers.push(ok));
  });
  expect(answers).toEqual([false, false]);
  expect(first.replicator.counters.headsRefused).toBe(2);
});

test('the heads of a dead member are offered to one survivor, and then to the next', () => {
  const sim = started(3);
  const [first, second, third] = sim.members;
  for (const id of [1, 2]) {
    first.act((replicator) => replicator.logHead(flowOf(id), FACTS, 0, pattern(3_000), () => {}));
  }
  sim.network.until(() => sim.settled(sim.members));
  first.kill();
  sim.network.until(() => sim.settled([second, third]));
  const [adopter, other] = second.held.has(0) ? [second, third] : [third, second];
  expect(other.orphans).toEqual([]);
  expect(adopter.orphans.map(({ flow }) => flow)).toEqual([flowOf(1), flowOf(2)]);
  expect(adopter.orphans[0]).toMatchObject({ owner: 0, facts: FACTS, bytes: pattern(3_000) });
  adopter.act((replicator) =>
    replicator.logHead(flowOf(1), FACTS, 0, adopter.orphans[0].bytes, () => {}),
  );
  sim.network.until(() => sim.settled([second, third]));
  // Its first owner is back, in a new life that knows nothing of them.
  first.start();
  sim.network.until(() => sim.settled(sim.members));
  adopter.kill();
  sim.network.until(() => sim.settled([first, other]));
  // The one that was taken over, if its adopter's addresses are here now, and the one that nobody took.
  const offered = [...first.orphans, ...other.orphans].map(({ owner, flow }) => [owner, flow[3]]);
  expect(offered).toContainEqual([0, 2]);
  expect(other.orphans.map(({ flow }) => flow[3])).toContain(2);
  const holder = first.held.has(adopter.id) ? first : other;
  expect(holder.orphans.map(({ owner, flow }) => [owner, flow[3]])).toContainEqual([adopter.id, 1]);
});

test('a member that joins gets the heads that the others are reading', () => {
  const sim = started(2);
  const [first, second] = sim.members;
  second.kill();
  sim.network.until(() => sim.settled([first]));
  let done = false;
  first.act((replicator) => {
    replicator.logHead(flowOf(1), FACTS, 0, pattern(5_000), (ok) => {
      done = ok;
    });
  });
  expect(done).toBe(true);
  second.start();
  sim.network.until(() => sim.settled(sim.members));
  expect(second.replicator.heads.get(flowOf(1))?.bytes).toEqual(pattern(5_000));
});

test('a head that is being logged when a member joins is done only when that member has it', () => {
  const sim = started(3);
  const [first, second, third] = sim.members;
  third.kill();
  sim.network.until(() => sim.settled([first, second]));
  // The second member's acknowledgments are held back, so that the log waits while the third comes up.
  const { address } = second.member;
  let held = true;
  sim.network.passes = (from, to) => !(held && from === address && to === first.member.address);
  let doneWith: Uint8Array | undefined;
  first.act((replicator) => {
    replicator.logHead(flowOf(1), FACTS, 0, pattern(2_000), () => {
      doneWith = third.replicator.heads.get(flowOf(1))?.bytes;
    });
    replicator.commit(recordOf(2), () => {});
    replicator.remove(keyOf(recordOf(3)));
  });
  third.start();
  sim.network.pass(10 * MILLISECOND);
  expect(doneWith).toBeUndefined();
  held = false;
  sim.network.until(() => doneWith !== undefined);
  expect(doneWith).toEqual(pattern(2_000));
  expect(third.seen.size).toBe(1);
});

test('a record that is deleted takes its head along; a head that nobody finishes is forgotten', () => {
  const sim = started(2, { heartbeat: SECOND / 2, suspectAfter: 3 * SECOND });
  const [first, second] = sim.members;
  for (const id of [1, 2]) {
    first.act((replicator) => replicator.logHead(flowOf(id), FACTS, 0, pattern(10), () => {}));
  }
  first.commit(recordOf(1));
  sim.network.until(() => sim.settled(sim.members));
  expect(second.replicator.heads.size).toBe(2);
  first.remove(recordOf(1));
  sim.network.until(() => sim.settled(sim.members));
  expect(second.replicator.heads.size).toBe(1);
  sim.network.pass(902 * SECOND);
  expect(first.replicator.heads.size + second.replicator.heads.size).toBe(0);
});

test("another member's late deletion leaves the head of the client's next connection", () => {
  const sim = started(3);
  const [first, second, third] = sim.members;
  first.commit(recordOf(1));
  sim.network.until(() => sim.settled(sim.members));
  // The old record is with all; the client has begun anew, and its head is in the log.
  first.act((replicator) => replicator.logHead(flowOf(1), FACTS, 0, pattern(10), () => {}));
  sim.network.until(() => sim.settled(sim.members));
  second.remove(recordOf(1));
  sim.network.until(() => sim.settled(sim.members));
  for (const { replicator } of [first, second, third]) expect(replicator.heads.size).toBe(1);
  first.act((replicator) => replicator.dropHead(flowOf(1)));
  sim.network.until(() => sim.settled(sim.members));
  for (const { replicator } of [first, second, third]) expect(replicator.heads.size).toBe(0);
});
