import { expect, test } from 'vitest';
import { ACK, accepted, DATA, established, MSS, type Script } from './harness.ts';

const segments = (sent: Script[]): (number | undefined)[] => sent.map(({ seq = 0 }) => seq / MSS);

test('the third duplicate acknowledgment sends the first unacknowledged segment again', () => {
  const t = accepted();
  t.write(6 * MSS);
  expect(segments(t.sent())).toEqual([0, 1, 2, 3, 4, 5]);
  t.at(50, { ...ACK, ack: 0 }, { ...ACK, ack: 0 }).expect();
  t.arrive({ ...ACK, ack: 0 }).expect({ ...DATA, seq: 0, length: MSS });
  expect(t.connection.recovery.phase).toBe('recovery');
  // CUBIC: 0.7 of ten.
  expect(t.connection.congestion.ssthresh).toBe(7);
  t.at(60, { ...ACK, ack: 6 * MSS });
  // Without reports it lasts until more than that is acknowledged (RFC 6582, section 4).
  expect(t.connection.recovery.phase).toBe('recovery');
  t.write(MSS).at(70, { ...ACK, ack: 7 * MSS });
  expect(t.connection.recovery.phase).toBe('open');
  expect(t.connection.congestion.cwnd).toBe(7);
  expect(t.host.tcp.counters.timeouts).toBe(0);
});

test('what differs in window, or carries data, is no duplicate', () => {
  const t = established();
  t.write(6 * MSS).sent();
  for (let i = 0; i < 5; i++) {
    t.arrive({ ...ACK, window: 60_000 + i }, { ...DATA, seq: i, length: 1, window: 60_000 + i });
  }
  expect(t.connection.recovery.phase).toBe('open');
});

test('the first two duplicates let new data out (limited transmit)', () => {
  const t = accepted();
  t.write(20 * MSS);
  expect(segments(t.sent())).toHaveLength(10);
  t.at(50, ACK);
  expect(segments(t.sent())).toEqual([10]);
  t.arrive(ACK);
  expect(segments(t.sent())).toEqual([11]);
  t.arrive(ACK);
  expect(segments(t.sent())).toEqual([0]);
});

test('without SACK a partial acknowledgment sends the next hole again', () => {
  const t = accepted();
  t.write(10 * MSS).sent();
  t.at(50, ACK, ACK, ACK).expect({ ...DATA, seq: 0 });
  t.at(100, { ...ACK, ack: 4 * MSS }).expect({ ...DATA, seq: 4 * MSS, length: MSS });
  t.at(150, { ...ACK, ack: 7 * MSS }).expect({ ...DATA, seq: 7 * MSS, length: MSS });
  t.at(200, { ...ACK, ack: 10 * MSS }).expect();
  t.write(MSS).at(210, { ...ACK, ack: 11 * MSS });
  expect(t.connection.recovery.phase).toBe('open');
  expect(t.host.tcp.counters).toMatchObject({ fastRetransmits: 1, retransmits: 3, timeouts: 0 });
});

test('without SACK further duplicates let new data out', () => {
  const t = accepted();
  t.write(30 * MSS);
  expect(t.sent()).toHaveLength(10);
  t.at(50, ACK, ACK, ACK).sent();
  const flight = t.connection.snd.nxt;
  for (let i = 0; i < 7; i++) t.arrive(ACK);
  expect(t.sent().length).toBeGreaterThan(0);
  expect(t.connection.snd.nxt).not.toBe(flight);
});

test('with SACK only the holes are sent again', () => {
  const t = established({ sack: true });
  t.write(10 * MSS).sent();
  const ack = (...sack: [number, number][]): Script => ({
    ...ACK,
    sack: sack.map(([left, right]) => [left * MSS, right * MSS]),
  });
  // Segments 0, 2 and 5 are lost.
  t.at(50, ack([1, 2]))
    .expect()
    .arrive(ack([3, 4], [1, 2]))
    .expect();
  t.arrive(ack([3, 5], [1, 2]));
  expect(segments(t.sent())).toEqual([0]);
  t.arrive(ack([6, 7], [3, 5], [1, 2]));
  t.arrive(ack([6, 8], [3, 5], [1, 2]));
  t.arrive(ack([6, 9], [3, 5], [1, 2]));
  t.arrive(ack([6, 10], [3, 5], [1, 2]));
  expect(segments(t.sent())).toEqual([2, 5]);
  t.at(100, {
    ...ACK,
    ack: 2 * MSS,
    sack: [
      [3 * MSS, 5 * MSS],
      [6 * MSS, 10 * MSS],
    ],
  });
  t.at(101, { ...ACK, ack: 5 * MSS, sack: [[6 * MSS, 10 * MSS]] }).expect();
  t.at(102, { ...ACK, ack: 10 * MSS }).expect();
  expect(t.host.tcp.counters).toMatchObject({ retransmits: 3, timeouts: 0, fastRetransmits: 1 });
  expect(t.connection.recovery.sackedOut).toBe(0);
});

test('three ranges mean loss, though only one acknowledgment reports them', () => {
  const t = established({ sack: true });
  t.connection.snd.noDelay = true;
  for (let i = 0; i < 7; i++) t.write(100);
  t.sent();
  const sack: [number, number][] = [
    [100, 200],
    [300, 400],
    [500, 600],
  ];
  t.at(50, { ...ACK, sack });
  expect(t.sent()[0]).toMatchObject({ ...DATA, seq: 0, length: 100 });
});

test('with SACK an acknowledgment that reports nothing new is no duplicate', () => {
  const t = established({ sack: true });
  t.write(10 * MSS).sent();
  const ack: Script = { ...ACK, sack: [[MSS, 2 * MSS]] };
  t.at(50, ack, ack, ack, ack, ACK, ACK, ACK).expect();
  expect(t.connection.recovery).toMatchObject({ phase: 'disorder', sackedOut: 1 });
});

test('reports of what was never sent, or is acknowledged, or upside down, are ignored', () => {
  const t = established({ sack: true });
  t.write(4 * MSS).sent();
  t.at(10, {
    ...ACK,
    ack: MSS,
    sack: [
      [0, MSS],
      [3 * MSS, 2 * MSS],
      [3 * MSS, 9 * MSS],
    ],
  });
  expect(t.connection.recovery.sackedOut).toBe(0);
});

test('a timeout sends the first segment again, with twice the pause each time', () => {
  const t = established();
  t.write(3 * MSS).sent();
  t.at(299)
    .expect()
    .at(300)
    .expect({ ...DATA, seq: 0, length: MSS });
  t.at(899)
    .expect()
    .at(900)
    .expect({ ...DATA, seq: 0 });
  t.at(2_100).expect({ ...DATA, seq: 0 });
  expect(t.connection.congestion).toMatchObject({ cwnd: 1, ssthresh: 7 });
});

test('after a timeout the window opens again as in slow start', () => {
  const t = established();
  t.write(8 * MSS).sent();
  t.at(300).expect({ ...DATA, seq: 0 });
  t.at(350, { ...ACK, ack: MSS });
  expect(segments(t.sent())).toEqual([1, 2]);
  t.at(400, { ...ACK, ack: 3 * MSS });
  expect(segments(t.sent())).toEqual([3, 4, 5, 6]);
  // Without reports the phase lasts until something above its point is acknowledged (RFC 6582).
  t.at(450, { ...ACK, ack: 8 * MSS }).expect();
  expect(t.connection.recovery.phase).toBe('loss');
  t.write(MSS).at(460, { ...ACK, ack: 9 * MSS });
  expect(t.connection.recovery.phase).toBe('open');
});

test('after a timeout what was reported is not sent again', () => {
  const t = established({ sack: true });
  t.write(3 * MSS).sent();
  t.at(101, { ...ACK, sack: [[2 * MSS, 3 * MSS]] }).sent();
  t.pass(2_000).sent();
  expect(t.connection.recovery.phase).toBe('loss');
  t.arrive({ ...ACK, ack: MSS, sack: [[2 * MSS, 3 * MSS]] });
  expect(segments(t.sent())).toEqual([1]);
});

test('a peer that has reported the first segment and does not acknowledge it has thrown it away', () => {
  const t = established({ sack: true });
  t.write(4 * MSS).sent();
  t.at(50, { ...ACK, sack: [[MSS, 4 * MSS]] }).sent();
  // The hole is filled, and yet what was reported is not acknowledged (RFC 2018, section 8).
  t.at(100, { ...ACK, ack: MSS, sack: [[2 * MSS, 4 * MSS]] }).sent();
  t.pass(200);
  expect(segments(t.sent())).toEqual([1]);
  expect(t.connection.recovery).toMatchObject({ phase: 'loss', sackedOut: 0, reneged: true });
  t.arrive({ ...ACK, ack: 2 * MSS });
  expect(segments(t.sent())).toEqual([2, 3]);
  t.arrive({ ...ACK, ack: 4 * MSS });
  expect(t.connection.recovery).toMatchObject({ phase: 'open', reneged: false });
});

test('duplicates that come after a timeout mean nothing', () => {
  const t = established();
  t.write(20 * MSS).sent();
  t.pass(t.rto).expect({ ...DATA, seq: 0 });
  t.arrive(ACK, ACK, ACK, ACK, ACK, ACK).expect();
});

test('a segment that was sent twice gives no sample without timestamps (Karn)', () => {
  const t = established();
  t.write(MSS).sent();
  const before = t.connection.rtt.srtt;
  t.at(300).at(800, { ...ACK, ack: MSS });
  expect(t.connection.rtt.srtt).toBe(before);
  // The doubled timeout stays until there is a sample.
  expect(t.rto).toBe(600);
  t.write(MSS);
  t.at(900, { ...ACK, ack: 2 * MSS });
  expect(t.rto).toBeLessThan(400);
});

test('nor does one that a fast retransmission repeats', () => {
  const t = accepted();
  t.write(6 * MSS).sent();
  const { srtt } = t.connection.rtt;
  t.at(50, ACK, ACK, ACK)
    .expect({ ...DATA, seq: 0 })
    .at(250, { ...ACK, ack: 6 * MSS });
  expect(t.connection.rtt.srtt).toBe(srtt);
});

test('with timestamps it gives one', () => {
  const t = established({ timestamps: true });
  t.write(100).sent();
  t.at(300);
  const [again] = t.sent();
  t.at(350, { ...ACK, ack: 100, timestamps: [3_000, again.timestamps?.[0] ?? 0] });
  expect(t.rto).toBeLessThan(400);
});

test('fifteen timeouts end the connection', () => {
  const t = established();
  t.write('x').sent();
  t.at(30 * 60_000);
  expect(t.host.tcp.counters.timeouts).toBe(15);
  // No reset: who does not answer would not hear it either.
  expect(t.sent().at(-1)).toMatchObject({ ...DATA, seq: 0 });
  t.expectEvents('close ETIMEDOUT').expectGone();
});

test('the timer starts anew with each acknowledgment of new data', () => {
  const t = established();
  t.write(3 * MSS).sent();
  t.at(250, { ...ACK, ack: MSS })
    .pass(t.rto - 1)
    .expect()
    .pass(1)
    .expect({ ...DATA, seq: MSS });
});

test('the round trip is measured: the timeout is SRTT and four deviations, at least 200 ms more', () => {
  const t = accepted();
  expect(t.connection.rtt).toMatchObject({ srtt: 100_000, rttvar: 50_000, rto: 300_000 });
  t.write(10).at(180, { ...ACK, ack: 10 });
  expect(t.connection.rtt).toMatchObject({
    srtt: 110_000,
    mdev: 57_500,
    rttvar: 57_500,
    rto: 340_000,
  });
});

test('a train that was lost in part is repaired in part', () => {
  const t = established({ offload: true, sack: true });
  t.connection.congestion.cwnd = 40;
  // Half of the congestion window, and what is left of a piece of half of the peer's window.
  t.write(40 * MSS).expect(
    { ...DATA, length: 20 * MSS },
    { ...DATA, length: 12 * MSS },
    { ...DATA, length: 8 * MSS },
  );
  t.at(50, { ...ACK, ack: 5 * MSS, sack: [[25 * MSS, 30 * MSS]] });
  const first = t.sent();
  expect(first[0]).toMatchObject({ seq: 5 * MSS });
  for (const { seq = 0, length = 0 } of first) expect(seq + length).toBeLessThanOrEqual(25 * MSS);
  t.at(51, { ...ACK, ack: 5 * MSS, sack: [[25 * MSS, 40 * MSS]] });
  const repaired = [...first, ...t.sent()].reduce((sum, { length = 0 }) => sum + length, 0);
  expect(repaired).toBeGreaterThan(10 * MSS);
  t.at(100, { ...ACK, ack: 40 * MSS });
  expect(t.connection.recovery.phase).toBe('open');
});
