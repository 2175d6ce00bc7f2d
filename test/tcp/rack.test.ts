// RACK and the tail loss probe (RFC 8985), on a path of 100 ms: what is late, what is lost, and what a silent
// tail gets.
import { expect, test } from 'vitest';
import { flightFault } from './flight-check.ts';
import { ACK, DATA, established, type Harness, MSS, type Script } from './harness.ts';

const segments = (sent: Script[]): number[] => sent.map(({ seq = 0 }) => seq / MSS);
const ack = (to: number, ...sack: [number, number][]): Script => ({
  ...ACK,
  ack: to * MSS,
  sack: sack.map(([left, right]) => [left * MSS, right * MSS]),
});

function sending(count: number): Harness {
  const t = established({ sack: true });
  t.write(count * MSS).sent();
  return t;
}

test('one report is no loss before a quarter of the round trip has passed', () => {
  const t = sending(4);
  t.at(100, ack(0, [1, 2])).expect();
  expect(t.connection.recovery.phase).toBe('disorder');
  expect(t.connection.retransmit.timer).toBe('reorder');
  // 25 ms, and the 2 ms that no timer is shorter than.
  t.at(126)
    .expect()
    .at(127)
    .expect({ ...DATA, seq: 0, length: MSS });
  expect(t.connection.recovery.phase).toBe('recovery');
  expect(flightFault(t.connection)).toBeUndefined();
});

test('three reported segments end the waiting', () => {
  const t = sending(6);
  t.at(100, ack(0, [1, 2])).expect();
  t.at(101, ack(0, [1, 3])).expect();
  t.at(102, ack(0, [1, 4])).expect({ ...DATA, seq: 0 });
});

test('what is only late is not sent again, and from then on more is waited for', () => {
  const t = sending(6);
  t.at(100, ack(0, [1, 3])).expect();
  t.at(110, ack(6)).expect();
  expect(t.connection.recovery).toMatchObject({ phase: 'open', reordSeen: 1 });
  t.write(6 * MSS).sent();
  // Three reports do not suffice any more.
  t.at(211, ack(6, [7, 10])).expect();
  expect(t.connection.recovery.phase).toBe('disorder');
  t.pass(30);
  expect(segments(t.sent())).toEqual([6]);
});

test('a lost retransmission is found by what was sent after it', () => {
  const t = sending(10);
  t.write(10 * MSS).sent();
  t.at(100, ack(0, [1, 4]));
  expect(segments(t.sent())[0]).toBe(0);
  // New data that was sent after the retransmission arrives, the retransmission does not.
  t.at(110, ack(0, [1, 10])).sent();
  t.at(230, ack(0, [1, 12]));
  t.pass(40);
  expect(segments(t.sent())).toContain(0);
  expect(flightFault(t.connection)).toBeUndefined();
});

test('reported duplicates widen the waiting time', () => {
  const t = sending(6);
  t.at(100, ack(0, [1, 3]))
    .at(110, ack(6))
    .sent();
  t.write(6 * MSS).sent();
  t.at(211, ack(6, [7, 10])).pass(30);
  expect(segments(t.sent())).toEqual([6]);
  // The original was late, and both have arrived.
  t.pass(10).arrive(ack(12), ack(12, [6, 7]));
  expect(t.connection.recovery).toMatchObject({ phase: 'open', dsackDups: 1 });
  t.write(MSS).sent();
  t.pass(100).arrive(ack(13));
  expect(t.connection.recovery.reoSteps).toBe(2);
});

test('a silent tail is probed after two round trips: the last segment again', () => {
  const t = sending(4);
  t.at(201)
    .expect()
    .at(202)
    .expect({ ...DATA, seq: 3 * MSS, length: MSS });
  expect(t.host.tcp.counters).toMatchObject({ tailProbes: 1, timeouts: 0 });
  // Then the retransmission timer, which counts from the probe.
  t.at(501)
    .expect()
    .at(502)
    .expect({ ...DATA, seq: 0 });
  expect(t.connection.recovery.phase).toBe('loss');
});

test('a single segment may be acknowledged late: its probe waits for the timeout', () => {
  const t = sending(1);
  t.at(299)
    .expect()
    .at(300)
    .expect({ ...DATA, seq: 0 });
  expect(t.host.tcp.counters).toMatchObject({ tailProbes: 1, timeouts: 0 });
});

test('new data is the better probe, whatever the congestion window says', () => {
  const t = sending(10);
  t.write(2 * MSS).expect();
  t.at(202).expect({ ...DATA, seq: 10 * MSS, length: MSS });
  t.at(302, ack(0, [10, 11]));
  // The probe is reported, so all before it is lost.
  t.pass(40);
  expect(segments(t.sent())[0]).toBe(0);
  expect(t.connection.recovery.phase).toBe('recovery');
});

test('a probe that repairs a loss costs half of what a timeout costs: the window shrinks', () => {
  const t = sending(4);
  t.at(202).expect({ ...DATA, seq: 3 * MSS });
  t.write(MSS).sent();
  t.at(290, ack(5));
  expect(t.connection.congestion).toMatchObject({ cwnd: 7, ssthresh: 7 });
  expect(t.connection.recovery).toMatchObject({ phase: 'open', tlpEnd: -1 });
});

test('a probe that was needless costs nothing', () => {
  const t = sending(4);
  t.at(202).expect({ ...DATA, seq: 3 * MSS });
  t.at(210, ack(4), ack(4, [3, 4]));
  expect(t.connection.congestion.ssthresh).toBe(0x7fff_ffff);
  expect(t.connection.recovery).toMatchObject({ phase: 'open', tlpEnd: -1, dsackDups: 1 });
});

test('without SACK there is no probe', () => {
  const t = established();
  t.write(4 * MSS).sent();
  t.at(299)
    .expect()
    .at(300)
    .expect({ ...DATA, seq: 0 });
});

test('small segments are sent again as one', () => {
  const t = established({ sack: true });
  t.connection.snd.noDelay = true;
  for (let i = 0; i < 4; i++) t.write(100);
  t.sent();
  t.write(100).sent();
  t.at(100, { ...ACK, sack: [[400, 500]] });
  t.pass(30).expect({ ...DATA, seq: 0, length: 400 });
  expect(t.connection.recovery.packetsOut).toBe(2);
  expect(flightFault(t.connection)).toBeUndefined();
});
