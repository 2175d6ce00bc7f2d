import { expect, test } from 'vitest';
import { MILLISECOND, NEVER } from '../../src/env/clock.ts';
import { seededRandom } from '../../src/env/random.ts';
import { Channel, type Conditions } from '../../src/link/channel.ts';
import { DelayQueue } from '../../src/link/delay-queue.ts';
import { Frame } from '../../src/link/frame.ts';
import { ImpairedLink } from '../../src/link/impairment.ts';
import { MemoryLink } from '../../src/link/memory.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as virtio from '../../src/wire/virtio.ts';

/** A frame of 100 bytes that bears a number. */
function numbered(number: number, type = ethernet.TYPE_IPV4): Frame {
  const frame = new Frame(100);
  virtio.clear(frame.view, VIRTIO_AT);
  ethernet.write(frame.view, ETHERNET_AT, 1, 2, type);
  frame.view.setUint32(NETWORK_AT, number);
  frame.end = 100;
  return frame;
}

const numberOf = ({ view }: Frame): number => view.getUint32(NETWORK_AT);

/** What comes of `count` frames that are sent at once, in the order of their arrival. */
function through(conditions: Partial<Conditions>, count: number, seed = 1) {
  const channel = new Channel(seededRandom(seed), conditions);
  const queue = new DelayQueue<Frame>();
  for (let i = 0; i < count; i++) {
    channel.offer(numbered(i), 1_000, (copy, at) => queue.push(copy, at));
  }
  const arrivals: { number: number; at: number; frame: Frame }[] = [];
  for (;;) {
    const at = queue.nextAt;
    const frame = queue.pop(at);
    if (frame === undefined) break;
    arrivals.push({ number: numberOf(frame), at, frame });
  }
  return { arrivals, counters: channel.counters };
}

const inOrder = (numbers: number[]): boolean =>
  numbers.every((n, i) => i === 0 || n > numbers[i - 1]);

test('a perfect channel changes nothing', () => {
  const { arrivals } = through({}, 100);
  expect(arrivals.map(({ number }) => number)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(new Set(arrivals.map(({ at }) => at))).toEqual(new Set([1_000]));
});

test('loss, duplication and corruption come as often as asked', () => {
  const { arrivals, counters } = through({ loss: 0.2, duplication: 0.1, corruption: 0.05 }, 10_000);
  expect(counters.lost).toBeGreaterThan(1_800);
  expect(counters.lost).toBeLessThan(2_200);
  expect(counters.duplicated).toBeGreaterThan(650);
  expect(counters.duplicated).toBeLessThan(950);
  expect(arrivals).toHaveLength(10_000 - counters.lost + counters.duplicated);
  expect(counters.corrupted).toBeGreaterThan(300);
  expect(counters.corrupted).toBeLessThan(500);
});

test('losses come in bursts, and a burst takes all for as long as it lasts', () => {
  const conditions = { bursts: 0.01, burstLength: 10 * MILLISECOND };
  const channel = new Channel(seededRandom(1), conditions);
  const lengths: number[] = [];
  let lastAt = 0;
  // A frame each millisecond.
  for (let i = 0; i < 50_000; i++) {
    channel.offer(numbered(i), i * MILLISECOND, (_, at) => {
      if (at - lastAt > MILLISECOND) lengths.push((at - lastAt) / MILLISECOND - 1);
      lastAt = at;
    });
  }
  const mean = channel.counters.lost / lengths.length;
  expect(lengths.length).toBeGreaterThan(300);
  expect(mean).toBeGreaterThan(9);
  expect(mean).toBeLessThan(13);
  expect(Math.max(...lengths)).toBeGreaterThan(18);
  expect(Math.max(...lengths)).toBeLessThan(45);
});

test('congestion is marked on packets whose sender can do with it, and no checksum breaks', () => {
  const mark = (
    build: (frame: Frame) => void,
  ): { ecn: number; intact: boolean; marked: number } => {
    const channel = new Channel(seededRandom(1), { marking: 1 });
    const frame = new Frame(100);
    virtio.clear(frame.view, VIRTIO_AT);
    build(frame);
    frame.end = 100;
    let ecn = -1;
    let intact = false;
    channel.offer(frame, 0, ({ view }) => {
      const six = ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV6;
      ecn = six ? (view.getUint16(NETWORK_AT) >> 4) & 3 : ipv4.trafficClass(view, NETWORK_AT) & 3;
      intact = six || ipv4.isIntact(view, NETWORK_AT, ipv4.IPV4_LENGTH);
    });
    return { ecn, intact, marked: channel.counters.marked };
  };
  const v4 = (traffic: number) => (frame: Frame) => {
    ethernet.write(frame.view, ETHERNET_AT, 1, 2, ethernet.TYPE_IPV4);
    ipv4.write(frame.view, NETWORK_AT, 76, 1, 0, 64, 6, 0x0a00_0001, 0x0a00_0002, traffic);
  };
  const v6 = (traffic: number) => (frame: Frame) => {
    ethernet.write(frame.view, ETHERNET_AT, 1, 2, ethernet.TYPE_IPV6);
    frame.view.setUint32(NETWORK_AT, 0x6000_0000 + traffic * 0x10_0000);
  };
  for (const build of [v4, v6]) {
    expect(mark(build(0x60))).toEqual({ ecn: 0, intact: true, marked: 0 });
    expect(mark(build(0x61))).toEqual({ ecn: 3, intact: true, marked: 1 });
    expect(mark(build(0x62))).toEqual({ ecn: 3, intact: true, marked: 1 });
  }
});

test('corruption turns one bit of the packet over', () => {
  const { arrivals } = through({ corruption: 1 }, 200);
  const original = numbered(0);
  for (const { frame } of arrivals) {
    let bits = 0;
    for (let at = NETWORK_AT + 4; at < 100; at++) {
      bits += (frame.bytes[at] ^ original.bytes[at]).toString(2).replaceAll('0', '').length;
    }
    expect(bits).toBeLessThanOrEqual(1);
    expect(frame.bytes.subarray(0, NETWORK_AT)).toEqual(original.bytes.subarray(0, NETWORK_AT));
  }
});

test('what has no checksum of its own is lost instead of damaged', () => {
  const channel = new Channel(seededRandom(1), { corruption: 1 });
  channel.offer(numbered(1, ethernet.TYPE_ARP), 0, () => expect.unreachable());
  expect(channel.counters.lost).toBe(1);
});

test('delay and jitter keep the order, reordering does not', () => {
  const late = through({ delay: 10_000, jitter: 5_000 }, 500);
  expect(inOrder(late.arrivals.map(({ number }) => number))).toBe(true);
  for (const { at } of late.arrivals) {
    expect(at).toBeGreaterThanOrEqual(11_000);
    expect(at).toBeLessThanOrEqual(16_000);
  }
  const mixed = through({ reordering: 0.1, reorderingDelay: 3_000, delay: 100 }, 500);
  expect(inOrder(mixed.arrivals.map(({ number }) => number))).toBe(false);
  expect(mixed.counters.reordered).toBeGreaterThan(20);
  expect(mixed.arrivals).toHaveLength(500);
});

test('a rate spaces frames out, and a full queue drops', () => {
  // 100 bytes each at 100,000 bytes a second: one a millisecond.
  const { arrivals, counters } = through({ rate: 100_000, queue: 1_000 }, 50);
  expect(arrivals.map(({ at }) => at)).toEqual(
    Array.from({ length: 11 }, (_, i) => 2_000 + 1_000 * i),
  );
  expect(counters.overflowed).toBe(39);
});

test('the same seed does the same', () => {
  const conditions = { loss: 0.3, duplication: 0.2, corruption: 0.1, reordering: 0.3, jitter: 900 };
  const run = (seed: number) =>
    through(conditions, 300, seed).arrivals.map(({ number, at, frame }) => [
      number,
      at,
      ...frame.bytes,
    ]);
  expect(run(7)).toEqual(run(7));
  expect(run(7)).not.toEqual(run(8));
});

test('a queue gives out what is due, first what was due first, then what came first', () => {
  const queue = new DelayQueue<string>();
  expect(queue.nextAt).toBe(NEVER);
  for (const [item, at] of [
    ['c', 5],
    ['a', 1],
    ['d', 5],
    ['b', 3],
    ['e', 5],
  ] as const)
    queue.push(item, at);
  expect(queue.pop(0)).toBeUndefined();
  expect([queue.pop(4), queue.pop(4), queue.pop(4)]).toEqual(['a', 'b', undefined]);
  expect(queue.nextAt).toBe(5);
  expect([queue.pop(5), queue.pop(5), queue.pop(5)]).toEqual(['c', 'd', 'e']);
  expect(queue.size).toBe(0);
});

test('an impaired link delays in both directions, and says when it wants to be asked', async () => {
  const clock = new VirtualClock();
  const [near, far] = MemoryLink.pair();
  const link = new ImpairedLink({
    link: near,
    clock,
    random: seededRandom(1),
    outgoing: { delay: 10 * MILLISECOND },
    incoming: { delay: 20 * MILLISECOND },
  });
  expect(link.offload).toBe(false);
  const frame = new Frame();
  link.send(numbered(1));
  far.send(numbered(2));
  expect(link.receive(frame)).toBe(false);
  expect(far.pending).toBe(0);
  expect(link.nextAt).toBe(10 * MILLISECOND);
  clock.advanceTo(10 * MILLISECOND);
  expect(link.receive(frame)).toBe(false);
  expect(far.receive(frame) && numberOf(frame)).toBe(1);
  expect(link.nextAt).toBe(20 * MILLISECOND);
  await link.wait(0);
  clock.advanceTo(20 * MILLISECOND);
  expect(link.receive(frame) && numberOf(frame)).toBe(2);
  expect(link.nextAt).toBe(NEVER);
  expect(link.counters).toMatchObject({ sent: 1, received: 1 });
  link.close();
});
