// What strangers, forgers and recorders can send, and what becomes of it: a counter and a drop.
import { describe, expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { below } from '../../src/env/random.ts';
import { type Address, fromIpv4 } from '../../src/ip/address.ts';
import { recordOf, SimCluster, UDP_PORT } from './cluster.ts';
import { Traffic } from './traffic.ts';

interface Recorded {
  from: Address;
  to: Address;
  payload: Uint8Array;
}

function started(seed = 1) {
  const sim = new SimCluster(seed, 2);
  const recorded: Recorded[] = [];
  sim.network.passes = (from, to, payload) => {
    recorded.push({ from, to, payload: payload.slice() });
    return true;
  };
  sim.startAll();
  const [first, second] = sim.members;
  /** Puts a datagram before `second` as if it came from there. */
  const send = (payload: Uint8Array, from = first.member.address, port = UDP_PORT): void => {
    second.port.onDatagram?.(from, port, payload);
    second.replicator.flush(sim.network.now());
  };
  const { counters } = second.replicator;
  const sample = recorded.findLast(({ to }) => to === second.member.address)?.payload;
  if (sample === undefined) throw new Error('nothing was sent');
  // It has arrived by then.
  sim.network.pass(MILLISECOND);
  return { sim, first, second, recorded, send, counters, sample };
}

const changed = (payload: Uint8Array, at: number): Uint8Array => {
  const copy = payload.slice();
  copy[at] ^= 0x40;
  return copy;
};

describe('a datagram is dropped and counted', () => {
  test('from a stranger, or a member on another port', () => {
    const { send, counters, sample } = started();
    send(sample, fromIpv4(0x0a01_0063));
    send(sample, undefined, 9);
    expect(counters.dropStranger).toBe(2);
  });

  test('with the wrong magic, version, cluster, sender, seal or length', () => {
    const { send, counters, sample } = started();
    send(changed(sample, 0));
    send(changed(sample, 2));
    send(changed(sample, 3));
    send(changed(sample, 4));
    expect(counters).toMatchObject({
      dropBadMagic: 1,
      dropBadVersion: 1,
      dropUnknownSender: 1,
      dropOtherCluster: 1,
    });
    for (let at = 30; at < sample.length; at++) send(changed(sample, at));
    // The sample was seen: only another number gets as far as the seal.
    expect(counters.dropReplayed).toBe(sample.length - 30);
    send(changed(sample, 20));
    expect(counters.dropNotAuthentic).toBe(1);
    send(changed(sample, 16));
    expect(counters.dropReplayed).toBe(sample.length - 29);
    for (let length = 0; length < 65; length++) send(sample.slice(0, length));
    send(new Uint8Array(1_473));
    expect(counters.dropMalformed).toBe(66);
  });

  test('with an incarnation that nobody has, and such keys are derived at a bounded rate', () => {
    const { sim, send, counters, sample } = started();
    sim.network.pass(5 * MILLISECOND);
    for (let count = 0; count < 100; count++) send(changed(sample, 8 + (count % 8)));
    expect(counters.dropNotAuthentic).toBe(1);
    expect(counters.dropThrottled).toBe(99);
    sim.network.pass(SECOND);
    expect(sim.settled(sim.members)).toBe(true);
  });

  test('if it is noise of any length', () => {
    const { sim, second, send, counters, sample } = started();
    const before = counters.datagramsIn;
    const { random } = sim.network;
    for (let count = 0; count < 2_000; count++) {
      const noise = Uint8Array.from({ length: below(random, 1_500) }, () => below(random, 256));
      // Half of it has a header that is right.
      if (count % 2 === 0) noise.set(sample.subarray(0, Math.min(16, noise.length)));
      send(noise);
    }
    const dropped = Object.entries(counters)
      .filter(([name]) => name.startsWith('drop'))
      .reduce((sum, [, count]) => sum + count, 0);
    expect(dropped).toBe(counters.datagramsIn - before);
    expect(second.table.size).toBe(0);
    sim.network.pass(SECOND);
    expect(sim.settled(sim.members)).toBe(true);
  });
});

describe('what was recorded', () => {
  test('has no effect when it is sent again', () => {
    const { sim, first, second, recorded, send, counters } = started();
    recorded.length = 0;
    first.commit(recordOf(1));
    sim.network.pass(5 * MILLISECOND);
    first.remove(recordOf(1));
    sim.network.until(() => first.replicator.unacked === 0);
    const { recordsIn } = counters;
    const again = recorded.filter(({ to }) => to === second.member.address);
    for (const { payload } of again) send(payload);
    expect(counters.dropReplayed).toBe(again.length);
    expect(counters.recordsIn).toBe(recordsIn);
    expect(second.table.size).toBe(0);
  });

  test('has no effect on a receiver that started anew, which has seen none of it', () => {
    const { sim, first, second, recorded } = started();
    recorded.length = 0;
    first.commit(recordOf(1));
    first.commit(recordOf(2));
    first.remove(recordOf(1));
    sim.network.pass(50 * MILLISECOND);
    const again = recorded.filter(({ to }) => to === second.member.address);
    first.kill();
    second.kill();
    sim.network.pass(2 * SECOND);
    second.start();
    sim.network.pass(10 * MILLISECOND);
    for (const { from, payload } of again) {
      sim.network.pass(3 * MILLISECOND);
      second.port.onDatagram?.(from, UDP_PORT, payload);
    }
    expect(second.replicator.counters.recordsIn).toBe(0);
    expect(second.replicator.peers[0].status).toBe('unknown');
    sim.network.until(() => second.serves);
    expect(second.table.size).toBe(0);
    // And the true member is let in, though an old life of it was heard.
    first.start();
    sim.network.until(() => sim.settled(sim.members));
  });

  test('of a life that is over has no effect on the peers that knew it', () => {
    const { sim, first, second, recorded, send } = started();
    recorded.length = 0;
    first.commit(recordOf(1));
    sim.network.pass(30 * MILLISECOND);
    const again = recorded.filter(({ to }) => to === second.member.address);
    first.kill();
    sim.network.pass(2 * SECOND);
    first.start();
    sim.network.until(() => sim.settled(sim.members));
    const { counters } = second.replicator;
    const { recordsIn } = counters;
    for (const { payload } of again) {
      sim.network.pass(3 * MILLISECOND);
      send(payload);
    }
    expect(counters.dropStale).toBe(again.length);
    expect(counters.recordsIn).toBe(recordsIn);
    sim.network.pass(SECOND);
    expect(sim.settled(sim.members)).toBe(true);
    expect(first.fences).toEqual([]);
  });
});

test('a wire that changes, cuts and repeats a tenth of all changes no table', () => {
  const sim = new SimCluster(7, 3, { suspectAfter: SECOND });
  sim.startAll();
  const { network } = sim;
  network.passes = (from, to, payload) => {
    if (below(network.random, 10) > 0) return true;
    const damaged = payload.slice(0, 1 + below(network.random, payload.length));
    damaged[below(network.random, damaged.length)] ^= 1 << below(network.random, 8);
    const at = network.now() + below(network.random, MILLISECOND);
    network.inject({ at, from, to, port: UDP_PORT, payload: damaged });
    // Some come unchanged, too, and some twice, the later ones first.
    const copies = below(network.random, 3);
    for (let copy = 0; copy < copies; copy++) {
      network.inject({ at: at + 500 - copy, from, to, port: UDP_PORT, payload: payload.slice() });
    }
    return false;
  };
  const traffic = sim.members.map((member) => new Traffic(member));
  for (let round = 0; round < 100; round++) {
    for (const each of traffic) each.burst(4, 2);
    network.pass(3 * MILLISECOND);
  }
  network.until(() => sim.settled(sim.members));
  const [first, ...others] = sim.members;
  for (const other of others) expect(other.table.contents()).toEqual(first.table.contents());
  expect(first.table.size).toBe(traffic.flatMap(({ live }) => live).length);
  for (const { replicator, fences } of sim.members) {
    expect(fences).toEqual([]);
    const { dropNotAuthentic, dropMalformed, dropReplayed } = replicator.counters;
    for (const dropped of [dropNotAuthentic, dropMalformed, dropReplayed]) {
      expect(dropped).toBeGreaterThan(0);
    }
  }
});

test('the last words of a life do not end the next one', () => {
  const { sim, first, second, recorded, send, counters } = started();
  recorded.length = 0;
  first.act((replicator) => replicator.leave());
  sim.network.until(() => first.held.size === 0);
  first.act((replicator) => replicator.farewell());
  sim.network.pass(MILLISECOND);
  expect(counters).toMatchObject({ departures: 1, suspicions: 0 });
  const again = recorded.filter(({ to }) => to === second.member.address);
  first.kill();
  sim.network.pass(SECOND);
  first.start();
  sim.network.until(() => sim.settled(sim.members));
  const stale = counters.dropStale;
  for (const { payload } of again) {
    sim.network.pass(3 * MILLISECOND);
    send(payload);
  }
  expect(counters).toMatchObject({ departures: 1, suspicions: 0 });
  expect(counters.dropStale - stale).toBe(again.length);
  expect(sim.settled(sim.members)).toBe(true);
});

test('two clusters on one network ignore each other, and so do two secrets', () => {
  for (const settings of [{ cluster: 'other' }, { secrets: ['other'] }]) {
    const sim = new SimCluster(1, 2);
    const [first, second] = sim.members;
    second.settings = settings;
    for (const member of sim.members) member.start();
    sim.network.pass(2 * SECOND);
    expect(first.held.size).toBe(2);
    expect(second.held.size).toBe(2);
    const { counters } = first.replicator;
    if ('secrets' in settings) expect(counters.dropNotAuthentic).toBeGreaterThan(50);
    else expect(counters.dropOtherCluster).toBeGreaterThan(50);
  }
});
