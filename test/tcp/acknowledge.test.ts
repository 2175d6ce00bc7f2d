import { expect, test } from 'vitest';
import { ACK, accepted, DATA, established, FIN, MSS } from './harness.ts';

test('a young connection acknowledges every segment at once', () => {
  const t = established();
  t.connection.rcv.quickAcks = 2;
  t.at(1, { ...DATA, length: 10 }).expect({ ...ACK, ack: 10 });
  t.at(2, { ...DATA, seq: 10, length: 10 }).expect({ ...ACK, ack: 20 });
  t.at(3, { ...DATA, seq: 20, length: 10 }).expect();
});

test('later an acknowledgment waits 40 ms', () => {
  const t = established().at(1, { ...DATA, length: 10 });
  t.expect()
    .at(40)
    .expect()
    .at(41)
    .expect({ ...ACK, seq: 0, ack: 10 })
    .at(1_000)
    .expect();
});

test('a second segment does not put it off', () => {
  const t = established()
    .at(1, { ...DATA, length: 10 })
    .at(30, { ...DATA, seq: 10, length: 10 });
  t.expect()
    .at(41)
    .expect({ ...ACK, ack: 20 });
});

test('two full segments are acknowledged at once', () => {
  const t = established().at(1, { ...DATA, length: MSS });
  t.expect()
    .at(2, { ...DATA, seq: MSS, length: MSS })
    .expect({ ...ACK, ack: 2 * MSS });
});

test('data of ours carries the acknowledgment', () => {
  const t = established().at(1, { ...DATA, data: 'ask' });
  t.write('answer')
    .expect({ ...DATA, ack: 3, data: 'answer' })
    .at(100)
    .expect();
});

test('an answer from within onReadable carries the acknowledgment, too', () => {
  const t = established();
  t.connection.rcv.quickAcks = 4;
  t.handler.onReadable = () => {
    t.write(t.read().toUpperCase());
    return 0;
  };
  t.at(1, { ...DATA, data: 'ask' }).expect({ ...DATA, ack: 3, data: 'ASK' });
});

test('what comes out of order is acknowledged at once, as is what fills the gap', () => {
  const t = established();
  t.at(1, { ...DATA, seq: 10, length: 10 }).expect({ ...ACK, ack: 0, sack: [] });
  t.at(2, { ...DATA, seq: 20, length: 10 }).expect({ ...ACK, ack: 0 });
  t.at(3, { ...DATA, seq: 0, length: 10 }).expect({ ...ACK, ack: 30 });
});

test('old data is answered at once', () => {
  const t = established()
    .at(1, { ...DATA, data: 'abc' })
    .pass(100);
  t.expect({ ...ACK, ack: 3 })
    .at(200, { ...DATA, data: 'abc' })
    .expect({ ...ACK, ack: 3 });
  t.at(300, { ...DATA, data: 'abcdef' }).expect({ ...ACK, ack: 6 });
  expect(t.read()).toBe('abcdef');
});

test('SACK names the range of the latest segment first, and three beside timestamps', () => {
  const t = established({ sack: true });
  for (const seq of [10, 30, 50, 70]) t.arrive({ ...DATA, seq, length: 5 });
  expect(t.sent().map(({ sack }) => sack)).toEqual([
    [[10, 15]],
    [
      [30, 35],
      [10, 15],
    ],
    [
      [50, 55],
      [10, 15],
      [30, 35],
    ],
    [
      [70, 75],
      [10, 15],
      [30, 35],
      [50, 55],
    ],
  ]);
  t.arrive({ ...DATA, seq: 35, length: 5 });
  expect(t.sent()[0].sack?.[0]).toEqual([30, 40]);
  const s = established({ sack: true, timestamps: true });
  for (const seq of [10, 30, 50, 70]) s.arrive({ ...DATA, seq, length: 5 });
  expect(s.sent().at(-1)?.sack).toHaveLength(3);
});

test('more gaps than are kept are counted, and repaired by what is sent again', () => {
  const t = established({ sack: true });
  for (let gap = 0; gap < 70; gap++) t.arrive({ ...DATA, seq: 10 + 20 * gap, length: 10 });
  expect(t.connection.receiveBuffer.gaps.count).toBe(64);
  expect(t.host.tcp.counters.reassemblyDrops).toBe(6);
  for (let piece = 0; piece < 70; piece++) t.arrive({ ...DATA, seq: 20 * piece, length: 20 });
  expect(t.read()).toHaveLength(1_400);
});

test('the window shrinks as bytes wait, and never moves its right edge back', () => {
  const t = established({ receiveLimit: 10_000 });
  t.at(1, { ...DATA, length: 2 * MSS }).expect({ ...ACK, ack: 2_000, window: 8_000 });
  t.at(2, { ...DATA, seq: 2_000, length: 8_000 }).expect({ ...ACK, ack: 10_000, window: 0 });
});

test('bytes beyond the window are cut off, and answered', () => {
  const t = established({ receiveLimit: 1_000 });
  t.at(1, { ...DATA, length: 1_500 }).expect({ ...ACK, ack: 1_000, window: 0 });
  t.at(2, { ...DATA, seq: 1_000, length: 500 }).expect({ ...ACK, ack: 1_000, window: 0 });
  expect(t.read()).toHaveLength(1_000);
});

test('reading opens a closed window, and tells the peer once', () => {
  const t = established({ receiveLimit: 10_000 });
  t.at(1, { ...DATA, length: 10_000 }).expect({ ...ACK, window: 0 });
  t.connection.read(999);
  t.expect();
  t.connection.read(1);
  t.expect({ ...ACK, ack: 10_000, window: 1_000 });
  t.connection.read(500);
  t.expect();
  t.connection.read(500);
  t.expect({ ...ACK, window: 2_000 });
  t.read();
  t.expect({ ...ACK, window: 10_000 });
});

test('crumbs of room are not offered, even when there is something to send', () => {
  const t = established({ receiveLimit: 10_000 });
  t.at(1, { ...DATA, length: 10_000 }).expect({ ...ACK, window: 0 });
  t.connection.read(999);
  t.write('x').expect({ ...DATA, data: 'x', window: 0 });
});

test('a reader that keeps up causes no acknowledgments of its own', () => {
  const t = established({ receiveLimit: 100_000 });
  t.handler.onReadable = () => t.read().length;
  for (let i = 0; i < 20; i++) t.arrive({ ...DATA, seq: i * MSS, length: MSS });
  const sent = t.sent();
  expect(sent).toHaveLength(10);
  expect(sent.at(-1)).toMatchObject({ ack: 20 * MSS, window: 65_535 });
});

test('the window is told by the scale, which a SYN never uses', () => {
  const t = accepted({ scale: 5, receiveLimit: 200_000 });
  expect(t.connection.snd.wnd).toBe(65_535 * 32);
  t.at(1, { ...DATA, length: 10 })
    .at(100)
    .expect({ ...ACK, window: (200_000 - 10) >> 2 });
});

test('without scale a large buffer is offered as far as the field reaches', () => {
  const t = established({ receiveLimit: 200_000 });
  for (let i = 0; i < 190; i++) t.arrive({ ...DATA, seq: i * MSS, length: MSS });
  const last = t.sent().at(-1);
  expect(last).toMatchObject({ ack: 190_000, window: 10_000 });
});

test('after the end, reading tells nothing', () => {
  const t = established({ receiveLimit: 1_000 }).at(1, { ...FIN, length: 1_000 });
  t.sent();
  t.read();
  t.expect();
});

test('a segment train is one arrival', () => {
  const t = established({ offload: true, receiveLimit: 100_000 });
  t.at(1, { ...DATA, length: 30_000 }).expect({ ...ACK, ack: 30_000 });
  expect(t.read()).toHaveLength(30_000);
});

test('a ring that is large enough keeps what is out of order across the wrap', () => {
  const t = established({ receiveLimit: 5_000 });
  const text = Array.from({ length: 5_000 }, (_, i) => String.fromCharCode(i % 251)).join('');
  for (let seq = 4_900; seq >= 0; seq -= 100) {
    t.arrive({ ...DATA, seq, data: text.slice(seq, seq + 100) });
  }
  expect(t.read()).toBe(text);
});
