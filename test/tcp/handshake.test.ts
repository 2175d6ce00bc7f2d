import { expect, test } from 'vitest';
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
  RST,
  SYN,
  SYN_ACK,
} from './harness.ts';
import { icmpError } from './icmp.ts';

test('an active open sends a SYN with all that we offer, and acknowledges the SYN-ACK', () => {
  const t = new Harness({ sack: true, timestamps: true, scale: 7 }).connect();
  const stamp = t.host.tcp.timestamp(t.clock.now(), 0);
  t.expect({
    ...SYN,
    ack: 0,
    mss: 1_460,
    scale: 2,
    sackPermitted: true,
    timestamps: [stamp, 0],
    window: 64_240,
    fromPort: OURS.port,
    toPort: PEER.port,
  });
  t.at(5, { ...SYN_ACK, ...t.peerOptions(), timestamps: [77, stamp] });
  t.expect({ ...ACK, seq: 0, ack: 0, timestamps: [stamp + 5, 77] });
  t.expectEvents('connect');
  expect(t.connection.state).toBe('established');
  expect(t.connection.mss).toBe(MSS - 12);
  expect(t.connection.snd.wnd).toBe(65_535);
  expect(t.connection.negotiated.sendScale).toBe(7);
});

test('what was written before leaves with the acknowledgment of the SYN-ACK', () => {
  const t = new Harness().connect();
  t.write('GET /').expect(SYN);
  t.at(5, { ...SYN_ACK, ...t.peerOptions() }).expect({ ...DATA, seq: 0, ack: 0, data: 'GET /' });
});

test('options that the peer did not offer are not used', () => {
  const t = new Harness({ sack: true, timestamps: true, scale: 7 }).connect();
  t.sent();
  t.at(1, { ...SYN_ACK, timestamps: undefined as never, window: 500 });
  const { negotiated, mss, snd } = t.connection;
  // The scripted peer stamps by itself; this SYN-ACK has neither SACK nor scale nor MSS.
  expect(negotiated).toMatchObject({ sack: false, scaling: false, sendScale: 0, receiveScale: 0 });
  expect(mss).toBe(536 - 12);
  expect(snd.wnd).toBe(500);
});

test('a SYN is sent again after 1, 3, 7 s and so on, and then given up', () => {
  const t = new Harness().connect();
  t.expect(SYN).at(999).expect().at(1_000).expect(SYN).at(2_999).expect().at(3_000).expect(SYN);
  t.at(63_000).expect(SYN, SYN, SYN, SYN).at(126_999).expectEvents();
  t.at(127_000).expectEvents('close ETIMEDOUT').expectGone();
});

test('a repeated SYN gives no sample without timestamps', () => {
  const t = new Harness().connect().at(1_000, { ...SYN_ACK, ...{ window: 65_535, mss: MSS } });
  expect(t.connection.rtt.srtt).toBe(0);
  // RFC 6298, 5.7.
  expect(t.connection.rtt.rto).toBe(3_000_000);
  // One lost SYN is forgiven (Linux).
  expect(t.connection.congestion.cwnd).toBe(10);
});

test('a reset that acknowledges our SYN refuses the connection; any other is ignored', () => {
  const t = new Harness().connect();
  t.at(1, { ...RST, seq: 5 }, { ...RST, flags: 'RA', ack: 100 }, { ...RST, flags: 'RA', ack: -1 });
  t.expectEvents().expect(SYN);
  t.at(2, { ...RST, flags: 'RA', seq: 0, ack: 0 });
  t.expectEvents('close ECONNREFUSED').expectGone();
});

test('a SYN-ACK for a SYN that we did not send is reset', () => {
  const t = new Harness().connect();
  t.expect(SYN);
  t.at(1, { ...SYN_ACK, ack: 1 }).expect({ ...RST, seq: 1 });
  t.at(2, { ...SYN_ACK, ack: -1 }).expect({ ...RST, seq: -1 });
  expect(t.connection.state).toBe('syn-sent');
  t.at(3, SYN_ACK);
  expect(t.connection.state).toBe('established');
});

test('data without SYN does nothing in SYN-SENT', () => {
  const t = new Harness().connect();
  t.expect(SYN);
  t.at(1, { ...DATA, data: 'x', ack: 0 }, { ...FIN, ack: 0 })
    .expect()
    .expectEvents();
});

test('a simultaneous open meets in the middle', () => {
  const t = new Harness().connect();
  t.expect(SYN);
  t.at(1, { ...SYN, ...t.peerOptions() }).expect(SYN_ACK);
  expect(t.connection.state).toBe('syn-received');
  // The peer's own SYN-ACK starts before our window; its acknowledgment follows.
  t.at(2, { ...SYN_ACK, ...t.peerOptions() }).expect({ ...ACK, seq: 0, ack: 0 });
  t.at(3, { ...ACK, seq: 0, ack: 0 })
    .expect()
    .expectEvents('connect');
  expect(t.connection.state).toBe('established');
});

test('a simultaneous open survives the loss of its SYN-ACK', () => {
  const t = new Harness().connect();
  t.at(1, { ...SYN, ...t.peerOptions() }).expect(SYN, SYN_ACK);
  t.at(1_001).expect(SYN_ACK).at(3_000).expect();
  t.arrive({ ...ACK, seq: 0, ack: 0 }).expectEvents('connect');
});

test('two stacks that open at the same time agree', () => {
  const [a, b] = [new Harness().connect(), new Harness().connect()];
  for (const t of [a, b])
    t.expect(SYN)
      .at(1, { ...SYN, ...t.peerOptions() })
      .expect(SYN_ACK);
  for (const t of [a, b]) t.at(2, SYN_ACK).expect({ ...ACK, seq: 0, ack: 0 });
  for (const t of [a, b])
    t.at(3, { ...ACK, seq: 0, ack: 0 })
      .expectEvents('connect')
      .expect();
});

test('a passive open answers the SYN and accepts with the ACK', () => {
  const t = new Harness({ sack: true, scale: 3 }).listen();
  t.at(0, { ...SYN, ...t.peerOptions() });
  t.expect({ ...SYN_ACK, mss: 1_460, scale: 2, sackPermitted: true, window: 64_240 });
  t.expectEvents().at(10, { ...ACK, seq: 0, ack: 0, window: 100 });
  t.expectEvents('accept', 'connect').expect();
  expect(t.connection.snd.wnd).toBe(800);
  expect(t.connection.rtt.srtt).toBe(10_000);
});

test('the ACK of a passive open may bring data and a FIN', () => {
  const t = new Harness().listen().at(0, SYN);
  t.expect(SYN_ACK).at(1, { ...FIN, seq: 0, ack: 0, data: 'all' });
  t.expectEvents('accept', 'connect', 'readable', 'end').expect();
  t.pass(40).expect({ ...ACK, ack: 4 });
  expect(t.read()).toBe('all');
  expect(t.connection.state).toBe('close-wait');
});

test('a SYN-ACK is sent again when its answer stays away, and when the SYN comes again', () => {
  const t = new Harness().listen().at(0, SYN);
  t.expect(SYN_ACK).at(500, SYN).expect(SYN_ACK).at(1_000).expect(SYN_ACK);
  t.at(31_000).expect(SYN_ACK, SYN_ACK, SYN_ACK, SYN_ACK).at(62_999);
  expect(t.host.tcp.connectionCount).toBe(1);
  t.at(63_000).expect().expectEvents().expectGone();
});

test('a bad ACK in SYN-RECEIVED is reset, and the handshake goes on', () => {
  const t = new Harness().listen().at(0, SYN);
  t.expect(SYN_ACK)
    .at(1, { ...ACK, seq: 0, ack: 9 })
    .expect({ ...RST, seq: 9 });
  t.at(2, { ...ACK, seq: 0, ack: 0 }).expectEvents('accept', 'connect');
});

test('a reset in SYN-RECEIVED forgets the connection without a word to the user', () => {
  const t = new Harness().listen().at(0, SYN);
  t.at(1, { ...RST, seq: 0 })
    .expect(SYN_ACK)
    .expectEvents()
    .expectGone();
});

test('half-open connections are bounded: what comes beyond is answered by cookies', () => {
  const t = new Harness({ timestamps: true, sack: true, scale: 3 }).listen({ backlog: 2 });
  const syn = { ...SYN, ...t.peerOptions() };
  t.at(0, { ...syn, fromPort: 1 }, { ...syn, fromPort: 2 }).expect(SYN_ACK, SYN_ACK);
  t.at(1, { ...syn, fromPort: 3 });
  const [answer] = t.sent();
  expect(t.host.tcp.counters).toMatchObject({ backlogOverflows: 1, cookiesSent: 1 });
  expect(t.host.tcp.connectionCount).toBe(2);
  const echo = answer.timestamps?.[0] ?? 0;
  const ack = (answer.seq ?? 0) + 1;
  t.at(2, { ...ACK, seq: 0, ack: ack + 1, fromPort: 3, timestamps: [1_001, echo] });
  t.expect({ ...RST, seq: ack + 1 }).expectEvents();
  t.at(3, { ...ACK, seq: 0, ack, fromPort: 3, timestamps: [1_001, echo] });
  t.expectEvents('accept', 'connect').expect();
  expect(t.connection.remote.port).toBe(3);
  expect(t.connection.negotiated).toMatchObject({ sack: true, timestamps: true, sendScale: 3 });
});

test('cookies are taken for a while after the backlog was full, and half-open connections make room', () => {
  const t = new Harness().listen({ backlog: 1 });
  t.at(0, { ...SYN, fromPort: 1 }, { ...SYN, fromPort: 2 });
  const cookie = t.sent()[1];
  t.at(1, { ...RST, fromPort: 1, seq: 0 }, { ...SYN, fromPort: 3 });
  expect(t.host.tcp.counters.cookiesSent).toBe(1);
  t.at(130_000).sent();
  t.arrive({ ...ACK, seq: 0, ack: (cookie.seq ?? 0) + 1, fromPort: 2 });
  t.expect({ flags: 'R' }).expectEvents();
});

test('a closed listener takes nobody, not even those whose handshake is under way', () => {
  const t = new Harness();
  const listener = t.host.tcp.listen({ local: OURS, accept: () => t.handler });
  t.host.tcp.isn = () => t.iss;
  t.at(0, SYN).expect(SYN_ACK);
  listener.close();
  t.at(1, { ...ACK, seq: 0, ack: 0 })
    .expect({ ...RST, flags: 'RA' })
    .expectEvents()
    .expectGone();
  t.at(2, SYN).expect({ flags: 'RA' });
});

test('a listener answers an ACK or a SYN-ACK by reset, and says nothing to a reset', () => {
  const t = new Harness().listen();
  t.at(0, { ...ACK, seq: 3, ack: 7 }).expect({ ...RST, seq: 7 });
  t.at(1, { ...SYN_ACK, ack: 7 }).expect({ ...RST, seq: 7 });
  t.at(2, { ...RST, seq: 3 }, { flags: 'F', seq: 3 }, { flags: 'SF', seq: 3 }).expect();
});

test('without a listener a segment is answered by the reset that RFC 9293 describes', () => {
  const t = new Harness();
  t.at(0, { ...SYN, seq: 4 });
  const [reset] = t.sent();
  expect(reset).toMatchObject({ flags: 'RA', ack: 5 });
  t.at(1, { ...FIN, seq: 4, ack: 9, length: 10 }).expect({ ...RST, seq: 9 });
  t.at(2, { ...RST, seq: 4 }).expect();
});

test('mayReset keeps resets back', () => {
  const t = new Harness();
  t.host.tcp.mayReset = () => false;
  t.at(0, SYN).expect();
  expect(t.host.tcp.counters.resetsWithheld).toBe(1);
});

test.each([
  ['a port that nobody listens on', 3, 3, 'close ECONNREFUSED'],
  ['an unreachable host', 3, 1, 'close EHOSTUNREACH'],
  ['an unreachable network', 3, 0, 'close EHOSTUNREACH'],
])('an ICMP error about %s ends a connection attempt', (_, type, code, event) => {
  const t = new Harness().connect();
  t.inject(icmpError(t.link.outgoing[0], type, code, 0));
  t.expectEvents(event).expectGone();
});

test('an ICMP error with a number that is not under way is ignored, as is one about a connection', () => {
  const t = new Harness().connect();
  t.inject(icmpError(t.link.outgoing[0], 3, 3, 1));
  t.inject(icmpError(t.link.outgoing[0], 3, 3, -1));
  t.expectEvents();
  expect(t.host.tcp.counters.pathErrorsIgnored).toBe(2);
  const other = established().write(10);
  other.inject(icmpError(other.link.outgoing[0], 3, 3, 0));
  other.expectEvents();
  expect(other.connection.state).toBe('established');
});

test('a SYN in an established connection is challenged', () => {
  accepted()
    .at(1_000, SYN)
    .expect({ ...ACK, seq: 0, ack: 0 });
  established()
    .at(1_000, { ...SYN, seq: 100 })
    .expect({ ...ACK, seq: 0, ack: 0 });
});

test('end in SYN-SENT closes at once, and end in SYN-RECEIVED sends the FIN after the handshake', () => {
  const t = new Harness().connect();
  t.connection.end();
  t.expect(SYN).expectEvents('close').expectGone();
  const s = new Harness().listen();
  s.at(0, SYN).expect(SYN_ACK);
  [...s.host.tcp.connections()][0].end();
  s.at(1, { ...ACK, seq: 0, ack: 0 }).expect({ ...FIN, seq: 0, ack: 0 });
});

test('abort in SYN-SENT says nothing, in SYN-RECEIVED it resets', () => {
  const t = new Harness().connect();
  t.connection.abort();
  t.expect(SYN).expectEvents('close ECONNABORTED').expectGone();
  const s = new Harness().listen();
  s.at(0, SYN).expect(SYN_ACK);
  [...s.host.tcp.connections()][0].abort();
  s.expect({ ...RST, flags: 'RA', seq: 0 }).expectGone();
});

test('a user who aborts in onConnect is the last to speak', () => {
  const t = new Harness().connect();
  t.handler.onConnect = () => {
    t.connection.abort();
    return 0;
  };
  t.expect(SYN)
    .at(1, { ...SYN_ACK, ...t.peerOptions() })
    .expect({ ...RST, flags: 'RA', seq: 0 });
  t.expectGone();
});

test('connect throws when the connection exists, and chooses free ports by itself', () => {
  const t = new Harness().connect();
  const options = { remote: PEER, local: OURS.address, handler: {} };
  expect(() => t.host.tcp.connect({ ...options, localPort: OURS.port })).toThrow('EADDRNOTAVAIL');
  const ports = Array.from({ length: 50 }, () => t.host.tcp.connect(options).local.port);
  expect(new Set(ports).size).toBe(50);
  const taken = t.host.tcp.connect({ ...options, isFree: (port) => !ports.includes(port) });
  expect(ports).not.toContain(taken.local.port);
  expect(() => t.host.tcp.connect({ ...options, isFree: () => false })).toThrow('EADDRNOTAVAIL');
});

test('listen throws when the port is taken, and connections have a limit', () => {
  const t = new Harness({ tcp: { maximumConnections: 1 } }).listen();
  expect(() => t.listen()).toThrow('EADDRINUSE');
  t.at(0, { ...SYN, fromPort: 1 }, { ...SYN, fromPort: 2 }).expect(SYN_ACK);
  expect(t.host.tcp.counters.refusedFull).toBe(1);
});
