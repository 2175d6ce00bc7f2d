// The stateless handshake: nothing is remembered until the ACK proves itself.
import { expect, test } from 'vitest';
import { Packet } from '../../src/ip/packet.ts';
import { Frame } from '../../src/link/frame.ts';
import { Segment } from '../../src/tcp/segment.ts';
import { advance } from '../../src/tcp/sequence.ts';
import { keyFromSecret } from '../../src/tcp/stack.ts';
import {
  ACK,
  DATA,
  FIN,
  Harness,
  type HarnessOptions,
  MSS,
  OURS,
  PEER,
  RST,
  SYN,
} from './harness.ts';

const cookieKey = keyFromSecret('secret', 'cookie');

/** A listener that has answered a SYN; the peer's numbers are known to the harness. */
function answered(options: HarnessOptions = {}): Harness {
  const t = new Harness(options).listen({ cookieKey });
  t.iss = -1;
  t.at(0, { ...SYN, ...t.peerOptions() });
  const [answer] = t.sent();
  expect(answer).toMatchObject({ flags: 'SA', ack: 0 });
  t.iss = (answer.seq ?? 0) >>> 0;
  return t;
}

test('a SYN leaves nothing behind', () => {
  const t = answered();
  expect(t.host.tcp.connectionCount).toBe(0);
  expect(t.host.timers.armed).toBe(0);
  for (let fromPort = 1; fromPort < 2_000; fromPort++) t.arrive({ ...SYN, fromPort });
  expect(t.sent()).toHaveLength(1_999);
  expect(t.host.tcp.connectionCount).toBe(0);
});

test('the same SYN gets the same answer', () => {
  const t = answered();
  t.at(1_000, SYN).expect({ flags: 'SA', seq: -1, ack: 0 });
});

test('the ACK makes a connection', () => {
  const t = answered({ mss: 1_300 }).at(50, { ...ACK, ack: 0 });
  t.expectEvents('accept', 'connect');
  expect(t.connection.mss).toBe(1_300);
  expect(t.host.tcp.counters).toMatchObject({ cookiesSent: 1, cookiesTaken: 1, accepted: 1 });
  t.write('x').expect({ ...DATA, seq: 0, ack: 0, data: 'x' });
});

test('data may come first, when the ACK was lost', () => {
  const t = answered().at(50, { ...DATA, ack: 0, data: 'GET /' });
  t.expectEvents('accept', 'connect', 'readable').expect({ ...ACK, ack: 5 });
  expect(t.read()).toBe('GET /');
});

test('data and FIN may come first', () => {
  const t = answered().at(50, { ...FIN, ack: 0, data: 'all' });
  t.expectEvents('accept', 'connect', 'readable', 'end').expect();
  t.pass(40).expect({ ...ACK, ack: 4 });
});

test('a later segment that overtakes the first is dropped, not reset', () => {
  const t = answered()
    .at(50, { ...DATA, seq: MSS, ack: 0, length: 10 })
    .expect()
    .expectEvents();
  expect(t.host.tcp.counters.cookiesEarly).toBe(1);
  t.at(51, { ...DATA, seq: 0, ack: 0, length: MSS }).expectEvents('accept', 'connect', 'readable');
});

test('a forged ACK is reset', () => {
  const t = answered();
  t.at(50, { ...ACK, ack: 12_345 })
    .expect({ ...RST, seq: 12_345 })
    .expectEvents();
  t.at(51, { ...ACK, fromPort: 77 })
    .expect(RST)
    .expectEvents();
  expect(t.host.tcp.counters.cookiesFailed).toBe(2);
  expect(t.host.tcp.connectionCount).toBe(0);
});

test('an ACK that comes after three minutes is too late', () => {
  const t = answered().at(200_000, ACK).expect(RST).expectEvents();
  expect(t.host.tcp.connectionCount).toBe(0);
});

test('a second ACK goes to the connection, a second SYN is challenged there', () => {
  const t = answered().at(50, ACK, ACK).expectEvents('accept', 'connect');
  t.at(60, SYN).expect({ ...ACK, seq: 0, ack: 0 });
  expect(t.host.tcp.connectionCount).toBe(1);
});

test('scale and SACK are remembered by the timestamp that comes back', () => {
  const t = new Harness({ scale: 9, sack: true, timestamps: true }).listen({ cookieKey });
  t.iss = -1;
  t.at(0, { ...SYN, ...t.peerOptions() });
  const [answer] = t.sent();
  expect(answer).toMatchObject({ scale: 2, sackPermitted: true, mss: 1_460, window: 65_160 });
  expect(answer.timestamps?.[1]).toBe(1_000);
  t.iss = (answer.seq ?? 0) >>> 0;
  t.at(50, { ...ACK, window: 10, timestamps: [1_050, answer.timestamps?.[0] ?? 0] });
  expect(t.connection.negotiated).toMatchObject({
    scaling: true,
    sendScale: 9,
    receiveScale: 2,
    sack: true,
    timestamps: true,
  });
  expect(t.connection.snd.wnd).toBe(5_120);
  // Our clock goes on from what the SYN-ACK said.
  t.at(150, { ...DATA, length: 1, timestamps: [1_060, 0] });
  const [next] = t.sent();
  expect((next.timestamps?.[0] ?? 0) - (answer.timestamps?.[0] ?? 0)).toBe(100);
});

test('without timestamps neither scale nor SACK is offered', () => {
  const t = new Harness({ scale: 9, sack: true }).listen({ cookieKey });
  t.at(0, { ...SYN, ...t.peerOptions() });
  expect(t.sent()[0]).toMatchObject({ scale: -1, sackPermitted: false });
});

test('the window of the SYN-ACK is not larger than the buffer', () => {
  const t = new Harness({ receiveLimit: 5_000 }).listen({ cookieKey });
  t.at(0, SYN);
  expect(t.sent()[0].window).toBe(4_380);
});

test('another member with the same key takes the ACK', () => {
  const first = answered({ timestamps: true, scale: 4 });
  const second = new Harness({ timestamps: true, scale: 4 }).listen({ cookieKey });
  second.iss = first.iss;
  second.at(30, { ...DATA, data: 'hello', timestamps: [1_030, 64] });
  second.expectEvents('accept', 'connect', 'readable').expect({ ...ACK, ack: 5 });
});

test('SYNs that somebody takes are answered when that one says so, with the same number each time', () => {
  const taken: number[] = [];
  const resets: number[] = [];
  const t = new Harness();
  const syns = {
    onSyn: (_: Segment, iss: number) => taken.push(iss),
    onReset: ({ seq }: Segment) => resets.push(seq),
  };
  const listener = t.host.tcp.listen({ local: OURS, cookieKey, syns, accept: () => t.handler });
  t.iss = -1;
  t.at(0, SYN).expect();
  t.at(1, { ...RST, seq: 0 }).expect();
  const [iss] = taken;
  expect([taken.length, resets]).toEqual([1, [advance(t.irs, 1)]]);
  const segment = new Segment(new Packet(new Frame(0)));
  segment.packet.source = PEER.address;
  segment.packet.destination = OURS.address;
  segment.sourcePort = PEER.port;
  segment.destinationPort = OURS.port;
  segment.seq = t.irs;
  for (const now of [2, 60_000]) {
    t.at(now);
    listener.answer(segment, iss, t.clock.now());
    const [answer] = t.sent();
    expect(answer).toMatchObject({ flags: 'SA', ack: 0 });
    expect((answer.seq ?? 0) >>> 0).toBe(iss);
  }
  t.iss = iss;
  t.at(60_050, { ...ACK, ack: 0 }).expectEvents('connect');
  listener.close();
  listener.answer(segment, iss, t.clock.now());
  t.expect();
});

test('a held connection acknowledges nothing but the SYN', () => {
  const t = new Harness().listen({ cookieKey, hold: true });
  t.iss = -1;
  t.at(0, SYN);
  t.iss = (t.sent()[0].seq ?? 0) >>> 0;
  t.at(50, { ...DATA, data: 'GET /' })
    .at(1_000, { ...DATA, data: 'GET /' })
    .expect();
  t.connection.release();
  t.expect({ ...ACK, seq: 0, ack: 5 });
});

test('a user who aborts at once', () => {
  const t = answered();
  const listening = new Harness().listen({
    cookieKey,
    accept: (connection) => {
      connection.abort();
      return {};
    },
  });
  listening.iss = t.iss;
  listening
    .at(50, { ...DATA, data: 'x' })
    .expect({ ...RST, flags: 'RA' })
    .expectGone();
});

test('recall goes on with a connection that another member began', () => {
  const received = Buffer.from('GET /');
  const t = new Harness().listen({
    cookieKey,
    recall: () => ({
      irs: t.irs,
      iss: t.iss,
      mss: 1_000,
      windowScale: -1,
      ourScale: -1,
      sack: false,
      timestamps: false,
      timestampOffset: 0,
      timestampRecent: 0,
      window: 4_000,
      received,
    }),
  });
  t.at(0, { ...DATA, seq: 5, data: ' HTTP/1.1' });
  t.expectEvents('accept', 'connect', 'readable').expect({ ...ACK, seq: 0, ack: 14 });
  expect(t.read()).toBe('GET / HTTP/1.1');
});
