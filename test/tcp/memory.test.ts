// What strangers can make us keep has limits: for a connection, and for all of them together.
import { expect, test } from 'vitest';
import { ACK, accepted, DATA, established, FIN, Harness, MSS, SYN } from './harness.ts';

/** Opens `count` connections, whose user does not read. */
function crowd(count: number, memoryLimit: number): Harness {
  const t = new Harness({ sack: true, tcp: { memoryLimit } }).listen();
  for (let fromPort = 1; fromPort <= count; fromPort++) {
    t.arrive({ ...SYN, ...t.peerOptions(), fromPort }, { ...ACK, seq: 0, fromPort });
  }
  return t.begin();
}

test('bytes that wait are counted, and given back when they are read, or their connection ends', () => {
  const t = accepted({ sack: true });
  const { memory } = t.host.tcp;
  t.arrive({ ...DATA, length: 500 }, { ...DATA, seq: 1_000, length: 500 });
  expect(memory.held).toBe(500 + 8_192);
  t.arrive({ ...DATA, seq: 500, length: 500 });
  expect(memory.held).toBe(1_500);
  t.connection.read(400);
  expect(memory.held).toBe(1_100);
  t.write(3_000);
  expect(memory.held).toBe(4_100);
  t.arrive({ ...ACK, seq: 1_500, ack: 1_000 });
  expect(memory.held).toBe(3_100);
  t.arrive({ ...DATA, seq: 2_000, length: 1, ack: 1_000 });
  t.connection.abort();
  expect(memory.held).toBe(0);
  expect(t.read()).toHaveLength(1_100);
  expect(memory.held).toBe(0);
});

test('one byte at the far end of the window costs a page, not the window', () => {
  const t = accepted({ scale: 7, tcp: { receiveInitial: 1_000_000 } });
  t.connection.rcv.edge = (t.connection.rcv.nxt + 1_000_000) >>> 0;
  t.arrive({ ...DATA, seq: 999_000, length: 1 });
  expect(t.host.tcp.memory.held).toBe(8_192);
});

test('one-byte segments that fill a window out of order cost no more than the window', () => {
  const t = accepted({ sack: true });
  for (let i = 0; i < 5_000; i++) t.arrive({ ...DATA, seq: 2 * i + 1, length: 1 });
  expect(t.host.tcp.memory.held).toBeLessThanOrEqual(65_536 + 8_192);
  expect(t.host.tcp.counters.reassemblyDrops).toBe(5_000 - 1_024);
  t.arrive({ ...DATA, seq: 0, length: 10_000 });
  expect(t.connection.receiveBuffer.gaps.count).toBe(0);
  expect(t.host.tcp.memory.held).toBe(10_000);
});

test('all together are bounded: what comes out of order is not kept when memory is used up', () => {
  const limit = 200_000;
  const t = crowd(20, limit);
  for (let round = 0; round < 40; round++) {
    for (let fromPort = 1; fromPort <= 20; fromPort++) {
      t.arrive({ ...DATA, fromPort, seq: round * MSS, length: MSS });
      t.arrive({ ...DATA, fromPort, seq: (round + 5) * MSS + 1, length: MSS - 1 });
    }
  }
  const { memory, counters } = t.host.tcp;
  // One page, or one segment for each that had none, beyond the limit at most.
  expect(memory.held).toBeLessThan(limit + 20 * MSS + 8_192);
  expect(counters.memoryDrops).toBeGreaterThan(0);
  expect(counters.reassemblyDrops).toBeGreaterThan(0);
});

test('under pressure windows do not grow, and do when it is over', () => {
  const t = established({ scale: 7, timestamps: true, tcp: { memoryLimit: 100_000 } });
  t.handler.onReadable = () => t.read().length;
  t.host.tcp.memory.hold(80_000);
  let next = 0;
  const round = (count: number): void => {
    for (let i = 0; i < count; i++, next += MSS) t.arrive({ ...DATA, seq: next, length: MSS });
    t.pass(50);
  };
  for (let i = 0; i < 8; i++) round(30);
  expect(t.connection.rcv.limit).toBe(65_536);
  t.host.tcp.memory.hold(-80_000);
  for (let i = 0; i < 8; i++) round(60);
  expect(t.connection.rcv.limit).toBeGreaterThan(65_536);
});

test('data that is dropped for want of memory is taken when it comes again', () => {
  const t = accepted({ tcp: { memoryLimit: 1_000 } });
  t.arrive({ ...DATA, length: 1_000 });
  t.arrive({ ...DATA, seq: 1_000, length: 10 });
  expect(t.host.tcp.counters.memoryDrops).toBe(1);
  t.read();
  t.arrive({ ...DATA, seq: 1_000, length: 10 });
  expect(t.read()).toHaveLength(10);
});

test('connections that nobody uses any more are bounded: one too many is reset', () => {
  const t = new Harness({ tcp: { maximumOrphans: 2 } }).listen();
  for (const fromPort of [1, 2, 3]) {
    t.arrive({ ...SYN, fromPort }, { ...ACK, seq: 0, fromPort }).sent();
    t.connection.abandon();
    expect(t.sent()[0].flags).toBe(fromPort === 3 ? 'RA' : 'FA');
  }
  expect(t.host.tcp.counters.orphansReset).toBe(1);
  expect(t.host.tcp.orphans).toBe(2);
  t.arrive({ ...FIN, seq: 0, ack: 1, fromPort: 1 });
  expect(t.host.tcp.orphans).toBe(1);
  t.at(600_000).sent();
  expect(t.host.tcp.orphans).toBe(0);
  t.expectGone();
});

test('FIN-WAIT-2 of an orphan lasts as long as the stack says', () => {
  const t = established({ tcp: { finWait2Timeout: 5_000_000 } });
  t.connection.abandon();
  t.at(10, { ...ACK, ack: 1 }).at(5_009);
  expect(t.host.tcp.connectionCount).toBe(1);
  t.at(5_010).expectGone();
});
