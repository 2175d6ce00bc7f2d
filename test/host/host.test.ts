import { expect, test } from 'vitest';
import { NEVER } from '../../src/env/clock.ts';
import { seededRandom } from '../../src/env/random.ts';
import { Timer } from '../../src/env/timers.ts';
import { BreathClock } from '../../src/host/breath-clock.ts';
import { Host } from '../../src/host/host.ts';
import { Frame } from '../../src/link/frame.ts';
import { type Link, linkCounters } from '../../src/link/link.ts';
import { MemoryLink } from '../../src/link/memory.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { ETHERNET_AT } from '../../src/wire/layout.ts';

const MAC = 0x0200_0000_0001;

function frameOf(to: number, type = ethernet.TYPE_IPV4): Frame {
  const frame = new Frame(100);
  ethernet.write(frame.view, ETHERNET_AT, to, 2, type);
  frame.end = 100;
  return frame;
}

function bench() {
  const clock = new VirtualClock(1_000);
  const [link, wire] = MemoryLink.pair();
  const host = new Host({ link, mac: MAC, clock, random: seededRandom(1) });
  return { clock, wire, host };
}

test('a breath takes 64 frames at most', () => {
  const { wire, host } = bench();
  for (let i = 0; i < 100; i++) wire.send(frameOf(MAC));
  expect([host.breath(), host.breath(), host.breath()]).toEqual([64, 36, 0]);
  expect(host.counters).toMatchObject({ breaths: 3, frames: 100 });
});

test('the fast path sees IPv4 for us, and what it takes goes no further', () => {
  const { wire, host } = bench();
  const seen: number[] = [];
  host.fastPath = {
    handle: (frame) => {
      seen.push(frame.end);
      return seen.length === 1;
    },
  };
  for (const frame of [frameOf(MAC), frameOf(MAC), frameOf(77), frameOf(MAC, ethernet.TYPE_ARP)]) {
    wire.send(frame);
  }
  host.breath();
  expect(seen).toHaveLength(2);
  expect(host.ip.counters.malformed).toBe(1);
  expect(host.ip.arp.counters.malformed).toBe(1);
  expect(host.counters.foreign).toBe(1);
});

test('a breath ends with the timers, and then the flushes in their order', () => {
  const { clock, host } = bench();
  const order: string[] = [];
  host.atEndOfBreath(() => order.push('first'));
  host.atEndOfBreath((now) => order.push(`second at ${now}`));
  host.timers.set(new Timer(() => order.push('timer')), 1_500);
  expect(host.nextAt).toBe(1_500);
  clock.advanceTo(2_000);
  host.breath();
  expect(order).toEqual(['timer', 'first', 'second at 2000']);
  expect(host.nextAt).toBe(NEVER);
});

test('time stands still during a breath', () => {
  let reading = 0;
  const clock = new BreathClock({ now: () => ++reading, wall: () => 9 });
  expect([clock.now(), clock.now()]).toEqual([1, 2]);
  expect(clock.inhale()).toBe(3);
  expect([clock.now(), clock.now()]).toEqual([3, 3]);
  clock.exhale();
  expect(clock.now()).toBe(4);
  expect(clock.wall()).toBe(9);
});

test('a breath that throws does not stop the clock', () => {
  const { clock, host } = bench();
  host.timers.set(
    new Timer(() => {
      throw new Error('a user’s mistake');
    }),
    1_000,
  );
  expect(() => host.breath()).toThrow('mistake');
  clock.advanceTo(5_000);
  expect(host.clock.now()).toBe(5_000);
});

test('an idle host waits for the next timer, and never for long', async () => {
  const clock = new VirtualClock(0);
  const waits: number[] = [];
  const link: Link = {
    mtu: 1_500,
    offload: false,
    counters: linkCounters(),
    receive: () => false,
    send: () => true,
    wait: async (timeout) => {
      waits.push(timeout);
      clock.advanceTo(clock.now() + timeout);
      if (waits.length === 3) host.stop();
    },
    close: () => {},
  };
  const host: Host = new Host({ link, mac: MAC, clock, random: seededRandom(1) });
  let fired = 0;
  host.timers.set(new Timer(() => fired++), 25_000);
  await host.run();
  expect(waits).toEqual([20_000, 5_000, 20_000]);
  expect(fired).toBe(1);
});

test('a host is busy that rests no more, and rested who waited for a few frames', async () => {
  const clock = new VirtualClock(1_000);
  /** What comes after each wait: how long it took, and how many frames there were then. */
  const waits: (readonly [micros: number, frames: number])[] = [
    [500, 40],
    [3_000, 40],
    [50, 1],
    [500, 2],
    [500, 40],
  ];
  const busy: boolean[] = [];
  let waiting = 0;
  const link: Link = {
    mtu: 1_500,
    offload: false,
    counters: linkCounters(),
    receive: (frame) => {
      if (waiting === 0) return false;
      waiting--;
      frame.copyFrom(frameOf(MAC, ethernet.TYPE_ARP));
      return true;
    },
    send: () => true,
    wait: async () => {
      busy.push(host.isBusy);
      const next = waits.shift();
      if (next === undefined) host.stop();
      else {
        clock.advanceTo(clock.now() + next[0]);
        waiting = next[1];
      }
    },
    close: () => {},
  };
  const host: Host = new Host({ link, mac: MAC, clock, random: seededRandom(1) });
  expect(host.isBusy).toBe(false);
  await host.run();
  // After 0, 0.5, 3.5 and 3.55 ms of work; then it has rested, and has been at work for 0.5 ms.
  expect(busy).toEqual([false, false, true, true, false, false]);
});
