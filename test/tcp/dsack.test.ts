// Duplicates are reported (RFC 2883, section 4).
import { expect, test } from 'vitest';
import { ACK, DATA, established } from './harness.ts';

test('a segment that has come before is reported, once', () => {
  const t = established({ sack: true })
    .at(1, { ...DATA, length: 100 })
    .pass(300);
  t.sent();
  t.arrive({ ...DATA, length: 100 }).expect({ ...ACK, ack: 100, sack: [[0, 100]] });
  t.arrive({ ...DATA, seq: 100, length: 10 }).expect({ ...ACK, ack: 110, sack: [] });
});

test('of a segment that has come in part, only that part', () => {
  const t = established({ sack: true })
    .at(1, { ...DATA, length: 100 })
    .pass(300);
  t.sent();
  t.arrive({ ...DATA, seq: 50, length: 100 }).expect({ ...ACK, ack: 150, sack: [[50, 100]] });
});

test('one that came out of order before is reported first, and then the range that holds it', () => {
  const t = established({ sack: true });
  t.at(1, { ...DATA, seq: 100, length: 100 }, { ...DATA, seq: 200, length: 100 }).sent();
  t.arrive({ ...DATA, seq: 200, length: 100 }).expect({
    ...ACK,
    ack: 0,
    sack: [
      [200, 300],
      [100, 300],
    ],
  });
  t.arrive({ ...DATA, seq: 250, length: 100 }).expect({
    ...ACK,
    ack: 0,
    sack: [
      [250, 300],
      [100, 350],
    ],
  });
});

test('with timestamps there is room for the duplicate and two ranges', () => {
  const t = established({ sack: true, timestamps: true });
  for (const seq of [10, 30, 50]) t.arrive({ ...DATA, seq, length: 5 });
  t.sent();
  t.arrive({ ...DATA, seq: 50, length: 5 });
  expect(t.sent()[0].sack).toEqual([
    [50, 55],
    [50, 55],
    [30, 35],
  ]);
});

test('without SACK nothing is reported', () => {
  const t = established()
    .at(1, { ...DATA, length: 100 })
    .pass(300);
  t.sent();
  t.arrive({ ...DATA, length: 100 }).expect({ ...ACK, ack: 100, sack: [] });
});

test('a flood of duplicates is answered one by one, and costs nothing', () => {
  const t = established({ sack: true })
    .at(1, { ...DATA, length: 100 })
    .pass(300);
  t.sent();
  for (let i = 0; i < 1_000; i++) t.arrive({ ...DATA, seq: i % 90, length: 10 });
  expect(t.sent()).toHaveLength(1_000);
  expect(t.connection.receiveBuffer.gaps.count).toBe(0);
  expect(t.host.tcp.memory.held).toBe(100);
});
