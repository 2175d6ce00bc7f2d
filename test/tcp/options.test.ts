// Options of connections, and what TCP_INFO tells.
import { expect, test } from 'vitest';
import type { TcpSettings } from '../../src/tcp/options.ts';
import {
  ACK,
  accepted,
  DATA,
  established,
  FIN,
  Harness,
  MSS,
  OURS,
  PEER,
  SYN,
  SYN_ACK,
} from './harness.ts';

/** A SYN of ours with these options, and the connection it belongs to. */
function open(settings: TcpSettings, more: Partial<ConstructorParameters<typeof Harness>[0]> = {}) {
  const t = new Harness(more);
  const connection = t.host.tcp.connect({
    remote: PEER,
    local: OURS.address,
    localPort: OURS.port,
    iss: t.iss,
    settings,
    handler: t.handler,
  });
  return { t, connection };
}

test('a corked connection sends full segments, and the rest when it is uncorked', () => {
  const t = established();
  t.connection.configure({ cork: true });
  t.write(100).expect();
  t.write(MSS).expect({ ...DATA, seq: 0, length: MSS });
  t.connection.configure({ cork: false });
  t.expect({ ...DATA, seq: MSS, length: 100 });
});

test('a corked connection does not wait for ever', () => {
  const t = established();
  t.connection.configure({ cork: true, noDelay: true });
  t.write(100).expect().at(199).expect();
  t.at(1_000);
  expect(t.sent()[0]).toMatchObject({ seq: 0, length: 100 });
});

test('a FIN pulls the cork', () => {
  const t = established();
  t.connection.configure({ cork: true });
  t.write('all');
  t.connection.end();
  t.expect({ ...FIN, data: 'all' });
});

test('no delay lets short segments go', () => {
  const t = established();
  t.write('a').sent();
  t.write('b').expect();
  t.write('c').expect();
  t.connection.configure({ noDelay: true });
  t.expect({ ...DATA, data: 'bc' });
});

test('SO_LINGER of 0 makes closing a reset', () => {
  const t = established();
  t.write(20_000);
  t.sent();
  t.connection.configure({ linger: 0 });
  t.connection.abandon();
  t.expect({ flags: 'RA' }).expectGone();
  const u = established();
  u.connection.configure({ linger: 0 });
  u.connection.configure({ linger: -1 });
  u.connection.abandon();
  u.expect({ ...FIN, seq: 0 });
});

test('a maximum segment is offered and kept to', () => {
  const { t, connection } = open({ maximumSegment: 700 });
  t.expect({ ...SYN, mss: 700 });
  t.at(1, { ...SYN_ACK, mss: 1_400 }).sent();
  connection.write(new Uint8Array(1_400));
  t.expect({ ...DATA, length: 700 }, { ...DATA, length: 700 });
  expect(() => connection.configure({ maximumSegment: 600 })).toThrow('EINVAL');
});

test('a receive buffer that was set before decides window and scale', () => {
  const { t } = open({ receiveBuffer: 30_000 });
  t.expect({ ...SYN, window: 29_200, scale: 0 });
  open({ receiveBuffer: 300_000 }).t.expect({ ...SYN, window: 65_535, scale: 3 });
});

test('what a listener sets, its connections have', () => {
  const t = new Harness();
  t.host.tcp.listen({
    local: OURS,
    settings: {
      noDelay: true,
      receiveBuffer: 20_000,
      maximumSegment: 600,
      congestionControl: 'newreno',
    },
    accept: (connection) => {
      expect(connection.snd.noDelay).toBe(true);
      expect(connection.rcv).toMatchObject({ limit: 20_000, maximum: 20_000 });
      expect(connection.congestionControl.name).toMatch(/reno/);
      return t.handler;
    },
  });
  t.host.tcp.isn = () => t.iss;
  t.at(0, { ...SYN, mss: 1_400, scale: 2 }).expect({ ...SYN_ACK, mss: 600, scale: 0 });
  t.at(1, { ...ACK, seq: 0, ack: 0 }).expectEvents('connect');
});

test.each<[TcpSettings]>([
  [{ receiveBuffer: 0 }],
  [{ sendBuffer: -1 }],
  [{ maximumSegment: 87 }],
  [{ keepAliveIdle: 0 }],
  [{ keepAliveInterval: 1e12 }],
  [{ keepAliveProbes: 128 }],
  [{ userTimeout: -1 }],
  [{ userTimeout: Number.NaN }],
  [{ linger: 1e9 }],
  [{ congestionControl: 'vegas' }],
])('%j is out of range', (settings) => {
  const t = established();
  expect(() => t.connection.configure(settings)).toThrow('EINVAL');
  expect(t.connection.state).toBe('established');
});

test('a SYN with an impossible option leaves nothing behind', () => {
  const t = new Harness();
  const connect = (): unknown =>
    t.host.tcp.connect({
      remote: PEER,
      local: OURS.address,
      settings: { congestionControl: 'none' },
      handler: t.handler,
    });
  expect(connect).toThrow('EINVAL');
  t.expect().expectEvents().expectGone();
});

test('settings that cannot be are refused by who listens, not by the first SYN', () => {
  const t = new Harness();
  const listen = (settings: TcpSettings): unknown => t.listen({ settings });
  expect(() => listen({ congestionControl: 'none' })).toThrow('EINVAL');
  expect(() => listen({ keepAliveProbes: 0 })).toThrow('EINVAL');
  expect(t.host.timers.armed).toBe(0);
  listen({ keepAlive: true, maximumSegment: 500 });
  t.arrive({ ...SYN, ...t.peerOptions() }).expect({ flags: 'SA', mss: 500 });
});

test('keep-alive takes its times and number from the options', () => {
  const t = established();
  t.connection.configure({
    keepAlive: true,
    keepAliveIdle: 5_000,
    keepAliveInterval: 1_000,
    keepAliveProbes: 3,
  });
  const probe = { ...ACK, seq: -1, length: 0 };
  t.at(4_999).expect().at(7_000).expect(probe, probe, probe).at(7_999).expectEvents();
  t.at(8_000).expectEvents('close ETIMEDOUT').expectGone();
});

test('keep-alive that was switched off while a probe was out stays off', () => {
  const t = established();
  t.connection.configure({ keepAlive: true, keepAliveIdle: 5_000, keepAliveInterval: 1_000 });
  t.at(5_000).expect({ ...ACK, seq: -1, length: 0 });
  t.connection.configure({ keepAlive: false });
  t.at(5_100, { ...ACK, seq: 0, ack: 0 });
  t.at(60_000).expect().expectEvents();
});

test('a user timeout ends keep-alive as well', () => {
  const t = established();
  t.connection.configure({
    keepAlive: true,
    keepAliveIdle: 5_000,
    keepAliveInterval: 1_000,
    userTimeout: 7_500,
  });
  t.at(7_999).expectEvents().at(8_000).expectEvents('close ETIMEDOUT');
});

test('a user timeout ends what is not acknowledged, and nothing that is', () => {
  const t = established();
  t.connection.configure({ userTimeout: 3_000 });
  t.at(10_000).expectEvents();
  t.write('x').at(12_900).expectEvents();
  t.arrive({ ...ACK, ack: 1 }).expectEvents('acknowledged 1');
  t.at(60_000).expectEvents();
  t.write('y').at(62_500).expectEvents();
  t.at(70_000).expectEvents('close ETIMEDOUT').expectGone();
});

test('a user timeout ends a closed window, though the peer answers its probes', () => {
  const t = established().at(1, { ...ACK, window: 0 });
  t.connection.configure({ userTimeout: 5_000 });
  t.write('x');
  for (let i = 1; i < 40 && t.connection.state === 'established'; i++) {
    t.at(500 * i, { ...ACK, window: 0 });
  }
  expect(t.now).toBeGreaterThan(4_000);
  expect(t.now).toBeLessThan(10_000);
  t.expectEvents('close ETIMEDOUT');
});

test('quick acknowledgments can be asked for, and done without', () => {
  const t = established();
  t.connection.configure({ quickAck: true });
  t.at(1, { ...DATA, length: 10 }).expect(ACK);
  t.connection.configure({ quickAck: false });
  t.at(2, { ...DATA, seq: 10, length: 10 })
    .expect()
    .at(42)
    .expect(ACK);
});

test('the name of the congestion control may change while the connection lives', () => {
  const t = established();
  expect(t.connection.congestionControl.name).toBe('cubic');
  t.connection.configure({ congestionControl: 'newreno' });
  expect(t.connection.congestionControl.name).toMatch(/reno/);
  t.write(30 * MSS).at(10, { ...ACK, ack: 3 * MSS });
  expect(t.connection.congestion.cwnd).toBeGreaterThan(10);
});

test('TCP_INFO of a fresh connection', () => {
  const t = accepted({ sack: true, timestamps: true, scale: 5 });
  expect(t.connection.info()).toMatchObject({
    state: 'established',
    caState: 'open',
    options: { timestamps: true, sack: true, wscale: true, ecn: false, ecnSeen: false },
    sndWscale: 5,
    rcvWscale: 2,
    sndMss: MSS - 12,
    advmss: 1_460,
    pmtu: 1_500,
    rto: 300_000,
    rtt: 100_000,
    minRtt: 100_000,
    sndCwnd: 10,
    sndWnd: 65_535 << 5,
    rcvWnd: 65_160,
    rcvSsthresh: 65_160,
    unacked: 0,
    totalRetrans: 0,
    bytesAcked: 0,
    bytesReceived: 0,
    notsentBytes: 0,
  });
});

test('TCP_INFO counts what passes', () => {
  const t = established({ sack: true });
  t.write(12 * MSS);
  expect(t.connection.info()).toMatchObject({
    unacked: 10,
    notsentBytes: 2 * MSS,
    segsOut: 12,
    dataSegsOut: 10,
  });
  t.at(50, { ...ACK, ack: MSS, sack: [[2 * MSS, 3 * MSS]] });
  expect(t.connection.info()).toMatchObject({ sacked: 1, bytesAcked: MSS, lastAckRecv: 0 });
  t.at(60, { ...DATA, seq: 10, ack: MSS, length: 10 }, { ...DATA, ack: MSS, length: 10 });
  t.at(1_060);
  const info = t.connection.info();
  expect(info).toMatchObject({
    bytesReceived: 20,
    dataSegsIn: 2,
    rcvOoopack: 1,
    lastDataRecv: 1_000,
  });
  expect(info.totalRetrans).toBeGreaterThan(0);
  expect(info.bytesSent).toBeGreaterThanOrEqual(12 * MSS);
});

test('TCP_INFO can be asked for at any time', () => {
  const t = new Harness().connect();
  expect(t.connection.info()).toMatchObject({ state: 'syn-sent', rtt: 0, minRtt: 0 });
  t.connection.abort();
  expect(t.connection.info()).toMatchObject({ state: 'closed', notsentBytes: 0 });
});
