import { expect, test } from 'vitest';
import { Attention } from '../../src/link/attention.ts';

/** An attention and a clock: each `wait` takes so long, after so many frames were handled. */
function reader(): {
  attention: Attention;
  wait: (micros: number, frames: number, isThere?: boolean) => void;
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
  return { attention, wait };
}

test('where the last frame came within a millisecond the thread waits itself, until none does', () => {
  const { attention, wait } = reader();
  expect(attention.waitsItself).toBe(false);
  wait(999, 1);
  expect(attention.waitsItself).toBe(true);
  wait(1_000, 0, false);
  expect(attention.waitsItself).toBe(false);
});

test('heartbeats every 10 ms, and a peer that is told every 2 ms, are left to the event loop', () => {
  for (const rest of [10_000, 2_000]) {
    const { attention, wait } = reader();
    for (let beat = 0; beat < 100; beat++) {
      wait(rest, 1);
      expect([attention.waitsItself, attention.spin]).toEqual([false, 0]);
    }
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
