// Receivers that want more than their share (Savage et al., 1999): split, optimistic and doubled acknowledgments; and
// values in a SYN that would make us waste our own strength.
import { describe, expect, test } from 'vitest';
import { ACK, established, type Harness, MSS, type Script } from '../tcp/harness.ts';

const dataOf = (sent: Script[]): Script[] => sent.filter(({ length }) => (length ?? 0) > 0);

/** A connection with a full first window under way and much more to send. */
function sending(options = {}): { t: Harness; flight: number } {
  const t = established({ scale: 8, window: 0xffff, ...options });
  t.write(2_000_000);
  const flight = dataOf(t.sent()).reduce((sum, { length = 0 }) => sum + length, 0);
  return { t, flight };
}

test('a segment acknowledged byte by byte opens the window by its bytes alone', () => {
  const { t, flight } = sending();
  for (let ack = 1; ack <= MSS; ack++) t.arrive({ ...ACK, seq: 0, ack });
  const sent = dataOf(t.sent()).reduce((sum, { length = 0 }) => sum + length, 0);
  // What has left the network, and slow start's growth by as much (RFC 3465).
  expect(sent).toBeLessThanOrEqual(3 * MSS);
  expect(t.connection.congestion.cwnd).toBeLessThanOrEqual(flight / MSS + 2);
});

test('acknowledgments of what was not sent yet are refused and open nothing', () => {
  const { t, flight } = sending();
  const { cwnd } = t.connection.congestion;
  for (let ahead = 1; ahead <= 100; ahead++) {
    t.at(2 * ahead, { ...ACK, seq: 0, ack: flight + ahead * MSS });
  }
  expect(t.connection.congestion.cwnd).toBe(cwnd);
  expect(t.connection.snd.una).toBe((t.iss + 1) >>> 0);
  const answers = t.sent();
  expect(dataOf(answers).every(({ seq = 0 }) => seq < flight)).toBe(true);
  // RFC 5961, section 5: answered, but not each of them.
  expect(answers.length).toBeLessThanOrEqual(5);
});

test.each([false, true])('10,000 duplicates buy no more than one window (SACK %s)', (sack) => {
  const { t, flight } = sending({ sack });
  const duplicate = { ...ACK, seq: 0, ack: 0 };
  for (let i = 0; i < 10_000; i++) t.arrive(duplicate);
  const sent = dataOf(t.sent()).reduce((sum, { length = 0 }) => sum + length, 0);
  expect(sent).toBeLessThanOrEqual(2 * flight);
});

test('10,000 duplicates that report ever more bytes buy no more than one window', () => {
  const { t, flight } = sending({ sack: true });
  for (let i = 0; i < 10_000; i++) {
    t.arrive({ ...ACK, seq: 0, ack: 0, sack: [[MSS, MSS + 1 + (i % (flight - MSS))]] });
  }
  const sent = dataOf(t.sent()).reduce((sum, { length = 0 }) => sum + length, 0);
  expect(sent).toBeLessThanOrEqual(2 * flight);
});

describe('a SYN with', () => {
  test('an MSS of 0 means the default of 536', () => {
    const t = established({ mss: 0 });
    t.write(5_000);
    expect(Math.max(...dataOf(t.sent()).map(({ length = 0 }) => length))).toBe(536);
  });

  test.each([1, 8, 40])('an MSS of %i does not make us send crumbs', (mss) => {
    const t = established({ mss });
    t.write(400);
    let sent = 0;
    for (let round = 0; round < 50 && sent < 400; round++) {
      for (const { seq = 0, length = 0 } of dataOf(t.sent())) {
        expect(length === 400 - seq || length >= 36).toBe(true);
        sent = Math.max(sent, seq + length);
      }
      t.arrive({ ...ACK, seq: 0, ack: sent });
    }
    expect(sent).toBe(400);
  });

  test('an MSS of 65,535 does not make us send more than the link takes', () => {
    const t = established({ mss: 65_535 });
    t.write(20_000);
    expect(Math.max(...dataOf(t.sent()).map(({ length = 0 }) => length))).toBe(1_460);
  });

  test('a window scale of 15 or 255 means 14 (RFC 7323, section 2.3)', () => {
    for (const scale of [15, 255]) {
      const t = established({ scale });
      t.arrive({ ...ACK, seq: 0, ack: 0, window: 2 });
      expect(t.connection.snd.wnd).toBe(2 << 14);
    }
  });

  test('a window of 0 is probed, and used once it opens', () => {
    const t = established({ window: 0 });
    t.write('data');
    t.pass(5_000);
    expect(t.sent().length).toBeLessThan(6);
    t.arrive({ ...ACK, seq: 0, ack: 0, window: 100 });
    expect(dataOf(t.sent()).at(-1)).toMatchObject({ seq: 0, data: 'data' });
  });
});

test('a window that is closed for ever is probed ever more rarely, and costs nothing else', () => {
  const t = established();
  t.write(100_000).sent();
  t.arrive({ ...ACK, seq: 0, ack: 10 * MSS, window: 0 });
  t.sent();
  let probes = 0;
  // Ten hours, in which the peer answers each probe with a window of nothing.
  for (let minute = 0; minute < 600; minute++) {
    t.pass(60_000);
    for (const _ of t.sent()) {
      probes++;
      t.arrive({ ...ACK, seq: 0, ack: 10 * MSS, window: 0 });
    }
  }
  expect(t.connection.state).toBe('established');
  expect(probes).toBeGreaterThan(100);
  expect(probes).toBeLessThan(700);
  t.arrive({ ...ACK, seq: 0, ack: 10 * MSS, window: 65_535 });
  expect(dataOf(t.sent()).length).toBeGreaterThan(0);
});

test('a peer that closed its window and is gone is given up', () => {
  const t = established();
  t.write(100_000).sent();
  t.arrive({ ...ACK, seq: 0, ack: 10 * MSS, window: 0 });
  t.begin();
  t.pass(3 * 3_600_000);
  expect(t.events).toContain('close ETIMEDOUT');
  t.expectGone();
});
