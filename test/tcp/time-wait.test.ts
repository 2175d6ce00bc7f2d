// TIME-WAIT: a small record with the rules of RFC 9293, 3.10.7.4, RFC 1122, 4.2.2.13, RFC 1337 and RFC 6191.
import { expect, test } from 'vitest';
import {
  ACK,
  accepted,
  DATA,
  established,
  FIN,
  Harness,
  OURS,
  PEER,
  RST,
  SYN,
  SYN_ACK,
} from './harness.ts';

const MINUTE = 60_000;

/** A connection that we closed first. */
function waiting(timestamps = false): Harness {
  const t = accepted({ timestamps });
  t.connection.end();
  t.at(10, { ...FIN, seq: 0, ack: 1 }).sent();
  expect(t.host.tcp.timeWaits.size).toBe(1);
  return t;
}

test('nothing of the connection is kept but a record', () => {
  const t = waiting();
  expect([...t.host.tcp.connections()]).toEqual([]);
  expect(t.host.tcp.connectionCount).toBe(1);
  expect(t.host.tcp.memory.held).toBe(0);
  const [record] = t.host.tcp.timeWaits.values();
  expect(record).toMatchObject({ local: OURS, remote: PEER });
  t.at(10 + MINUTE).expectGone();
});

test('what waits to be read can still be read, and the user hears of one end', () => {
  const t = established();
  t.connection.end();
  t.at(10, { ...FIN, seq: 0, ack: 1, data: 'last words' });
  t.expectEvents('readable', 'end', 'close');
  expect(t.read()).toBe('last words');
  t.connection.abort();
  t.connection.end();
  t.expectEvents();
  expect(t.host.tcp.timeWaits.size).toBe(1);
});

test('the FIN is answered again, and the wait begins anew', () => {
  const t = waiting();
  t.at(30_000, { ...FIN, seq: 0, ack: 1 }).expect({ ...ACK, seq: 1, ack: 1, window: 64_240 });
  t.at(10 + MINUTE);
  expect(t.host.tcp.timeWaits.size).toBe(1);
  t.at(30_000 + MINUTE).expectGone();
});

test('several waits end in the order of their ends, though the first began anew', () => {
  const t = new Harness().listen();
  for (const fromPort of [1, 2]) {
    t.arrive({ ...SYN, fromPort }, { ...ACK, seq: 0, fromPort });
    t.connection.end();
    t.arrive({ ...FIN, seq: 0, ack: 1, fromPort }).pass(1_000);
  }
  t.arrive({ ...FIN, seq: 0, ack: 1, fromPort: 1 });
  const ports = (): number[] => [...t.host.tcp.timeWaits.values()].map(({ remote }) => remote.port);
  expect(ports()).toEqual([2, 1]);
  t.at(1_000 + MINUTE);
  expect(ports()).toEqual([1]);
  t.at(2_000 + MINUTE).expectGone();
});

test('acknowledgments carry timestamps, and an old one is not believed', () => {
  const t = waiting(true);
  const stamp = t.host.tcp.timestamp(t.clock.now(), 0) + 90;
  t.at(100, { ...FIN, seq: 0, ack: 1, timestamps: [2_100, 0] });
  t.expect({ ...ACK, seq: 1, ack: 1, timestamps: [stamp, 2_110] });
  t.at(1_000, { ...DATA, seq: 0, ack: 1, data: 'x', timestamps: [1, 0] }).expect(ACK);
  expect(t.host.tcp.counters.pawsDrops).toBe(2);
});

test('segments without data are answered twice a second at most', () => {
  const t = waiting();
  for (let i = 0; i < 100; i++) t.at(100 + i, { ...ACK, seq: 500, ack: 1 });
  expect(t.sent()).toHaveLength(1);
  expect(t.host.tcp.counters.challengesWithheld).toBe(99);
  t.at(600, { ...ACK, seq: 500, ack: 1 }).expect(ACK);
});

test('a late acknowledgment is not answered', () => {
  const t = waiting();
  t.at(100, { ...ACK, seq: 1, ack: 1 }).expect();
});

test.each([
  ['exact', 1],
  ['in the window', 500],
  ['old', -500],
])('a reset that is %s does not assassinate it (RFC 1337)', (_, seq) => {
  const t = waiting();
  t.at(100, { ...RST, seq }, { ...RST, flags: 'RA', seq, ack: 1 }).expect();
  expect(t.host.tcp.timeWaits.size).toBe(1);
});

test.each([
  ['a higher number', 2, true],
  ['the same number', 1, false],
  ['a lower number', -1_000, false],
])('a SYN with %s', (_, seq, born) => {
  const t = waiting();
  t.at(100, { ...SYN, seq });
  expect(t.sent()[0].flags).toBe(born ? 'SA' : 'A');
  expect(t.host.tcp.timeWaits.size).toBe(born ? 0 : 1);
});

test.each([
  ['newer, and a lower number', 9_000, -1_000, true],
  ['the same, and a higher number', 2_110, 2, true],
  ['the same, and a lower number', 2_110, -1_000, false],
  ['older, and a higher number', 1_000, 2, false],
])('a SYN whose timestamp is %s (RFC 6191)', (_, stamp, seq, born) => {
  const t = waiting(true);
  t.at(100, { ...SYN, seq, timestamps: [stamp, 0] });
  expect(t.sent()[0].flags).toBe(born ? 'SA' : 'A');
});

test('a SYN with ACK, FIN or RST begins nothing', () => {
  const t = waiting();
  t.at(100, { ...SYN_ACK, seq: 500, ack: 1 }, { ...SYN, flags: 'SF', seq: 500 });
  t.arrive({ ...RST, flags: 'SR', seq: 500 });
  expect(t.host.tcp.timeWaits.size).toBe(1);
});

test('a SYN that could begin anew finds nobody who listens: the wait goes on', () => {
  const t = established();
  t.connection.end();
  t.at(10, { ...FIN, seq: 0, ack: 1 }).sent();
  t.at(100, { ...SYN, seq: 500 }).expect({ ...ACK, seq: 1, ack: 1 });
  expect(t.host.tcp.timeWaits.size).toBe(1);
});

test('the ends are taken for new connections of our own', () => {
  const t = waiting();
  const again = (): unknown =>
    t.host.tcp.connect({
      remote: PEER,
      local: OURS.address,
      localPort: OURS.port,
      handler: t.handler,
    });
  expect(again).toThrow('EADDRNOTAVAIL');
  t.at(10 + MINUTE);
  expect(again).not.toThrow();
});

test('a limit of none keeps none', () => {
  const t = new Harness({ tcp: { maximumTimeWait: 0 } }).listen();
  t.at(0, SYN).at(10, { ...ACK, seq: 0, ack: 0 });
  t.connection.end();
  t.at(20, { ...FIN, seq: 0, ack: 1 }).expectGone();
});
