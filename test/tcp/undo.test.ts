// Reductions of the window that were needless are taken back: by timestamps (Eifel, RFC 3522, 4015), by DSACK
// (RFC 3708) and by F-RTO (RFC 5682).
import { expect, test } from 'vitest';
import { flightFault } from './flight-check.ts';
import { ACK, accepted, DATA, established, type Harness, MSS, type Script } from './harness.ts';

const segments = (sent: Script[]): number[] => sent.map(({ seq = 0 }) => seq / MSS);
const NONE = 0x7fff_ffff;
const ack = (to: number, ...sack: [number, number][]): Script => ({
  ...ACK,
  ack: to * MSS,
  sack: sack.map(([left, right]) => [left * MSS, right * MSS]),
});

/** The TSval of our segments now. */
const stamp = (t: Harness): number => t.host.tcp.timestamp(t.clock.now(), t.connection.ts.offset);

test('an echo of the original undoes a fast retransmission (Eifel)', () => {
  const t = established({ sack: true, timestamps: true, mss: MSS + 12 });
  const sentAt = stamp(t);
  t.write(10 * MSS).sent();
  t.at(50, ack(0, [1, 4]));
  expect(segments(t.sent())).toEqual([0]);
  expect(t.connection.congestion.ssthresh).toBe(7);
  t.at(60, { ...ack(4), timestamps: [3_000, sentAt] });
  t.at(70, { ...ack(10), timestamps: [3_001, sentAt] });
  expect(t.connection.recovery.phase).toBe('open');
  expect(t.connection.congestion.ssthresh).toBe(NONE);
  expect(t.connection.congestion.cwnd).toBeGreaterThanOrEqual(10);
});

test('an echo of the retransmission does not', () => {
  const t = established({ sack: true, timestamps: true, mss: MSS + 12 });
  t.write(10 * MSS).sent();
  t.at(50, ack(0, [1, 4])).sent();
  const again = stamp(t);
  t.at(150, { ...ack(10), timestamps: [3_000, again] });
  expect(t.connection.congestion).toMatchObject({ cwnd: 8, ssthresh: 7 });
});

test('an echo of the original undoes a timeout', () => {
  const t = established({ timestamps: true, mss: MSS + 12 });
  const sentAt = stamp(t);
  t.write(5 * MSS).sent();
  t.pass(t.rto).expect({ ...DATA, seq: 0 });
  expect(t.connection.congestion.cwnd).toBe(1);
  t.pass(10).arrive({ ...ACK, ack: MSS, timestamps: [3_000, sentAt] });
  expect(t.connection.congestion.cwnd).toBeGreaterThanOrEqual(10);
  expect(t.connection.congestion.ssthresh).toBe(NONE);
  expect(t.connection.recovery.lostOut).toBe(0);
  expect(t.host.tcp.counters.spuriousTimeouts).toBe(1);
});

test('reports that every retransmission was a duplicate undo recovery', () => {
  const t = established({ sack: true });
  t.write(10 * MSS).sent();
  t.at(50, ack(0, [1, 4]));
  expect(segments(t.sent())).toEqual([0]);
  t.at(60, ack(4)).sent();
  expect(t.connection.recovery.phase).toBe('recovery');
  t.at(70, ack(4, [0, 1]));
  expect(t.connection.recovery.phase).toBe('open');
  expect(t.connection.congestion).toMatchObject({ ssthresh: NONE });
  expect(t.connection.congestion.cwnd).toBeGreaterThanOrEqual(10);
});

test('duplicates that we did not send change nothing', () => {
  const t = established({ sack: true });
  t.write(10 * MSS).sent();
  t.at(50, ack(5)).sent();
  for (let i = 0; i < 20; i++) t.arrive(ack(5, [0, 1]));
  expect(t.connection.recovery).toMatchObject({ phase: 'open', reoSteps: 1 });
  expect(t.connection.congestion.ssthresh).toBe(NONE);
});

test('after a timeout new data shows whether it was spurious: it was (F-RTO)', () => {
  const t = accepted();
  t.write(10 * MSS).sent();
  t.write(10 * MSS).expect();
  t.pass(t.rto).expect({ ...DATA, seq: 0 });
  // Step 2.b: the acknowledgment advances, and two new segments leave.
  t.pass(1).arrive({ ...ACK, ack: MSS });
  expect(segments(t.sent())).toEqual([10, 11]);
  // Step 3.b: what was never sent again is acknowledged.
  t.pass(1).arrive({ ...ACK, ack: 2 * MSS });
  expect(t.host.tcp.counters.spuriousTimeouts).toBe(1);
  expect(t.connection.congestion.ssthresh).toBe(NONE);
  expect(segments(t.sent())[0]).toBe(12);
  expect(flightFault(t.connection)).toBeUndefined();
});

test('after a timeout new data shows whether it was spurious: it was not', () => {
  const t = accepted();
  t.write(10 * MSS).sent();
  t.write(10 * MSS).expect();
  t.pass(t.rto).expect({ ...DATA, seq: 0 });
  t.pass(50).arrive({ ...ACK, ack: MSS });
  expect(segments(t.sent())).toEqual([10, 11]);
  // Step 3.a: a duplicate, so the rest is lost.
  t.pass(50).arrive({ ...ACK, ack: MSS });
  expect(segments(t.sent())[0]).toBe(1);
  expect(t.connection.recovery).toMatchObject({ phase: 'loss', frto: false });
});

test('with reports a timeout is spurious once the original of anything is reported', () => {
  const t = established({ sack: true });
  t.write(10 * MSS).sent();
  t.at(202).sent();
  t.pass(300).expect({ ...DATA, seq: 0 });
  expect(t.connection.recovery.phase).toBe('loss');
  t.pass(10).arrive(ack(0, [3, 5]));
  t.pass(1).arrive(ack(5));
  expect(t.host.tcp.counters.spuriousTimeouts).toBe(1);
  expect(t.connection.recovery.phase).not.toBe('loss');
});
