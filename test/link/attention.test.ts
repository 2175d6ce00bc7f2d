import { expect, test } from 'vitest';
import { Attention } from '../../src/link/attention.ts';

/** An attention and a clock: each `wait` takes so long, after so many frames were handled. */
function reader(): {
  attention: Attention;
  wait: (micros: number, frames: number, isThere?: boolean) => void;
  now: () => number;
} {
  const attention = new Attention();
  let now = 0;
  let received = 0;
  const wait = (micros: number, frames: number, isThere = true): void => {
    const from = now;
    now += micros;
    received += frames;
    attention.waited(from, now, received, isThere);
  };
  return { attention, wait, now: () => now };
}

test('frames in quick succession have the thread wait itself, for 2 ms after the last', () => {
  const { attention, wait, now } = reader();
  expect(attention.waitsItself(now())).toBe(false);
  wait(500, 1);
  expect(attention.waitsItself(now())).toBe(false);
  wait(500, 1);
  expect(attention.waitsItself(now() + 1_999)).toBe(true);
  expect(attention.waitsItself(now() + 2_000)).toBe(false);
});

test('heartbeats every 10 ms are left to the event loop', () => {
  const { attention, wait, now } = reader();
  for (let beat = 0; beat < 100; beat++) {
    wait(10_000, 1);
    expect(attention.waitsItself(now())).toBe(false);
    expect(attention.spin).toBe(0);
  }
});

test('where answers come soon it looks first, and stops when they do not', () => {
  const { attention, wait } = reader();
  for (let answer = 0; answer < 20; answer++) wait(80, 2);
  expect(attention.spin).toBe(100);
  for (let silence = 0; silence < 20; silence++) wait(1_000, 0, false);
  expect(attention.spin).toBe(0);
});

test('an answer and a rest by turns are worth it; one answer in four waits is not', () => {
  const half = reader();
  for (let round = 0; round < 40; round++) half.wait(round % 2 === 0 ? 80 : 500, 2);
  expect(half.attention.spin).toBe(100);
  const quarter = reader();
  for (let round = 0; round < 40; round++) quarter.wait(round % 4 === 0 ? 80 : 500, 2);
  expect(quarter.attention.spin).toBe(0);
});

test('who had much to handle before the wait sleeps', () => {
  const { attention, wait } = reader();
  for (let burst = 0; burst < 20; burst++) wait(80, 30);
  expect(attention.spin).toBe(0);
});
