// What a stranger may try (RFC 5961, RFC 7323, RFC 1337).
import { expect, test } from 'vitest';
import { ACK, DATA, established, FIN, Harness, RST, SYN } from './harness.ts';

test('a reset with the exact number resets, another in the window is challenged, the rest dropped', () => {
  const t = established();
  t.at(200, { ...RST, seq: 1 }).expect({ ...ACK, seq: 0, ack: 0 });
  t.at(400, { ...RST, seq: -1 }, { ...RST, seq: 70_000_000 })
    .expect()
    .expectEvents();
  t.at(600, { ...RST, seq: 0 }).expectEvents('close ECONNRESET');
});

test('challenges to segments without data are limited', () => {
  const t = established();
  for (let i = 1; i <= 50; i++) t.at(1_000 + i, { ...RST, seq: i }, { ...SYN, seq: i });
  expect(t.sent()).toHaveLength(1);
  expect(t.host.tcp.counters).toMatchObject({ challenges: 1, challengesWithheld: 99 });
  t.at(1_500, { ...RST, seq: 1 }).expect();
  t.at(1_501, { ...RST, seq: 1 }).expect(ACK);
});

test('a SYN inside or outside of the window is challenged', () => {
  const t = established();
  t.at(200, { ...SYN, seq: 10 }).expect({ ...ACK, ack: 0 });
  t.at(700, { ...SYN, seq: -5_000 }).expect({ ...ACK, ack: 0 });
  expect(t.connection.state).toBe('established');
});

test('an acknowledgment of what was never sent, or of ages ago, is challenged and its data dropped', () => {
  const t = established();
  t.write(10).expect(DATA);
  // As if a megabyte had been acknowledged before.
  t.connection.recovery.bytesAcked = 1_000_000;
  t.at(200, { ...DATA, ack: 11, data: 'evil' }).expect(ACK);
  t.at(220, { ...DATA, ack: -70_000, data: 'evil' })
    .expect(ACK)
    .expectEvents();
  t.at(240, { ...DATA, ack: -60_000, data: 'good' }).expectEvents('readable');
});

test('a timestamp beside an acknowledgment of what was never sent is not believed', () => {
  const t = established({ timestamps: true });
  const { recent } = t.connection.ts;
  // Taken for the peer's, it would make everything old that the peer says from now on.
  const ahead = recent + 1_000_000_000;
  t.at(200, { ...DATA, seq: 0, ack: 5_000, timestamps: [ahead, 0], data: 'evil' }).sent();
  expect(t.connection.ts.recent).toBe(recent);
  t.at(300, { ...DATA, seq: 0, data: 'good' }).expectEvents('readable');
});

test('neither is one beside an acknowledgment of what was never sent in SYN-RECEIVED', () => {
  const t = new Harness({ timestamps: true }).listen();
  t.at(0, { ...SYN, ...t.peerOptions() });
  t.at(10, { ...ACK, seq: 0, ack: 77, timestamps: [2_000_000_000, 0] });
  t.at(20, { ...ACK, seq: 0, ack: 0 }).expectEvents('accept', 'connect');
  expect(t.connection.ts.recent).toBe(2_020);
});

test('a segment outside of the window is answered with what is expected', () => {
  const t = established();
  t.at(200, { ...DATA, seq: 70_000_000, length: 10 }).expect({ ...ACK, ack: 0 });
  t.at(201, { ...DATA, seq: -10, length: 10 }).expect({ ...ACK, ack: 0 });
  expect(t.host.tcp.counters.unacceptable).toBe(2);
});

test('a segment without ACK is dropped', () => {
  established().at(1, { flags: '', data: 'x' }, { flags: 'F' }).at(100).expect().expectEvents();
});

test('an acknowledgment from the very edge of a full window is heard', () => {
  const t = established({ receiveLimit: 1_000 });
  t.write(10).sent();
  t.at(1, { ...ACK, seq: 1_000, ack: 10 })
    .expectEvents('acknowledged 10')
    .expect();
});

test('an old timestamp is answered and dropped (PAWS)', () => {
  const t = established({ timestamps: true });
  t.at(200, { ...DATA, data: 'new', timestamps: [5_000, 0] })
    .at(300)
    .sent();
  t.arrive({ ...DATA, seq: 3, data: 'old', timestamps: [4_999, 0] }).expect({ ...ACK, ack: 3 });
  expect(t.read()).toBe('new');
  expect(t.host.tcp.counters.pawsDrops).toBe(1);
  t.arrive({ ...DATA, seq: 3, data: 'same', timestamps: [5_000, 0] });
  expect(t.read()).toBe('same');
});

test('a reset is not subject to PAWS', () => {
  const t = established({ timestamps: true });
  t.at(1, { ...DATA, data: 'x', timestamps: [5_000, 0] });
  t.at(2, { ...RST, seq: 1, timestamps: [1, 0] });
  expect(t.connection.state).toBe('closed');
});

test('after 24 days without a word the old timestamp means nothing', () => {
  const t = established({ timestamps: true });
  t.connection.ts.recentAt = t.clock.now() - 25 * 86_400_000_000;
  t.at(1, { ...DATA, data: 'x', timestamps: [3, 0] });
  expect(t.read()).toBe('x');
});

test('timestamps that wrap are newer', () => {
  const t = established({ timestamps: true });
  t.connection.ts.recent = 0xffff_ffff;
  t.at(1, { ...DATA, data: 'x', timestamps: [5, 0] });
  expect(t.read()).toBe('x');
  expect(t.connection.ts.recent).toBe(5);
});

test('the echoed timestamp is that of the earliest segment not acknowledged yet', () => {
  const t = established({ timestamps: true });
  t.at(1, { ...DATA, length: 10, timestamps: [2_001, 0] });
  t.at(2, { ...DATA, seq: 10, length: 10, timestamps: [2_002, 0] }).at(60);
  const [ack] = t.sent();
  expect(ack).toMatchObject({ ack: 20, timestamps: [expect.anything(), 2_001] });
  t.at(70, { ...DATA, seq: 40, length: 10, timestamps: [2_070, 0] });
  expect(t.sent()[0].timestamps?.[1]).toBe(2_001);
});

test('a stranger does not keep a dead connection alive', () => {
  const t = established();
  const heard = t.connection.heardAt;
  t.at(500, { ...RST, seq: 9 }, { ...SYN, seq: 9 }, { ...DATA, seq: 9, ack: 77, data: 'x' });
  t.arrive({ ...DATA, seq: 90_000_000, data: 'x' });
  expect(t.connection.heardAt).toBe(heard);
  t.arrive({ ...ACK, seq: 0 });
  expect(t.connection.heardAt).toBeGreaterThan(heard);
});

test('a FIN from outside of the window ends nothing', () => {
  const t = established();
  t.at(1, { ...FIN, seq: 70_000_000 }).expectEvents();
  expect(t.connection.state).toBe('established');
});
