// Segments that no honest peer sends (RFC 5961, RFC 9293, and what the field knows as attacks).
import { expect, test } from 'vitest';
import { ACK, accepted, DATA, established, FIN, Harness, RST, SYN, SYN_ACK } from './harness.ts';

test.each([
  ['Christmas tree', 'SFRPAUEW'],
  ['all but ACK', 'SFRPUEW'],
  ['null', ''],
  ['SYN and FIN', 'SF'],
  ['SYN and RST', 'SR'],
  ['FIN, PSH and URG', 'FPU'],
])('%s: neither a listener nor a connection is moved', (_, flags) => {
  const t = new Harness().listen();
  t.at(0, { flags, seq: -1, ack: 0 });
  expect(t.host.tcp.connectionCount).toBe(0);
  const u = established();
  u.at(1, { flags, seq: 5, ack: 0, data: 'x' }).expectEvents();
  expect(u.connection.state).toBe('established');
});

test('an urgent pointer means nothing: the data stays in line', () => {
  const t = established().at(1, { ...DATA, flags: 'AU', data: 'ab!' });
  t.arrive({ ...DATA, seq: 3, data: 'cd' });
  expect(t.read()).toBe('ab!cd');
});

test('a reset at the end of what was reported by SACK counts (Linux), one inside does not', () => {
  const t = established({ sack: true }).at(1, { ...DATA, seq: 100, length: 100 });
  t.arrive({ ...RST, seq: 150 });
  expect(t.connection.state).toBe('established');
  t.arrive({ ...RST, seq: 200 }).expectEvents('close ECONNRESET');
});

test('a reset with the number of the FIN that it follows counts once both sides have closed', () => {
  const t = established().at(1, FIN);
  t.at(2, { ...RST, seq: 0 }).expectEvents('end');
  t.connection.end();
  t.at(3, { ...RST, seq: 0 }).expectEvents('close');
});

test('what one connection does not say another does not count', () => {
  const t = new Harness().listen();
  for (const fromPort of [1, 2]) {
    t.arrive({ ...SYN, fromPort }, { ...ACK, seq: 0, ack: 0, fromPort });
  }
  t.at(1_000).sent();
  for (let i = 0; i < 200; i++) t.arrive({ ...RST, seq: 5 + i, fromPort: 1 });
  expect(t.sent()).toHaveLength(1);
  t.arrive({ ...RST, seq: 5, fromPort: 2 }).expect({ ...ACK, toPort: 2 });
});

test('an acknowledgment from before the connection is a guess, however large the window', () => {
  const t = accepted({ scale: 14 });
  expect(t.connection.snd.maxWnd).toBeGreaterThan(1_000_000);
  t.at(1_000, { ...DATA, ack: -5_000, data: 'evil' })
    .expect({ ...ACK, ack: 0 })
    .expectEvents();
  t.arrive({ ...DATA, ack: 0, data: 'good' });
  expect(t.read()).toBe('good');
});

test.each([
  [0, 536],
  [8, 48],
  [47, 48],
  [100, 100],
  [65_535, 1_460],
])('a peer that takes %i bytes gets segments of %i', (mss, size) => {
  const t = new Harness().connect().at(1, { ...SYN_ACK, mss, window: 65_535 });
  t.sent();
  t.write(3_000);
  expect(t.sent()[0].length).toBe(size);
});

test('a window scale of 15 means 14', () => {
  const t = new Harness({ scale: 15 }).connect();
  t.at(1, { ...SYN_ACK, ...t.peerOptions() });
  expect(t.connection.negotiated.sendScale).toBe(14);
});

test('timestamps that are missing are tolerated, unless the stack is told not to', () => {
  const t = established({ timestamps: true });
  const bare = { ...DATA, timestamps: undefined as never, data: 'x' };
  const silent = new Harness({ timestamps: true, tcp: { requireTimestamps: true } }).connect();
  silent.at(1, { ...SYN_ACK, ...silent.peerOptions() }).sent();
  for (const each of [t, silent]) {
    // The harness stamps what the script does not: without the option it sends none.
    (each.options as { timestamps: boolean }).timestamps = false;
    each.arrive(bare);
  }
  expect(t.read()).toBe('x');
  expect(silent.read()).toBe('');
  expect(silent.host.tcp.counters.timestampsMissing).toBe(1);
});

test('after 24 idle days any timestamp is taken, and remembered', () => {
  const t = established({ timestamps: true });
  t.connection.ts.recent = 0x7000_0000;
  t.connection.ts.recentAt = t.clock.now() - 24 * 86_400_000_000;
  t.at(1, { ...DATA, data: 'x', timestamps: [3, 0] });
  expect(t.read()).toBe('x');
  expect(t.connection.ts.recent).toBe(3);
});

test('data with a SYN is not taken before the handshake is complete, and then comes again', () => {
  const t = new Harness().listen().at(0, { ...SYN, data: 'early' });
  t.expect({ ...SYN_ACK, ack: 0 });
  t.at(1, { ...ACK, seq: 0, ack: 0, data: 'early' });
  expect(t.read()).toBe('early');
  const u = new Harness().connect().at(1, { ...SYN_ACK, data: 'early' });
  // RFC 9293, 3.10.7.3: the text of a SYN-ACK is taken, since it completes the handshake.
  u.expect({ flags: 'S' }, { ...ACK, ack: 5 });
  expect(u.read()).toBe('early');
});

test('a flood of SYNs leaves established connections alone, and holds no more than the backlog', () => {
  const t = new Harness().listen({ backlog: 16 });
  t.at(0, SYN).at(1, { ...ACK, seq: 0, ack: 0 });
  const first = t.connection;
  t.begin();
  for (let i = 0; i < 5_000; i++) {
    t.arrive({ ...SYN, seq: (i * 7_919) | 0, fromPort: 6_000 + i });
    if (i % 500 === 499) t.arrive({ ...DATA, seq: (i - 499) / 500, ack: 0, data: 'x' });
  }
  expect(t.host.tcp.connectionCount).toBe(17);
  expect(t.host.tcp.counters.cookiesSent).toBe(5_000 - 16);
  expect(first.state).toBe('established');
  expect(first.count.bytesReceived).toBe(10);
});

test('a simultaneous open is complete with the SYN-ACK of the other side', () => {
  const t = new Harness({ sack: true }).connect();
  t.at(1, { ...SYN, ...t.peerOptions() }).sent();
  t.at(2, { ...SYN_ACK, ...t.peerOptions() }).expect({ ...ACK, seq: 0, ack: 0 });
  t.expectEvents('connect');
  expect(t.connection.state).toBe('established');
});
