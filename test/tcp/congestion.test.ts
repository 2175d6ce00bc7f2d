// Congestion control by itself: CUBIC (RFC 9438), HyStart++ (RFC 9406), NewReno (RFC 5681).
import { describe, expect, test } from 'vitest';
import { MILLISECOND, NEVER, SECOND } from '../../src/env/clock.ts';
import { CONGESTION_CONTROLS, congestionControl } from '../../src/tcp/congestion/algorithms.ts';
import {
  type CongestionControl,
  type CongestionState,
  congestionState,
  NO_THRESHOLD,
} from '../../src/tcp/congestion/control.ts';
import { cubic } from '../../src/tcp/congestion/cubic.ts';
import { newReno } from '../../src/tcp/congestion/newreno.ts';
import { advance } from '../../src/tcp/sequence.ts';

const RTT = 100 * MILLISECOND;
const MSS = 1_000;

/** One window of acknowledgments, of two segments each. */
function round(control: CongestionControl, state: CongestionState, now: number): void {
  for (let acks = state.cwnd >> 1; acks > 0; acks--) control.grow(state, 2, RTT, now);
}

function rounds(control: CongestionControl, state: CongestionState, count: number, from = SECOND) {
  let now = from;
  for (let i = 0; i < count; i++, now += RTT) round(control, state, now);
  return now;
}

const after = (control: CongestionControl, cwnd: number): CongestionState => {
  const state = { ...congestionState(), cwnd };
  state.ssthresh = control.threshold(state);
  state.cwnd = state.ssthresh;
  return state;
};

test('every name leads to an algorithm', () => {
  for (const name of CONGESTION_CONTROLS) expect(congestionControl(name)).toBeDefined();
  expect(congestionControl('reno')).toBe(newReno);
  expect(congestionControl('vegas')).toBeUndefined();
});

describe.each([cubic, newReno])('$name', (control) => {
  test('doubles the window each round trip in slow start', () => {
    const state = congestionState();
    rounds(control, state, 3);
    expect(state.cwnd).toBe(80);
  });

  test('slow start ends exactly at the threshold', () => {
    const state = { ...congestionState(), ssthresh: 15 };
    for (let i = 0; i < 5; i++) control.grow(state, 1, RTT, SECOND);
    expect(state.cwnd).toBe(15);
  });

  test('never reduces below two segments', () => {
    for (const cwnd of [1, 2, 3]) expect(control.threshold({ ...congestionState(), cwnd })).toBe(2);
  });
});

test('NewReno halves, and grows by one segment each round trip', () => {
  const state = after(newReno, 100);
  expect(state.cwnd).toBe(50);
  rounds(newReno, state, 10);
  expect(state.cwnd).toBeGreaterThanOrEqual(59);
  expect(state.cwnd).toBeLessThanOrEqual(60);
});

test('CUBIC reduces to 0.7 and comes back to the old window after K seconds', () => {
  const state = after(cubic, 1_000);
  expect(state.cwnd).toBe(700);
  // K = cbrt(300 / 0.4) = 9.1 s.
  let now = rounds(cubic, state, 60);
  expect(state.cwnd).toBeGreaterThan(900);
  now = rounds(cubic, state, 30, now);
  expect(state.cwnd).toBeGreaterThan(985);
  expect(state.cwnd).toBeLessThan(1_010);
  // Beyond the plateau it looks for more, ever faster.
  const before = state.cwnd;
  now = rounds(cubic, state, 30, now);
  const first = state.cwnd - before;
  rounds(cubic, state, 30, now);
  expect(state.cwnd - before - first).toBeGreaterThan(2 * first);
});

test('with a small window CUBIC is as fast as Reno', () => {
  const state = after(cubic, 20);
  rounds(cubic, state, 40);
  // Reno with beta 0.7 gains 0.53 segments each round trip.
  expect(state.cwnd).toBeGreaterThan(14 + 15);
});

test('a flow whose window shrinks leaves more room to others (fast convergence)', () => {
  const state = after(cubic, 1_000);
  expect(state.cubic?.lastMax).toBe(1_000);
  cubic.threshold(state);
  expect(state.cubic?.lastMax).toBe(Math.floor((700 * 1.7) / 2));
});

test('time in which nothing is sent does not count', () => {
  const busy = after(cubic, 1_000);
  const idle = after(cubic, 1_000);
  let now = rounds(cubic, busy, 10);
  rounds(cubic, idle, 10);
  cubic.resume(idle, now, now + 60 * SECOND);
  now = rounds(cubic, busy, 10, now);
  rounds(cubic, idle, 10, now + 60 * SECOND - 10 * RTT);
  expect(Math.abs(busy.cwnd - idle.cwnd)).toBeLessThan(10);
});

test('a timeout forgets the curve', () => {
  const state = after(cubic, 1_000);
  cubic.expire(state);
  expect(state.cubic).toBeUndefined();
});

/** Rounds of slow start with these round trips in milliseconds, across the wrap of the sequence space. */
function slowStartRounds(...trips: number[]): CongestionState {
  const state = congestionState();
  let una = advance(0, -60_000);
  let now = SECOND;
  for (const trip of trips) {
    const { cwnd } = state;
    const end = advance(una, cwnd * MSS);
    for (let i = 0; i < cwnd; i++) {
      una = advance(una, MSS);
      cubic.measure(state, trip * MILLISECOND, una, advance(end, i * MSS));
      cubic.grow(state, 1, trip * MILLISECOND, now);
    }
    now += trip * MILLISECOND;
  }
  return state;
}

test('slow start goes on while the round trip stays (HyStart++)', () => {
  const state = slowStartRounds(100, 100, 102, 101, 103);
  expect(state.cwnd).toBe(320);
  expect(state.ssthresh).toBe(NO_THRESHOLD);
});

test('a longer round trip slows it down, and five such rounds end it', () => {
  const slow = slowStartRounds(100, 100, 100, 120);
  expect(slow.hystart?.baseline).toBe(120 * MILLISECOND);
  expect(slow.cwnd).toBeLessThan(160);
  expect(slow.ssthresh).toBe(NO_THRESHOLD);
  const ended = slowStartRounds(100, 100, 100, 120, 120, 120, 120, 120, 120);
  expect(ended.ssthresh).not.toBe(NO_THRESHOLD);
});

test('it was a false alarm if the round trip falls again', () => {
  const state = slowStartRounds(100, 100, 100, 120, 100, 100);
  expect(state.hystart?.baseline).toBe(NEVER);
  expect(state.ssthresh).toBe(NO_THRESHOLD);
});
