// The congestion window grows only where it is what limits (RFC 7661; Linux: tcp_is_cwnd_limited), and shrinks
// by PRR (RFC 6937).
import { expect, test } from 'vitest';
import { flightFault } from './flight-check.ts';
import { ACK, accepted, established, type Harness, MSS, type Script } from './harness.ts';

const ack = (to: number, ...sack: [number, number][]): Script => ({
  ...ACK,
  ack: to * MSS,
  sack: sack.map(([left, right]) => [left * MSS, right * MSS]),
});
const flight = ({ connection: { recovery } }: Harness): number => recovery.packetsOut;

test('in slow start the window grows by what is acknowledged', () => {
  const t = accepted();
  t.write(60 * MSS).sent();
  for (let i = 1; i <= 10; i++) {
    t.at(100 + i, ack(i));
    expect(t.connection.congestion.cwnd).toBe(10 + i);
    expect(flight(t)).toBe(10 + i);
  }
});

test('a user that writes little does not make it grow beyond twice of that', () => {
  const t = accepted();
  for (let i = 1; i <= 40; i++) {
    t.write(4 * MSS);
    t.pass(20).arrive(ack(4 * i));
  }
  expect(t.connection.congestion.cwnd).toBe(10);
});

test('half of the window in use makes it grow in slow start, though not to more than twice the use', () => {
  const t = accepted();
  for (let i = 1; i <= 40; i++) {
    t.write(8 * MSS);
    t.pass(20).arrive(ack(8 * i));
  }
  expect(t.connection.congestion.cwnd).toBeGreaterThan(10);
  expect(t.connection.congestion.cwnd).toBeLessThan(2 * 8 + 8);
});

test('a window that was long not in full use shrinks towards its use', () => {
  const t = accepted();
  t.connection.congestion.cwnd = 80;
  t.connection.congestion.ssthresh = 20;
  for (let i = 1; i <= 30; i++) {
    t.write(12 * MSS);
    t.pass(20).arrive(ack(12 * i));
  }
  expect(t.connection.congestion.cwnd).toBeLessThan(80);
  expect(t.connection.congestion.ssthresh).toBe(60);
});

test('in recovery the window comes down to the threshold, segment by segment (PRR)', () => {
  const t = established({ sack: true });
  t.connection.congestion.cwnd = 20;
  t.write(60 * MSS).sent();
  t.at(100, ack(0, [1, 4]));
  // 14 / 20 of three, rounded up: the retransmission and two new segments.
  expect(t.sent()).toHaveLength(3);
  let out = 0;
  for (let end = 5; end <= 20; end++) {
    t.at(100 + end, ack(0, [1, end]));
    out += t.sent().length;
    expect(flightFault(t.connection)).toBeUndefined();
  }
  // 0.7 for each of the 16 that were reported.
  expect(out).toBeGreaterThanOrEqual(11);
  expect(out).toBeLessThanOrEqual(13);
  t.at(210, ack(20)).sent();
  expect(t.connection.congestion.cwnd).toBe(14);
  t.at(250, ack(22 + out)).sent();
  expect(t.connection.recovery.phase).toBe('open');
  expect(t.connection.congestion.ssthresh).toBe(14);
  expect(t.connection.congestion.cwnd).toBeGreaterThanOrEqual(14);
  expect(t.connection.congestion.cwnd).toBeLessThanOrEqual(16);
});

test('where more is lost than the reduction asks for, it is made up by slow start (PRR-SSRB)', () => {
  const t = established({ sack: true });
  t.connection.congestion.cwnd = 20;
  t.write(60 * MSS).sent();
  // Only three of twenty arrive.
  t.at(100, ack(0, [17, 20]));
  expect(t.sent().length).toBeGreaterThanOrEqual(1);
  expect(t.connection.congestion.cwnd).toBeLessThan(8);
  t.at(200, ack(3, [17, 20])).sent();
  t.at(300, ack(8, [17, 20])).sent();
  expect(t.connection.congestion.cwnd).toBeLessThanOrEqual(14);
  t.at(400, ack(20)).at(500);
  expect(t.connection.recovery.lostOut).toBe(0);
});

test('a flood of duplicates without reports buys no more than a flight', () => {
  const t = accepted();
  t.write(60 * MSS).sent();
  t.at(50);
  for (let i = 0; i < 10_000; i++) t.arrive(ACK);
  expect(t.sent().length).toBeLessThanOrEqual(11);
});
