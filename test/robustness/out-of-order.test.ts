// What a sender can make a receiver keep: crumbs in the worst of orders, and overlaps that contradict each other.
import { expect, test } from 'vitest';
import { below, seededRandom } from '../../src/env/random.ts';
import { DATA, established, FIN, type Harness, pattern } from '../tcp/harness.ts';

const LIMIT = 65_536;

const byteAt = (t: Harness, offset: number): void => {
  t.arrive({ ...DATA, seq: offset, length: 1 });
};

const textOf = (length: number): string => Buffer.from(pattern(length)).toString('latin1');

/** What the receiver keeps of a connection is within its window. */
function expectBounded(t: Harness): void {
  const { receiveBuffer, rcv } = t.connection;
  expect(receiveBuffer.length + receiveBuffer.gaps.bytes).toBeLessThanOrEqual(rcv.limit);
  expect(receiveBuffer.gaps.count).toBeLessThanOrEqual(1_024);
}

/** The honest rest of the stream brings everything, in order. */
function expectWhole(t: Harness, length: number): void {
  for (let seq = 0; seq < length; seq += 1_000) {
    t.arrive({ ...DATA, seq, length: Math.min(1_000, length - seq) });
  }
  const text = t.read();
  expect(text.slice(0, length) === textOf(length)).toBe(true);
  // What had come beyond it follows.
  expect(text === textOf(text.length)).toBe(true);
}

const orders: readonly [string, (index: number) => number][] = [
  ['every other byte', (index) => 1 + 2 * index],
  ['every other byte from the end', (index) => LIMIT - 1 - 2 * index],
  ['from the end to the start', (index) => LIMIT - 1 - index],
  ['in steps that meet nothing', (index) => 1 + ((index * 9_973) % (LIMIT - 1))],
];

test.each(orders)('3,000 segments of one byte, %s, are bounded', (_, place) => {
  const t = established({ receiveLimit: LIMIT, sack: true });
  for (let index = 0; index < 3_000; index++) {
    byteAt(t, place(index));
    if (index % 1_000 === 0) {
      expectBounded(t);
      t.sent();
    }
  }
  expectBounded(t);
  expect(t.read()).toBe('');
  t.sent();
  expectWhole(t, 60_000);
  expect(t.connection.receiveBuffer.gaps.count).toBeLessThanOrEqual(1_024);
});

test('one-byte segments in order cost no more than their bytes', () => {
  const t = established({ receiveLimit: LIMIT });
  for (let index = 0; index < 20_000; index++) byteAt(t, index);
  t.sent();
  expectBounded(t);
  expect(t.read() === textOf(20_000)).toBe(true);
});

test('random overlapping pieces make the one right stream', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const t = established({ receiveLimit: LIMIT, sack: true });
    const random = seededRandom(seed);
    for (let i = 0; i < 200; i++) {
      t.arrive({ ...DATA, seq: below(random, 20_000) - 500, length: 1 + below(random, 1_400) });
    }
    const early = t.read();
    expect(early === textOf(early.length)).toBe(true);
    for (let seq = 0; seq < 20_000; seq += 1_000) t.arrive({ ...DATA, seq, length: 1_000 });
    const text = early + t.read();
    expect(text.length).toBeGreaterThanOrEqual(20_000);
    expect(text === textOf(text.length)).toBe(true);
  }
});

test('what was read stays as it was, whatever an overlap says later', () => {
  const t = established();
  t.arrive({ ...DATA, seq: 0, data: 'good' });
  t.arrive({ ...DATA, seq: 0, data: 'evil more' });
  expect(t.read()).toBe('good more');
  t.arrive({ ...DATA, seq: 12, data: 'late' });
  t.arrive({ ...DATA, seq: 9, data: '...LATE' });
  expect(t.read().slice(0, 3)).toBe('...');
});

test('data beyond the window is cut off, and a FIN behind it is not taken', () => {
  const t = established({ receiveLimit: 2_000 });
  t.arrive({ ...FIN, seq: 0, length: 3_000 });
  expect(t.connection.rcv.finReceived).toBe(false);
  const { length } = t.read();
  expect(length).toBeGreaterThan(1_000);
  expect(length).toBeLessThanOrEqual(2_000);
});

test('a FIN out of order, then another elsewhere: the stream ends once and where the data ends', () => {
  const t = established();
  t.arrive({ ...FIN, seq: 100, length: 0 });
  t.arrive({ ...DATA, seq: 0, length: 100 });
  t.arrive({ ...FIN, seq: 50, length: 0 }, { ...FIN, seq: 200, length: 5 });
  expect(t.events.filter((event) => event === 'end')).toHaveLength(1);
  expect(t.read()).toHaveLength(100);
});
