// The window that we offer: SWS avoidance (RFC 9293, 3.8.6.2.2), its right edge, and its growth.
import { expect, test } from 'vitest';
import { ACK, accepted, DATA, established, Harness, MSS, SYN, SYN_ACK } from './harness.ts';

test('a SYN offers whole segments of at most 64 KiB, and the scale of the largest buffer', () => {
  const t = new Harness();
  t.host.tcp.listen({ local: { port: 4_000 }, accept: () => t.handler });
  t.at(0, { ...SYN, mss: 1_460, sackPermitted: true, timestamps: [1, 0], scale: 7 });
  const [answer] = t.sent();
  // What Linux answers with its defaults: 45 segments of 1,448 bytes, and a scale of 7.
  expect(answer).toMatchObject({ mss: 1_460, window: 65_160, scale: 7 });
  const small = new Harness({ receiveLimit: 60_000 });
  expect(small.host.tcp.offerFor(0x0a00_0002 as never).windowScale).toBe(0);
});

test('the window shrinks as bytes wait, and never moves its right edge back', () => {
  const t = accepted({ scale: 2 });
  const seen: number[] = [];
  let edge = 64_240;
  for (let i = 0; i < 60; i++) {
    t.arrive({ ...DATA, seq: i * MSS, length: MSS }).pass(250);
    for (const { ack = 0, window = 0 } of t.sent()) {
      expect(ack + 4 * window).toBeGreaterThanOrEqual(edge);
      edge = ack + 4 * window;
      seen.push(4 * window);
    }
  }
  expect(Math.min(...seen)).toBeLessThan(10_000);
  expect(edge).toBeLessThanOrEqual(65_536 + 4);
});

/** A connection whose window is full: what is left of its buffer is less than a segment. */
function full(): Harness {
  const t = established({ receiveLimit: 9_000 });
  for (let seq = 0; seq < 8_760; seq += 876) t.arrive({ ...DATA, seq, length: 876 });
  t.pass(300).sent();
  return t;
}

test('reading opens a closed window, and tells the peer each time that it has doubled', () => {
  const t = full();
  t.arrive({ ...DATA, seq: 8_760, length: 1 }).expect({ ...ACK, ack: 8_760, window: 0 });
  t.connection.read(500);
  t.expect();
  t.read();
  const windows = t.sent().map(({ window = 0 }) => window);
  expect(windows[0]).toBeGreaterThanOrEqual(876);
  expect(windows.at(-1)).toBeGreaterThan(4_380);
  for (let i = 1; i < windows.length; i++) {
    expect(windows[i]).toBeGreaterThanOrEqual(2 * windows[i - 1]);
  }
});

test('a window of less than a segment is not offered', () => {
  const t = full();
  t.connection.read(1);
  t.connection.read(500);
  t.expect();
  t.write('x').expect({ ...DATA, data: 'x', window: 0 });
});

test('with a scale, what is told is rounded up, so that the edge does not seem to move back', () => {
  const t = accepted({ scale: 2 });
  t.at(1, { ...DATA, length: 1 }).pass(300);
  // 64,239 bytes are left of what the SYN-ACK offered: 16,060 units of 4.
  t.expect({ ...ACK, ack: 1, window: 16_060 });
});

test('one-byte segments do not widen the window by rounding', () => {
  const t = accepted({ scale: 2, receiveLimit: 20_000 });
  for (let i = 0; i < 5_000; i++) t.arrive({ ...DATA, seq: i, length: 1 });
  const { rcv, receiveBuffer } = t.connection;
  expect((rcv.edge - rcv.irs - 1) >>> 0).toBeLessThanOrEqual(20_004);
  expect(receiveBuffer.length).toBe(5_000);
});

/** Sends `count` segments in a round trip, which the reader takes at once. */
function round(t: Harness, from: number, count: number): number {
  for (let i = 0; i < count; i++) t.arrive({ ...DATA, seq: from + i * MSS, length: MSS });
  t.pass(50);
  return from + count * MSS;
}

test('the buffer grows with what the reader takes in a round trip, up to the limit', () => {
  const t = established({ scale: 7, timestamps: true, receiveLimit: 1_000_000 });
  t.handler.onReadable = () => t.read().length;
  const { rcv, window } = t.connection;
  expect(rcv.limit).toBe(65_536);
  let next = 0;
  const limits: number[] = [];
  for (let flight = 20; limits.length < 12; flight = Math.min(2 * flight, 600)) {
    next = round(t, next, Math.min(flight, Math.floor(((rcv.edge - rcv.nxt) >>> 0) / MSS)));
    limits.push(rcv.limit);
  }
  expect(limits).toEqual([...limits].sort((a, b) => a - b));
  expect(limits.at(-1)).toBe(1_000_000);
  expect(window.rtt).toBeGreaterThan(0);
  t.sent();
});

test('without timestamps the round trip is what a window takes', () => {
  const t = established({ scale: 7 });
  t.handler.onReadable = () => t.read().length;
  let next = 0;
  for (let i = 0; i < 12; i++) next = round(t, next, 60);
  expect(t.connection.window.rtt).toBeGreaterThanOrEqual(50_000);
  expect(t.connection.rcv.limit).toBeGreaterThan(65_536);
});

test('a reader that does not read, and a buffer that the user has set, do not grow', () => {
  const lazy = established({ scale: 7, timestamps: true });
  let next = 0;
  for (let i = 0; i < 6; i++) next = round(lazy, next, 10);
  expect(lazy.connection.rcv.limit).toBe(65_536);
  const fixed = established({ scale: 7, timestamps: true });
  fixed.connection.configure({ receiveBuffer: 50_000 });
  fixed.handler.onReadable = () => fixed.read().length;
  next = 0;
  for (let i = 0; i < 10; i++) next = round(fixed, next, 40);
  expect(fixed.connection.rcv.limit).toBe(50_000);
});

test('a clamp bounds the window', () => {
  const t = established({ scale: 2 });
  t.connection.configure({ windowClamp: 20_000 });
  t.handler.onReadable = () => t.read().length;
  for (let i = 0; i < 60; i++) t.arrive({ ...DATA, seq: i * MSS, length: MSS });
  const { window = 0 } = t.sent().at(-1) ?? {};
  expect(4 * window).toBeLessThanOrEqual(20_000);
  expect(4 * window).toBeGreaterThan(18_000);
});

test('bytes beyond the window are cut off, and what was cut is not acknowledged', () => {
  const t = new Harness({ receiveLimit: 2_920 }).connect();
  t.at(10, { ...SYN_ACK, ...t.peerOptions() }).sent();
  t.arrive({ ...DATA, length: 4_000 }).expect({ ...ACK, ack: 2_920, window: 0 });
  expect(t.read()).toHaveLength(2_920);
});
