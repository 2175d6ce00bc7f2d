// ICMP errors about connections: path MTU discovery (RFC 1191, RFC 5927) and soft errors (RFC 5461).
import { expect, test } from 'vitest';
import { ACK, accepted, DATA, established, Harness, SYN } from './harness.ts';
import { icmpError } from './icmp.ts';

const TOO_BIG = 4;

test('a router that cannot pass a packet on makes segments smaller, and they go out again at once', () => {
  const t = established({ mss: 1_460 });
  t.write(3 * 1_460);
  const { cwnd } = t.connection.congestion;
  t.inject(icmpError(t.link.outgoing[0], 3, TOO_BIG, 0, 1_000));
  const sent = t.sent();
  expect(sent.slice(0, 3).map(({ length }) => length)).toEqual([1_460, 1_460, 1_460]);
  const again = sent.slice(3);
  expect(again[0]).toMatchObject({ seq: 0, length: 960 });
  expect(again.length).toBeGreaterThan(0);
  expect(Math.max(...again.map(({ length = 0 }) => length))).toBe(960);
  expect(t.connection.mss).toBe(960);
  expect(t.connection.congestion.cwnd).toBe(cwnd);
  expect(t.host.tcp.counters.pathMtuReductions).toBe(1);
  let acked = 0;
  for (let i = 0; i < 20; i++) {
    acked = Math.min(acked + 960, 3 * 1_460);
    t.at(10 * (i + 1), { ...ACK, ack: acked });
  }
  expect(t.connection.snd.una).toBe(t.connection.snd.nxt);
});

test.each([
  ['before what is acknowledged', -2_000],
  ['beyond what was sent', 5_000],
])('an error that quotes a number %s is ignored and counted', (_, shift) => {
  const t = established({ mss: 1_460 });
  t.write(2 * 1_460);
  t.inject(icmpError(t.link.outgoing[0], 3, TOO_BIG, shift, 600));
  expect(t.connection.mss).toBe(1_460);
  expect(t.host.tcp.counters).toMatchObject({ pathErrorsIgnored: 1, pathMtuReductions: 0 });
});

test('an MTU that is no smaller, or absurdly small, does no harm', () => {
  const t = established({ mss: 1_460 });
  t.write(2 * 1_460);
  const [first] = t.link.outgoing;
  t.inject(icmpError(first, 3, TOO_BIG, 0, 9_000));
  expect(t.connection.mss).toBe(1_460);
  t.inject(icmpError(first, 3, TOO_BIG, 0, 1));
  expect(t.connection.mss).toBeGreaterThanOrEqual(500);
});

test('a storm of such errors has one effect', () => {
  const t = established({ mss: 1_460 });
  t.write(3 * 1_460);
  const [first] = t.link.outgoing;
  for (let i = 0; i < 200; i++) t.inject(icmpError(first, 3, TOO_BIG, 0, 1_000));
  expect(t.host.tcp.counters.pathMtuReductions).toBe(1);
  expect(t.sent().length).toBeLessThan(12);
});

test('later connections to the same host begin with what was learnt', () => {
  const t = established({ mss: 1_460 });
  t.write(1_460);
  t.inject(icmpError(t.link.outgoing[0], 3, TOO_BIG, 0, 1_000));
  expect(t.host.tcp.maximumSegment(t.connection.remote.address)).toBe(960);
});

test('an unreachable host is the reason when a connection is given up, and not before', () => {
  const t = established();
  t.write('x');
  t.inject(icmpError(t.link.outgoing[0], 3, 1, 0));
  t.expectEvents();
  for (let i = 0; i < 100 && t.connection.state === 'established'; i++) t.pass(60_000);
  t.expectEvents('close EHOSTUNREACH');
});

test('nor does an error end a connection whose peer still answers', () => {
  const t = accepted();
  t.write('x');
  t.inject(icmpError(t.link.outgoing[0], 3, 3, 0));
  t.at(10, { ...ACK, ack: 1 }).at(1_000, { ...DATA, ack: 1, data: 'y' });
  expect(t.read()).toBe('y');
});

test('a half-open connection of a peer that cannot be reached is forgotten', () => {
  const t = new Harness().listen().at(0, SYN);
  t.inject(icmpError(t.link.outgoing[0], 3, 1, 0));
  t.expectEvents().expectGone();
});

test('an error about nobody is counted', () => {
  const t = new Harness().connect();
  const [syn] = t.link.outgoing;
  t.connection.abort();
  t.inject(icmpError(syn, 3, 3, 0));
  expect(t.host.tcp.counters.pathErrorsIgnored).toBe(1);
});
