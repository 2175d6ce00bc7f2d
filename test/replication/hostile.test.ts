// What strangers, forgers and recorders can send, and what becomes of it: a counter and a drop.
import { describe, expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import { below } from '../../src/env/random.ts';
import { type Address, fromIpv4 } from '../../src/ip/address.ts';
import { recordOf, SimCluster, UDP_PORT } from './cluster.ts';

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

test('two clusters on one network ignore each other, and so do two secrets', () => {
  for (const settings of [{ cluster: 'other' }, { secrets: ['other'] }]) {
    const sim = new SimCluster(1, 2);
    const [first, second] = sim.members;
    second.settings = settings;
    for (const member of sim.members) member.start();
    sim.network.pass(SECOND);
    expect(first.held.size).toBe(2);
    expect(second.held.size).toBe(2);
    const { counters } = first.replicator;
    if ('secrets' in settings) expect(counters.dropNotAuthentic).toBeGreaterThan(50);
    else expect(counters.dropOtherCluster).toBeGreaterThan(50);
  }
});
