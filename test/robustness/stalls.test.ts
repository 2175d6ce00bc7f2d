// A process that did not run for a while, and clocks that jump: no burst of timeouts, no connection lost for it.
import { expect, test } from 'vitest';
import { MILLISECOND, SECOND } from '../../src/env/clock.ts';
import {
  ACK,
  accepted,
  buildFrame,
  DATA,
  established,
  type Harness,
  MSS,
  RST,
  type Script,
} from '../tcp/harness.ts';

/** Lets time pass in which the host does not run, while segments arrive. */
function stall(t: Harness, milliseconds: number, ...arrived: Script[]): void {
  t.clock.advanceTo(t.clock.now() + milliseconds * MILLISECOND);
  for (const script of arrived) t.link.incoming.push(buildFrame(script, t, 65_535));
}

/** Breathes until nothing waits, a few times at most. */
function recover(t: Harness): void {
  for (let breath = 0; breath < 100; breath++) {
    t.host.breath();
    if (t.link.incoming.length === 0 && t.host.nextAt > t.clock.now()) return;
  }
  expect.fail('the host does not come to rest');
}

test('acknowledgments that waited through a stall are heard before the timers', () => {
  const t = established();
  t.write(10 * MSS).sent();
  const acks = Array.from({ length: 10 }, (_, i) => ({ ...ACK, seq: 0, ack: (i + 1) * MSS }));
  stall(t, 10_000, ...acks);
  recover(t);
  expect(t.host.tcp.counters.timeouts).toBe(0);
  expect(t.host.tcp.counters.retransmits).toBe(0);
  expect(t.connection.snd.una).toBe(t.connection.snd.nxt);
});

test('so are those behind more frames than one breath takes', () => {
  const t = established();
  t.write(2 * MSS).sent();
  const noise = Array.from({ length: 500 }, () => ({ ...RST, fromPort: 9 }));
  stall(t, 10_000, ...noise, { ...ACK, seq: 0, ack: 2 * MSS });
  recover(t);
  expect(t.host.tcp.counters.timeouts).toBe(0);
  expect(t.connection.snd.una).toBe(t.connection.snd.nxt);
});

test("a stall is not the path's round trip: the timeout stays what the path deserves", () => {
  const t = established();
  for (let i = 1; i <= 20; i++) {
    t.write(MSS).sent();
    t.pass(50).arrive({ ...ACK, seq: 0, ack: i * MSS });
  }
  const { rto } = t.connection.rtt;
  t.write(MSS).sent();
  stall(t, 20_000, { ...ACK, seq: 0, ack: 21 * MSS });
  recover(t);
  expect(t.connection.rtt.rto).toBeLessThan(rto + SECOND);
});

test('a stall with nothing acknowledged is one timeout, not one for each that was missed', () => {
  const t = established();
  t.write(10 * MSS).sent();
  stall(t, 3_600_000);
  recover(t);
  expect(t.host.tcp.counters.timeouts).toBe(1);
  expect(t.sent().length).toBeLessThanOrEqual(2);
  expect(t.connection.state).toBe('established');
  t.arrive({ ...ACK, seq: 0, ack: 10 * MSS });
  expect(t.connection.snd.una).toBe(t.connection.snd.nxt);
});

test('a hundred connections that are late are a hundred timeouts, and all live', () => {
  const t = accepted();
  const ports = Array.from({ length: 100 }, (_, i) => 6_000 + i);
  for (const fromPort of ports) {
    t.arrive({ flags: 'S', seq: -1, mss: MSS, fromPort }, { ...ACK, seq: 0, ack: 0, fromPort });
  }
  for (const connection of t.host.tcp.connections()) connection.write(new Uint8Array(MSS));
  t.sent();
  stall(t, 600_000);
  recover(t);
  expect(t.host.tcp.counters.timeouts).toBeLessThanOrEqual(101);
  expect(t.host.tcp.connectionCount).toBe(101);
});

test("keep-alive does not take a stall for the peer's silence", () => {
  const t = established();
  t.connection.setKeepalive(10 * SECOND);
  t.pass(1_000);
  stall(t, 24 * 3_600_000);
  recover(t);
  expect(t.connection.state).toBe('established');
  expect(t.sent()).toHaveLength(1);
});

test('a monotonic clock that stands still or goes back a little stops nothing', () => {
  const t = established();
  t.write(MSS).sent();
  const { clock } = t;
  const now = clock.now.bind(clock);
  clock.now = () => now() - 40 * MILLISECOND;
  t.host.breath();
  t.link.incoming.push(buildFrame({ ...ACK, seq: 0, ack: MSS }, t, 65_535));
  t.host.breath();
  expect(t.connection.snd.una).toBe(t.connection.snd.nxt);
  expect(t.connection.rtt.rto).toBeGreaterThanOrEqual(200 * MILLISECOND);
  clock.now = now;
  t.write(MSS);
  t.arrive({ ...ACK, seq: 0, ack: 2 * MSS });
  expect(t.connection.snd.una).toBe(t.connection.snd.nxt);
});

test.each([-86_400, 86_400, 10 * 365 * 86_400, -1_700_000_000])(
  'the time of day jumps by %i seconds, and connections go on',
  (seconds) => {
    const t = established({ timestamps: true });
    t.write(900).sent();
    const { clock } = t;
    const wall = clock.wall.bind(clock);
    clock.wall = () => wall() + seconds;
    t.at(50, { ...ACK, seq: 0, ack: 900 }, { ...DATA, seq: 0, ack: 900, data: 'go on' });
    expect(t.read()).toBe('go on');
    t.pass(100);
    const stamps = t.sent().map(({ timestamps }) => timestamps?.[0] ?? 0);
    expect(stamps.length).toBeGreaterThan(0);
    // Our own timestamps follow the monotonic clock: they never jump.
    const first = t.host.tcp.timestamp(t.clock.now(), t.connection.ts.offset);
    for (const stamp of stamps) expect(Math.abs((first - stamp) | 0)).toBeLessThan(1_000);
  },
);
