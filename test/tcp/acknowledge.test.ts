import { expect, test } from 'vitest';
import { ACK, DATA, established, FIN, type Harness, type HarnessOptions, MSS } from './harness.ts';

/** A window that bytes which wait to be read do not make smaller. */
const READ: HarnessOptions = { tcp: { receiveInitial: 200_000 } };

/** A connection that has never got data. */
function young(options: HarnessOptions = {}): Harness {
  const t = established(options);
  t.connection.ack.timeout = 0;
  return t;
}

test('a young connection acknowledges every segment at once', () => {
  const t = young();
  for (let i = 0; i < 16; i++) {
    t.at(1 + i, { ...DATA, seq: 10 * i, length: 10 }).expect({ ...ACK, ack: 10 * i + 10 });
  }
  t.at(20, { ...DATA, seq: 160, length: 10 }).expect();
});

test('so many segments only as half of the window has room for', () => {
  const t = young({ receiveLimit: 5_000 });
  t.at(1, { ...DATA, length: 10 }).expect(ACK);
  t.at(2, { ...DATA, seq: 10, length: 10 }).expect(ACK);
  t.at(3, { ...DATA, seq: 20, length: 10 }).expect();
});

test('an answer ends the eagerness: the two sides speak in turn', () => {
  const t = young();
  t.at(1, { ...DATA, data: 'ask' }).expect({ ...ACK, ack: 3 });
  t.write('answer').expect({ ...DATA, data: 'answer' });
  t.at(30, { ...DATA, seq: 3, ack: 6, data: 'again' }).expect();
  t.at(79).expect({ ...ACK, ack: 8 });
  // Nobody answered this time, so that the next is acknowledged as before.
  t.at(80, { ...DATA, seq: 8, ack: 6, data: 'more' }).expect({ ...ACK, ack: 12 });
});

test('after a pause the peer may start slowly again, and is acknowledged at once', () => {
  const t = established().at(1, { ...DATA, length: 10 });
  t.expect().at(50).expect(ACK);
  t.at(5_000, { ...DATA, seq: 10, length: 10 }).expect({ ...ACK, ack: 20 });
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

test('a second segment does not put it off, and takes it along when it is nearly due', () => {
  const t = established()
    .at(1, { ...DATA, length: 10 })
    .at(10, { ...DATA, seq: 10, length: 10 });
  t.expect()
    .at(41)
    .expect({ ...ACK, ack: 20 });
  const u = established().at(1, { ...DATA, length: 10 });
  u.expect()
    .at(30, { ...DATA, seq: 10, length: 10 })
    .expect({ ...ACK, ack: 20 });
});

test('the delay follows the pace of what comes, between 40 and 200 ms', () => {
  const t = established();
  const { ack } = t.connection;
  // 41 ms after the last the delay is over, and nobody has answered: it doubles.
  t.at(1, { ...DATA, length: 1 })
    .at(45)
    .expect(ACK);
  expect(ack.timeout).toBe(80_000);
  t.at(61, { ...DATA, seq: 1, length: 1 });
  expect(ack.timeout).toBe(100_000);
  t.at(62, { ...DATA, seq: 2, length: 1 });
  expect(ack.timeout).toBe(70_000);
});

test('two full segments are acknowledged at once', () => {
  const t = established(READ).at(1, { ...DATA, length: MSS });
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
  const t = young();
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
      [30, 35],
      [10, 15],
    ],
    [
      [70, 75],
      [50, 55],
      [30, 35],
      [10, 15],
    ],
  ]);
  t.arrive({ ...DATA, seq: 35, length: 5 });
  expect(t.sent()[0].sack).toEqual([
    [30, 40],
    [70, 75],
    [50, 55],
    [10, 15],
  ]);
  // What closes the gap between two makes one of them, and room for none that is forgotten.
  t.arrive({ ...DATA, seq: 40, length: 10 });
  expect(t.sent()[0].sack).toEqual([
    [30, 55],
    [70, 75],
    [10, 15],
  ]);
  const s = established({ sack: true, timestamps: true });
  for (const seq of [10, 30, 50, 70]) s.arrive({ ...DATA, seq, length: 5 });
  expect(s.sent().at(-1)?.sack).toHaveLength(3);
});

test('more gaps than are kept are counted, and repaired by what is sent again', () => {
  const t = established({ sack: true });
  for (let gap = 0; gap < 1_030; gap++) t.arrive({ ...DATA, seq: 1 + 2 * gap, length: 1 });
  expect(t.connection.receiveBuffer.gaps.count).toBe(1_024);
  expect(t.host.tcp.counters.reassemblyDrops).toBe(6);
  for (let piece = 0; piece < 103; piece++) t.arrive({ ...DATA, seq: 20 * piece, length: 20 });
  expect(t.read()).toHaveLength(2_060);
});

test('bytes beyond the window are cut off, and answered', () => {
  const t = established({ receiveLimit: 1_000 });
  t.at(1, { ...DATA, length: 1_500 }).expect({ ...ACK, ack: 1_000, window: 0 });
  t.at(2, { ...DATA, seq: 1_000, length: 500 }).expect({ ...ACK, ack: 1_000, window: 0 });
  expect(t.read()).toHaveLength(1_000);
});

test('a reader that keeps up causes no acknowledgments of its own', () => {
  const t = established(READ);
  t.handler.onReadable = () => t.read().length;
  for (let i = 0; i < 20; i++) t.arrive({ ...DATA, seq: i * MSS, length: MSS });
  const sent = t.sent();
  expect(sent).toHaveLength(10);
  expect(sent.at(-1)).toMatchObject({ ack: 20 * MSS, window: 65_535 });
});

test('a reader that took the end of what the peer had to say acknowledges it', () => {
  const t = established();
  t.at(1, { ...DATA, flags: 'PA', length: 10 }).expect();
  t.connection.read(5);
  t.expect();
  t.connection.read();
  t.expect({ ...ACK, ack: 10 });
});

test('after the end, reading tells nothing', () => {
  const t = established({ receiveLimit: 1_000 })
    .at(1, { ...FIN, length: 1_000 })
    .pass(40);
  t.sent();
  t.read();
  t.expect();
});

test('a segment train is one arrival', () => {
  const t = established({ ...READ, offload: true });
  t.handler.onReadable = () => t.connection.count.bytesReceived;
  t.at(1, { ...DATA, length: 30_000 }).expect({ ...ACK, ack: 30_000 });
  expect(t.read()).toHaveLength(30_000);
});

test('pages that are large enough keep what is out of order across the wrap', () => {
  const t = established();
  const text = Array.from({ length: 5_000 }, (_, i) => String.fromCharCode(i % 251)).join('');
  for (let seq = 4_900; seq >= 0; seq -= 100) {
    t.arrive({ ...DATA, seq, data: text.slice(seq, seq + 100) });
  }
  expect(t.read()).toBe(text);
});
