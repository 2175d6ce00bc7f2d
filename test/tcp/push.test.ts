// What holds data back and what pushes it out: PSH, cork, MSG_MORE, MSG_EOR, ECN's marks on what is sent, and
// segments that have become too large.
import { expect, test } from 'vitest';
import { resendTooLarge } from '../../src/tcp/sender.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { flightFault } from './flight-check.ts';
import { ACK, accepted, DATA, established, FIN, type Harness, MSS } from './harness.ts';

const TCP_AT = NETWORK_AT + ipv4.IPV4_LENGTH;

/** Which of the frames since the last call carry PSH. */
function pushed(t: Harness): boolean[] {
  const frames = t.link.outgoing.splice(0);
  return frames.map(({ view }) => (tcp.flags(view, TCP_AT) & tcp.PSH) !== 0);
}

/** The ECN field of the frames since the last call. */
function ecnFields(t: Harness): number[] {
  const frames = t.link.outgoing.splice(0);
  return frames.map(({ view }) => ipv4.trafficClass(view, NETWORK_AT) & 3);
}

function text(t: Harness, what: string, more = false, recordEnd = false): Harness {
  t.connection.write(Buffer.from(what), more, recordEnd);
  return t;
}

test('PSH ends a write, and a train', () => {
  const t = established();
  t.write('x');
  expect(pushed(t)).toEqual([true]);
  t.arrive({ ...ACK, ack: 1 });
  t.write(20 * MSS);
  // Two trains of half a window.
  const flags = pushed(t);
  expect(flags).toHaveLength(10);
  expect(flags.flatMap((push, index) => (push ? [index] : []))).toEqual([4, 9]);
});

test('a FIN alone carries no PSH; PSH of a write stays with its end when it is sent again', () => {
  const t = established();
  t.write(MSS + 1);
  expect(pushed(t)).toEqual([false, true]);
  t.connection.end();
  expect(pushed(t)).toEqual([false]);
  t.pass(t.rto);
  expect(pushed(t)).toEqual([false]);
});

test('a large write is pushed whenever half of the window has gone out', () => {
  const t = established({ window: 8_000 });
  t.connection.congestion.cwnd = 2;
  t.write(20 * MSS);
  let segments = 0;
  const at: number[] = [];
  for (let i = 1; i <= 18; i++) {
    for (const push of pushed(t)) {
      if (push) at.push(segments);
      segments++;
    }
    t.connection.congestion.cwnd = 2;
    t.connection.congestion.ssthresh = 2;
    t.arrive({ ...ACK, ack: i * MSS });
  }
  // Pieces of four segments: the end of the second is the first that lies beyond half of the window.
  expect(at.slice(0, 2)).toEqual([7, 15]);
});

test('a corked connection sends full segments only, and after 200 ms or more the rest', () => {
  const t = established();
  t.connection.snd.corked = true;
  t.write(MSS + 100).expect({ ...DATA, seq: 0, length: MSS });
  t.at(100, { ...ACK, ack: MSS }).expect();
  t.pass(t.rto - 1)
    .expect()
    .pass(1)
    .expect({ ...DATA, seq: MSS, length: 100 });
  t.pass(1).arrive({ ...ACK, ack: MSS + 100 });
  t.write('a').expect();
  t.connection.snd.corked = false;
  t.connection.flush();
  t.expect({ ...DATA, data: 'a' });
});

test('what more follows to waits for it', () => {
  const t = established();
  text(t, 'head', true).expect();
  text(t, 'body').expect({ ...DATA, seq: 0, data: 'headbody' });
});

test('the end of a record ends a segment, first and again', () => {
  const t = established({ sack: true, window: 3 });
  t.connection.snd.noDelay = true;
  text(t, 'abc').expect({ ...DATA, data: 'abc' });
  text(t, 'one', false, true);
  text(t, 'two', false, true);
  text(t, 'rest').expect();
  t.at(50, { ...ACK, ack: 3, window: 1_000 }).expect(
    { ...DATA, seq: 3, data: 'one' },
    { ...DATA, seq: 6, data: 'two' },
    { ...DATA, seq: 9, data: 'rest' },
  );
  // Small segments that are lost are joined, but not across the end of a record.
  t.at(90, { ...ACK, ack: 3, window: 1_000, sack: [[9, 13]] });
  t.pass(50).expect({ ...DATA, seq: 3, data: 'one' });
  t.arrive({ ...ACK, ack: 6, window: 1_000, sack: [[9, 13]] });
  t.expect({ ...DATA, seq: 6, data: 'two' });
});

test('a record without bytes ends nothing', () => {
  const t = established();
  text(t, '', false, true).expect();
  text(t, 'one', false, true).expect({ ...DATA, seq: 0, data: 'one' });
  text(t, '', false, true).expect();
  t.connection.snd.noDelay = true;
  text(t, 'two').expect({ ...DATA, seq: 3, data: 'two' });
});

test('a FIN waits behind the last record', () => {
  const t = established();
  text(t, 'end', false, true).expect({ ...DATA, data: 'end' });
  t.connection.end();
  t.expect({ ...FIN, seq: 3, length: 0 });
});

test('new data may be marked, acknowledgments and what is sent again may not (ECN)', () => {
  const t = established({ sack: true });
  t.connection.ecn.ok = true;
  t.write(4 * MSS);
  expect(ecnFields(t)).toEqual([2, 2, 2, 2]);
  t.at(50, { ...DATA, length: 10 }).pass(50);
  expect(ecnFields(t)).toEqual([0]);
  t.pass(2_000);
  for (const field of ecnFields(t)) expect(field).toBe(0);
});

test('a congestion mark shrinks the window once a round trip, and CWR says so', () => {
  const t = established({ sack: true });
  t.connection.ecn.ok = true;
  t.write(30 * MSS).sent();
  t.at(100, { ...ACK, flags: 'AE', ack: MSS });
  expect(t.connection.recovery.phase).toBe('cwr');
  expect(t.connection.congestion.ssthresh).toBe(7);
  const reply = t.sent();
  expect(reply.map(({ flags }) => flags)).toEqual(['AW']);
  for (let i = 2; i <= 10; i++) t.arrive({ ...ACK, flags: 'AE', ack: i * MSS });
  expect(t.connection.congestion.ssthresh).toBe(7);
  const flags = t.sent().map((segment) => segment.flags);
  expect(flags.every((letters) => letters === 'A')).toBe(true);
  expect(t.connection.recovery.deliveredCe).toBe(10);
  const { nxt, iss } = t.connection.snd;
  t.at(200, { ...ACK, ack: (nxt - iss - 1) | 0 });
  expect(t.connection.recovery.phase).toBe('open');
  expect(t.connection.congestion.cwnd).toBeLessThanOrEqual(9);
});

test('a train with CWR is cut, so that one segment carries it', () => {
  const t = established({ offload: true, sack: true });
  t.connection.ecn.ok = true;
  t.connection.ecn.cwr = true;
  t.write(4 * MSS).expect(
    { ...DATA, flags: 'AW', seq: 0, length: MSS },
    { ...DATA, flags: 'A', seq: MSS, length: 3 * MSS },
  );
});

test('without ECN an echo means nothing', () => {
  const t = established({ sack: true });
  t.write(4 * MSS).at(50, { ...ACK, flags: 'AE', ack: MSS });
  expect(t.connection.recovery.phase).toBe('open');
  expect(ecnFields(t)).toEqual([0, 0, 0, 0]);
});

test('what has become too large for the path is sent again in smaller segments, at once', () => {
  const t = accepted({ sack: true });
  t.write(4 * MSS).sent();
  t.connection.mss = 500;
  resendTooLarge(t.connection, t.clock.now());
  const sent = t.sent();
  for (const { length } of sent) expect(length).toBeLessThanOrEqual(500);
  expect(sent[0]).toMatchObject({ seq: 0, length: 500 });
  expect(sent).toHaveLength(8);
  expect(flightFault(t.connection)).toBeUndefined();
  // It is no sign of congestion.
  expect(t.connection.congestion).toMatchObject({ cwnd: 10, ssthresh: 0x7fff_ffff });
  t.pass(50).arrive({ ...ACK, ack: 4 * MSS });
  expect(t.connection.recovery.phase).toBe('open');
});
