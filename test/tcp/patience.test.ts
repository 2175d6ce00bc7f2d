// When the sender gives up (RFC 9293, 3.8.3; RFC 5482; Linux: tcp_retries2), and what its timers do meanwhile.
import { expect, test } from 'vitest';
import { SECOND } from '../../src/env/clock.ts';
import { ACK, DATA, established, MSS } from './harness.ts';

test('the user may give up sooner: so long after the first retransmission', () => {
  const t = established();
  t.connection.userTimeout = 3 * SECOND;
  t.write('x').sent();
  // Retransmissions at 300, 900 and 2,100 ms; the timer is cut to the rest of the three seconds.
  t.at(3_299).expectEvents();
  expect(t.sent()).toHaveLength(3);
  t.at(3_300).expect().expectEvents('close ETIMEDOUT').expectGone();
});

test('an acknowledgment of anything makes patience new', () => {
  const t = established();
  t.connection.userTimeout = 3 * SECOND;
  t.write(2 * MSS).sent();
  t.at(2_500, { ...ACK, ack: MSS }).sent();
  t.at(5_000).expectEvents('acknowledged 1000');
  t.arrive({ ...ACK, ack: 2 * MSS });
  t.at(20_000).expectEvents('acknowledged 1000');
});

test('a window that stays closed tries it too, though the peer answers', () => {
  const t = established().at(0, { ...ACK, window: 0 });
  t.connection.userTimeout = 5 * SECOND;
  t.write('wait');
  for (let i = 0; i < 20 && t.connection.state === 'established'; i++) {
    t.pass(400).arrive({ ...ACK, window: 0 });
  }
  t.expectEvents('close ETIMEDOUT');
  expect(t.now).toBeGreaterThan(5_000);
  expect(t.now).toBeLessThan(7_000);
});

test('without it fifteen minutes pass, as Linux counts them', () => {
  const t = established();
  t.write('x').at(924_800);
  expect(t.connection.state).toBe('established');
  t.at(1_000_000).expectEvents('close ETIMEDOUT');
});

test('the timeout is not put off by reports of what was sent after the hole was repeated', () => {
  const t = established({ sack: true });
  t.write(10 * MSS).sent();
  t.write(10 * MSS).expect();
  t.at(50, { ...ACK, sack: [[MSS, 4 * MSS]] }).sent();
  const due = t.connection.retransmit.at;
  t.at(60, { ...ACK, sack: [[MSS, 10 * MSS]] }).sent();
  t.at(110, { ...ACK, sack: [[MSS, 11 * MSS]] }).sent();
  expect(t.connection.retransmit.at).toBeLessThanOrEqual(due + 60_000);
});

test('a timeout after the next is as long as Karn wants it, until there is a sample', () => {
  const t = established();
  t.write(2 * MSS).sent();
  t.at(300)
    .expect({ ...DATA, seq: 0 })
    .at(900)
    .expect({ ...DATA, seq: 0 });
  expect(t.connection.retransmit).toMatchObject({ timeouts: 2, backoff: 2 });
  t.at(950, { ...ACK, ack: MSS }).sent();
  expect(t.connection.retransmit.timeouts).toBe(0);
  expect(t.rto).toBe(1_200);
  t.at(1_000, { ...ACK, ack: 2 * MSS });
  t.write(MSS).at(1_050, { ...ACK, ack: 3 * MSS });
  expect(t.rto).toBeLessThan(400);
  expect(t.connection.retransmit.backoff).toBe(0);
});

test('the variation of the round trip falls slowly, once for a round trip', () => {
  const t = established();
  const trip = (milliseconds: number, count: number) => {
    t.write(MSS)
      .pass(milliseconds)
      .arrive({ ...ACK, ack: count * MSS });
  };
  for (let i = 1; i <= 4; i++) trip(i % 2 === 0 ? 20 : 180, i);
  const { rttvar } = t.connection.rtt;
  expect(rttvar).toBeGreaterThan(60_000);
  trip(100, 5);
  trip(100, 6);
  expect(t.connection.rtt.rttvar).toBeLessThan(rttvar);
  expect(t.connection.rtt.rttvar).toBeGreaterThan(rttvar / 2);
  // Never below 200 ms in the timeout.
  for (let i = 7; i < 60; i++) trip(100, i);
  expect(t.rto).toBeGreaterThan(299);
  expect(t.rto).toBeLessThan(302);
  expect(t.connection.rtt.min).toBe(20_000);
});
