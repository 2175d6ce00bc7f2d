import { expect, test } from 'vitest';
import { ACK, DATA, established, FIN, MSS } from './harness.ts';

test('a short segment waits only while another short one is under way (Nagle, Minshall)', () => {
  const t = established();
  t.write(2 * MSS + 10).expect(
    { ...DATA, seq: 0, length: MSS },
    { ...DATA, seq: MSS, length: MSS },
    { ...DATA, seq: 2 * MSS, length: 10 },
  );
  t.write(MSS + 20).expect({ ...DATA, seq: 2 * MSS + 10, length: MSS });
  t.at(10, { ...ACK, ack: 2 * MSS }).expect();
  t.at(20, { ...ACK, ack: 2 * MSS + 10 }).expect({ ...DATA, seq: 3 * MSS + 10, length: 20 });
});

test('small writes gather while the first is under way', () => {
  const t = established();
  t.write('a').expect({ ...DATA, data: 'a' });
  t.write('b')
    .write('c')
    .expect()
    .at(10, { ...ACK, ack: 1 })
    .expect({ ...DATA, seq: 1, data: 'bc' });
});

test('a short segment waits even where the window is small', () => {
  const t = established({ window: 150 });
  t.write(60).expect({ ...DATA, length: 60 });
  t.write(80)
    .expect()
    .at(10, { ...ACK, ack: 60 })
    .expect({ ...DATA, seq: 60, length: 80 });
});

test('without Nagle nothing waits', () => {
  const t = established();
  t.connection.snd.noDelay = true;
  t.write('a')
    .write('b')
    .expect({ ...DATA, data: 'a' }, { ...DATA, seq: 1, data: 'b' });
});

test('a FIN does not wait for the last short segment', () => {
  const t = established();
  t.write('a').write('tail');
  t.connection.end();
  t.expect({ ...DATA, length: 1 }, { ...FIN, seq: 1, data: 'tail' });
});

test('the first flight is ten segments', () => {
  const t = established();
  t.write(30 * MSS);
  expect(t.sent()).toHaveLength(10);
  t.at(10, { ...ACK, ack: 2 * MSS });
  // Slow start: two acknowledged, four more.
  expect(t.sent()).toHaveLength(4);
});

test('the window of the peer limits what is under way', () => {
  const t = established({ window: 2_500 });
  // 500 bytes are not worth a segment (SWS).
  t.write(5_000).expect({ ...DATA, length: MSS }, { ...DATA, seq: MSS, length: MSS });
  t.at(10, { ...ACK, ack: MSS, window: 1_500 }).expect();
  t.at(20, { ...ACK, ack: 2 * MSS, window: 999 }).expect();
  t.at(30, { ...ACK, ack: 2 * MSS, window: 1_000 }).expect({ ...DATA, seq: 2 * MSS, length: MSS });
  t.at(40, { ...ACK, ack: 3 * MSS, window: 2_500 });
  t.expect({ ...DATA, seq: 3 * MSS, length: MSS }, { ...DATA, seq: 4 * MSS, length: MSS });
});

test('a segment is not larger than half of a small window', () => {
  const t = established({ window: 900 });
  t.write(2_000).expect({ ...DATA, length: 450 }, { ...DATA, seq: 450, length: 450 });
  t.at(10, { ...ACK, ack: 900, window: 449 }).expect();
  t.at(20, { ...ACK, ack: 900, window: 450 }).expect({ ...DATA, seq: 900, length: 450 });
});

test('an older segment does not change the window', () => {
  const t = established().at(1, { ...DATA, seq: 10, length: 10, window: 5_000 });
  expect(t.connection.snd.wnd).toBe(5_000);
  t.at(2, { ...DATA, seq: 0, length: 5, window: 1 });
  expect(t.connection.snd.wnd).toBe(5_000);
  t.at(3, { ...ACK, seq: 20, window: 6_000 });
  expect(t.connection.snd.wnd).toBe(6_000);
});

test('a closed window is probed with growing pauses, for as long as the peer answers', () => {
  const t = established().at(0, { ...ACK, window: 0 });
  t.write('wait').expect();
  const base = t.rto;
  const probe = { ...ACK, seq: -1, ack: 0 };
  for (const factor of [1, 2, 4, 8]) {
    t.pass(base * factor - 1).expect();
    t.pass(1).expect(probe);
    expect(t.connection.retransmit.probes).toBe(1);
    t.arrive({ ...ACK, window: 0 }).expect();
    expect(t.connection.retransmit.probes).toBe(0);
  }
  expect(t.connection.retransmit.backoff).toBe(4);
  for (let probes = 0; probes < 40; probes++) t.pass(120_000).arrive({ ...ACK, window: 0 });
  expect(t.connection.state).toBe('established');
  t.sent();
  t.arrive({ ...ACK, window: 100 }).expect({ ...DATA, seq: 0, data: 'wait' });
  // The timeout begins anew.
  t.pass(base - 1)
    .expect()
    .pass(1)
    .expect({ ...DATA, seq: 0, data: 'wait' });
});

test('a peer that does not answer probes is given up', () => {
  const t = established().at(0, { ...ACK, window: 0 });
  t.write('wait').at(30 * 60_000);
  expect(t.host.tcp.counters.windowProbes).toBe(15);
  t.expectEvents('close ETIMEDOUT').expectGone();
});

test('a lost window update is found by the probe', () => {
  const t = established().at(0, { ...ACK, window: 0 });
  t.write('wait')
    .pass(t.rto)
    .expect({ ...ACK, seq: -1 });
  t.pass(1)
    .arrive({ ...ACK, window: 4 })
    .expect({ ...DATA, data: 'wait' });
});

test('a window that stays too small is used when the timer says so', () => {
  const t = established({ window: 10_000 }).at(0, { ...ACK, window: 10 });
  t.write(20)
    .expect()
    .pass(t.rto)
    .expect({ ...DATA, seq: 0, length: 10 });
  t.pass(10)
    .arrive({ ...ACK, ack: 10, window: 10 })
    .expect({ ...DATA, seq: 10, length: 10 });
});

test('a FIN waits for the window, and is announced by probes', () => {
  const t = established({ window: 4 });
  t.write('full');
  t.connection.end();
  t.expect({ ...DATA, data: 'full' })
    .at(10, { ...ACK, ack: 4, window: 0 })
    .expect();
  t.pass(t.rto).expect({ ...ACK, seq: 3 });
  t.pass(1)
    .arrive({ ...ACK, ack: 4, window: 1 })
    .expect({ ...FIN, seq: 4, length: 0 });
});

test('a peer that takes its window back and says so is not given up', () => {
  const t = established();
  t.write('x').sent();
  for (let i = 0; i < 30; i++) t.pass(120_000).arrive({ ...ACK, ack: 0, window: 0 });
  expect(t.connection.state).toBe('established');
  t.arrive({ ...ACK, ack: 1 });
  expect(t.connection.snd.una).toBe(t.connection.snd.nxt);
});

test('after a pause the congestion window starts again', () => {
  const t = established();
  t.connection.congestion.cwnd = 50;
  t.write(MSS)
    .at(10, { ...ACK, ack: MSS })
    .sent();
  t.at(20);
  t.write(10 * MSS);
  t.at(30, { ...ACK, ack: 11 * MSS });
  expect(t.connection.congestion.cwnd).toBe(50);
  // Half of it for each timeout without a word, but not below the initial window (RFC 2861).
  t.at(30 + 1.5 * t.rto);
  t.write(MSS).sent();
  expect(t.connection.congestion).toMatchObject({ cwnd: 25, ssthresh: 0x7fff_ffff });
  t.pass(50)
    .arrive({ ...ACK, ack: 12 * MSS })
    .at(20_000);
  t.write(20 * MSS).sent();
  expect(t.connection.congestion.cwnd).toBe(10);
});

test('with offload a flight is trains of whole segments, half a window each at most', () => {
  const t = established({ offload: true });
  t.write(30 * MSS + 7).expect(
    { ...DATA, seq: 0, length: 5 * MSS },
    { ...DATA, seq: 5 * MSS, length: 5 * MSS },
  );
  t.at(10, { ...ACK, ack: 10 * MSS }).expect(
    { ...DATA, seq: 10 * MSS, length: 10 * MSS },
    { ...DATA, seq: 20 * MSS, length: 10 * MSS },
  );
  t.at(20, { ...ACK, ack: 30 * MSS }).expect({ ...DATA, seq: 30 * MSS, length: 7 });
});

test('a train does not outgrow an IP packet', () => {
  const t = established({ offload: true, scale: 7 });
  t.connection.congestion.cwnd = 1_000;
  t.at(1, { ...ACK, window: 65_535 });
  t.write(200_000);
  expect(t.sent().map(({ length }) => length)).toEqual([65_000, 65_000, 65_000, 5_000]);
});

test('the user hears how many bytes were acknowledged, without SYN and FIN', () => {
  const t = established();
  t.write(100);
  t.connection.end();
  t.at(10, { ...ACK, ack: 40 }).at(20, { ...ACK, ack: 101 });
  t.expectEvents('acknowledged 40', 'acknowledged 60');
});

test('silence is probed, and a peer that never answers is given up (keep-alive)', () => {
  const t = established();
  t.connection.setKeepalive(10_000_000);
  t.at(9_999)
    .expect()
    .at(10_000)
    .expect({ ...ACK, seq: -1, ack: 0, length: 0 });
  t.at(10_010, ACK)
    .at(20_009)
    .expect()
    .at(20_010)
    .expect({ ...ACK, seq: -1 });
  t.at(20_010 + 9 * 75_000);
  expect(t.sent()).toHaveLength(9);
  t.expectEvents('close ETIMEDOUT').expectGone();
});

test('keep-alive rests while data is under way, and can be switched off', () => {
  const t = established();
  t.connection.setKeepalive(1_000_000);
  t.write('x').at(1_200).sent();
  expect(t.connection.keepalive.sent).toBe(0);
  t.connection.setKeepalive(undefined);
  t.arrive({ ...ACK, ack: 1 })
    .at(100_000)
    .expect();
  expect(t.host.timers.armed).toBe(0);
});

test('a probe of the peer is answered', () => {
  established()
    .at(200, { ...ACK, seq: -1 })
    .expect({ ...ACK, seq: 0, ack: 0 });
});
