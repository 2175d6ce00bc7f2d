import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { Datagram } from '../../src/replication/datagram.ts';
import { BODY_AT } from '../../src/replication/envelope.ts';
import { Handshakes } from '../../src/replication/handshakes.ts';
import * as messages from '../../src/replication/messages.ts';
import { flowOf, recordOf, type Settings, SimCluster, text } from './cluster.ts';

const PLACES = 1_024;

/** The payload of a SYN for flow `id`, IPv6 for an odd one, with a TCP header of `words` words. */
function synOf(id: number, irs = id, words = 10): Uint8Array {
  const flow = flowOf(recordOf(id));
  const payload = new Uint8Array(5 + flow.length + 4 * words).fill(id);
  const view = new DataView(payload.buffer);
  payload.set(flow, messages.synFlowAt(0));
  messages.writeSynStart(view, 7 * id, flow.length);
  view.setUint32(messages.synHeaderAt(view, 0) + 4, irs);
  return payload;
}

const note = (handshakes: Handshakes, syn: Uint8Array, tries = 0): void =>
  handshakes.note(new DataView(syn.buffer), 0, syn.length, 0, tries);

const openIn = (handshakes: Handshakes): string[] => {
  const open: string[] = [];
  for (let number = handshakes.first; number < handshakes.next; number++) {
    if (!handshakes.isOpen(number)) continue;
    const at = handshakes.at(number);
    open.push(text(handshakes.bytes.subarray(at, at + handshakes.length(number))));
  }
  return open;
};

test('a SYN is a flow of either family and a TCP header', () => {
  for (const flow of [12, 36]) {
    const taken = Array.from({ length: 140 }, (_, length) => length).filter((length) => {
      const datagram = new Datagram();
      const payload = new Uint8Array(length);
      if (length > 4) payload[4] = flow;
      messages.writeBytes(datagram, messages.SYN, payload, length);
      return messages.isValidBody(datagram.view, BODY_AT, datagram.end, true);
    });
    expect(taken).toEqual(Array.from({ length: 11 }, (_, words) => 5 + flow + 20 + 4 * words));
  }
  const view = new DataView(synOf(9).buffer);
  expect(messages.synNumber(view, 0)).toBe(63);
  expect(messages.synHeaderAt(view, 0)).toBe(messages.synFlowAt(0) + 36);
});

test('the last ones of each flow are kept, as long as they are open and there is room', () => {
  const flows = 40;
  const step = fc.record({ id: fc.nat(flows), tries: fc.nat(3), ends: fc.boolean() });
  fc.assert(
    fc.property(fc.integer(), fc.array(step, { maxLength: 200 }), (seed, steps) => {
      const handshakes = new Handshakes(seed);
      const model = new Map<number, { readonly syn: Uint8Array; readonly tries: number }>();
      for (const { id, tries, ends } of steps) {
        model.delete(id);
        if (ends) handshakes.end(flowOf(recordOf(id)));
        else {
          const syn = synOf(id, tries, 5 + (id % 11));
          model.set(id, { syn, tries });
          note(handshakes, syn, tries);
        }
      }
      expect(handshakes.open).toBe(model.size);
      expect(openIn(handshakes)).toEqual([...model.values()].map(({ syn }) => text(syn)));
      for (let id = 0; id <= flows; id++) {
        const number = handshakes.find(flowOf(recordOf(id)));
        const known = model.get(id);
        expect(number >= 0).toBe(known !== undefined);
        if (known !== undefined) expect(handshakes.tries(number)).toBe(known.tries);
      }
    }),
    { numRuns: 60 },
  );
});

test('a flood pushes out the oldest, and takes no more memory', () => {
  const handshakes = new Handshakes(1);
  const count = 3 * PLACES + 5;
  for (let id = 0; id < count; id++) note(handshakes, synOf(id));
  expect(handshakes.open).toBe(PLACES);
  const kept = Array.from({ length: PLACES }, (_, index) => synOf(count - PLACES + index));
  expect(openIn(handshakes)).toEqual(kept.map(text));
  expect(handshakes.find(flowOf(recordOf(count - PLACES - 1)))).toBe(-1);
  for (let id = 0; id < count; id++) handshakes.end(flowOf(recordOf(id)));
  expect([handshakes.open, openIn(handshakes)]).toEqual([0, []]);
});

function started(count: number, settings: Settings = {}): SimCluster {
  const sim = new SimCluster(1, count, settings);
  sim.startAll();
  return sim;
}

const has = (sim: SimCluster, member: number, id: number): boolean =>
  sim.members[member].replicator.handshakes.has(flowOf(recordOf(id)));

test('all others are told, behind nothing that is under way', () => {
  const sim = started(3);
  const [first] = sim.members;
  // It waits for an acknowledgment, and company for it.
  first.act((replicator) => replicator.commit(recordOf(2), () => {}));
  first.act((replicator) => replicator.tellSyn(synOf(4)));
  const before = sim.network.now();
  sim.network.until(() => has(sim, 1, 4) && has(sim, 2, 4));
  expect(sim.network.now() - before).toBeLessThanOrEqual(sim.network.conditions.maxDelay);
  expect(has(sim, 0, 4)).toBe(false);
});

test('the handshakes of a dead member are offered to one survivor; those that are over are not', () => {
  const sim = started(3);
  const [first, second, third] = sim.members;
  first.act((replicator) => {
    for (const id of [4, 5, 6]) replicator.tellSyn(synOf(id));
    replicator.logHead(flowOf(recordOf(5)), Uint8Array.of(1), 0, new Uint8Array(0), () => {});
  });
  sim.network.until(() => sim.settled(sim.members));
  first.act((replicator) => replicator.dropHead(flowOf(recordOf(5))));
  sim.network.until(() => !has(sim, 1, 5) && !has(sim, 2, 5));
  first.kill();
  sim.network.until(() => sim.settled([second, third]));
  const [adopter, other] = second.held.has(0) ? [second, third] : [third, second];
  expect(adopter.abandoned.map(openIn)).toEqual([[text(synOf(4)), text(synOf(6))]]);
  expect(other.abandoned).toEqual([]);
  // It may have been told of some that the adopter was not told of.
  sim.network.until(() => other.abandoned.length > 0);
  expect(other.abandoned.map(openIn)).toEqual([[text(synOf(4)), text(synOf(6))]]);
});

test('if the survivor dies as well, at once, the next goes on', () => {
  const sim = started(3);
  const [first, second, third] = sim.members;
  first.act((replicator) => replicator.tellSyn(synOf(4)));
  sim.network.until(() => has(sim, 1, 4) && has(sim, 2, 4));
  first.kill();
  second.kill();
  const before = sim.network.now();
  sim.network.until(() => third.abandoned.length > 0);
  expect(sim.network.now() - before).toBeLessThan(200 * MILLISECOND);
});

test('a new life of a member has begun none', () => {
  const sim = started(2);
  const [first, second] = sim.members;
  first.act((replicator) => replicator.tellSyn(synOf(4)));
  sim.network.until(() => has(sim, 1, 4));
  first.kill();
  sim.network.until(() => sim.settled([second]));
  first.start();
  sim.network.until(() => sim.settled(sim.members));
  expect(has(sim, 1, 4)).toBe(false);
  expect(second.abandoned).toHaveLength(1);
});

test('a flood of SYNs makes no peer look slow', () => {
  const sim = started(2);
  const [first, second] = sim.members;
  sim.network.conditions.maxDelay = 5 * MILLISECOND;
  for (let round = 0; round < 300; round++) {
    first.act((replicator) => {
      for (let index = 0; index < 32; index++) replicator.tellSyn(synOf(32 * round + index));
    });
  }
  const backlog = first.replicator.peers[0].backlog;
  expect(backlog).toBeGreaterThan(1);
  expect(backlog).toBeLessThan(30);
  sim.network.until(() => first.replicator.peers[0].backlog === 0, SECOND);
  expect([first.replicator.counters.suspicions, second.replicator.counters.suspicions]).toEqual([
    0, 0,
  ]);
  expect(second.replicator.counters.synsIn).toBeGreaterThan(0);
});
