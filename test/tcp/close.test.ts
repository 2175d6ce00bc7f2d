import { expect, test } from 'vitest';
import { ACK, accepted, DATA, established, FIN, Harness, IRS, ISS, RST, SYN } from './harness.ts';

const MINUTE = 60_000;

test('we close first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT', () => {
  const t = established();
  t.connection.end();
  t.expect({ ...FIN, seq: 0, ack: 0, length: 0 });
  expect(t.connection.state).toBe('fin-wait-1');
  t.at(10, { ...ACK, ack: 1 });
  expect(t.connection.state).toBe('fin-wait-2');
  t.expect()
    .at(20, { ...FIN, seq: 0, ack: 1 })
    .expect({ ...ACK, seq: 1, ack: 1 });
  expect(t.connection.state).toBe('time-wait');
  t.expectEvents('end', 'close');
  t.at(20 + MINUTE - 1);
  expect(t.host.tcp.connectionCount).toBe(1);
  t.at(20 + MINUTE)
    .expect()
    .expectGone();
});

test('the peer closes first: CLOSE-WAIT, LAST-ACK, closed', () => {
  const t = established();
  t.at(10, { ...FIN, seq: 0, ack: 0 })
    .pass(40)
    .expect({ ...ACK, seq: 0, ack: 1 })
    .expectEvents('end');
  expect(t.connection.state).toBe('close-wait');
  t.connection.end();
  t.expect({ ...FIN, seq: 0, ack: 1 });
  expect(t.connection.state).toBe('last-ack');
  t.at(60, { ...ACK, seq: 1, ack: 1 })
    .expect()
    .expectEvents('close')
    .expectGone();
});

test('both close at once: CLOSING, TIME-WAIT', () => {
  const t = established();
  t.connection.end();
  t.at(10, { ...FIN, seq: 0, ack: 0 });
  expect(t.connection.state).toBe('closing');
  t.expect({ ...FIN, seq: 0 }, { ...ACK, seq: 1, ack: 1 });
  t.at(20, { ...ACK, seq: 1, ack: 1 });
  expect(t.connection.state).toBe('time-wait');
  t.expect().expectEvents('end', 'close');
});

test('a FIN that acknowledges ours skips FIN-WAIT-2', () => {
  const t = established();
  t.connection.end();
  t.at(10, { ...FIN, seq: 0, ack: 1 }).expect({ ...FIN, seq: 0 }, { ...ACK, seq: 1, ack: 1 });
  expect(t.connection.state).toBe('time-wait');
});

test('an answer from within the end is one segment, not two', () => {
  const t = established();
  t.handler.onEnd = () => {
    t.write('bye');
    t.connection.end();
    return 0;
  };
  t.at(10, { ...FIN, seq: 0, ack: 0, data: 'hello' });
  t.expect({ ...DATA, data: 'bye', ack: 6 }, { ...FIN, seq: 3, length: 0, ack: 6 });
});

test('the FIN goes with the last bytes', () => {
  const t = established({ window: 0 });
  t.write('last');
  t.connection.end();
  t.at(1, { ...ACK, window: 100 }).expect({ ...FIN, seq: 0, data: 'last' });
});

test('half closed: the peer goes on sending, and we go on receiving', () => {
  const t = established();
  t.connection.end();
  t.expect(FIN).at(10, { ...ACK, ack: 1 });
  t.at(20, { ...DATA, ack: 1, data: 'more' }).at(5_000, {
    ...DATA,
    seq: 4,
    ack: 1,
    data: ' still',
  });
  expect(t.read()).toBe('more still');
  t.at(200_000, { ...FIN, seq: 10, ack: 1 });
  expect(t.connection.state).toBe('time-wait');
});

test('half closed by the peer: we go on sending', () => {
  const t = established();
  t.at(10, { ...FIN, seq: 0, ack: 0 })
    .pass(40)
    .expect({ ...ACK, ack: 1 });
  t.write('late').expect({ ...DATA, seq: 0, ack: 1, data: 'late' });
  t.at(60, { ...ACK, seq: 1, ack: 4 }).expectEvents('end', 'acknowledged 4');
  t.connection.end();
  t.expect({ ...FIN, seq: 4 })
    .at(70, { ...ACK, seq: 1, ack: 5 })
    .expectGone();
});

test('a lost FIN is sent again, alone', () => {
  const t = established();
  t.write('x');
  t.connection.end();
  t.expect({ ...DATA, data: 'x' }, { ...FIN, seq: 1, length: 0 });
  t.at(10, { ...ACK, ack: 1 })
    .pass(t.rto - 1)
    .expect()
    .pass(1)
    .expect({ ...FIN, seq: 1, length: 0 });
  t.at(1_020, { ...ACK, ack: 2 });
  expect(t.connection.state).toBe('fin-wait-2');
});

test('lost data and FIN are sent again together', () => {
  const t = established();
  t.write('ab');
  t.write(1_500);
  t.connection.end();
  t.expect({ ...DATA, length: 2 }, { ...DATA, seq: 2, length: 1_000 }, { ...FIN, seq: 1_002 });
  t.at(300).expect({ ...DATA, seq: 0, length: 2 });
  t.at(310, { ...ACK, ack: 1_002 }).expect({ ...FIN, seq: 1_002, length: 500 });
  t.at(320, { ...ACK, ack: 1_503 });
  expect(t.connection.state).toBe('fin-wait-2');
});

test('a FIN that comes before the bytes it follows waits for them', () => {
  const t = established();
  t.at(10, { ...FIN, seq: 4, ack: 0, data: 'efgh' })
    .expect({ ...ACK, ack: 0 })
    .expectEvents();
  t.at(20, { ...DATA, seq: 0, data: 'abcd' }).expect({ ...ACK, ack: 9 });
  t.expectEvents('readable', 'end');
  expect(t.read()).toBe('abcdefgh');
  expect(t.connection.state).toBe('close-wait');
});

test('a FIN alone that comes before its time, too', () => {
  const t = established();
  t.at(10, { ...FIN, seq: 4, ack: 0 })
    .expectEvents()
    .at(20, { ...DATA, seq: 0, data: 'abcd' });
  t.expectEvents('readable', 'end').expect({ ...ACK, ack: 0 }, { ...ACK, ack: 5 });
});

test('a FIN behind a full window is taken', () => {
  const t = established({ receiveLimit: 1_000 });
  t.at(1, { ...FIN, seq: 0, ack: 0, length: 1_000 });
  t.expect()
    .pass(40)
    .expect({ ...ACK, ack: 1_001, window: 0 });
  t.expectEvents('readable', 'end');
});

test('TIME-WAIT answers the FIN again, and starts anew', () => {
  const t = established();
  t.connection.end();
  t.at(10, { ...FIN, seq: 0, ack: 1 })
    .at(20_000)
    .sent();
  t.arrive({ ...FIN, seq: 0, ack: 1 }).expect({ ...ACK, seq: 1, ack: 1 });
  t.at(20_000 + MINUTE - 1);
  expect(t.host.tcp.connectionCount).toBe(1);
  t.at(20_000 + MINUTE).expectGone();
});

test('a reset does not end TIME-WAIT, and data there is answered but not taken', () => {
  const t = established();
  t.connection.end();
  t.at(10, { ...FIN, seq: 0, ack: 1 }).sent();
  t.at(20, { ...RST, seq: 1 }).expect();
  t.at(30, { ...DATA, seq: 1, ack: 1, data: 'x' }).expect({ ...ACK, seq: 1, ack: 1 });
  expect(t.host.tcp.timeWaits.size).toBe(1);
  expect(t.read()).toBe('');
});

test('a new SYN takes over a connection in TIME-WAIT', () => {
  const t = accepted();
  const old = t.connection;
  old.end();
  t.at(10, { ...FIN, seq: 0, ack: 1 }).sent();
  t.at(20, { ...SYN, seq: 0 }).expect({ ...ACK, seq: 1, ack: 1 });
  // The new numbers lie beyond all that the old connection may still have on the way.
  t.at(200, { ...SYN, seq: 5_000 }).expect({ flags: 'SA', seq: 65_538, ack: 5_001 });
  expect(old.state).toBe('time-wait');
  expect(t.host.tcp.timeWaits.size).toBe(0);
  expect(t.host.tcp.connectionCount).toBe(1);
});

test('with timestamps a SYN takes over TIME-WAIT if its timestamp is newer', () => {
  const t = accepted({ timestamps: true });
  t.connection.end();
  t.at(10, { ...FIN, seq: 0, ack: 1 }).sent();
  t.at(200, { ...SYN, seq: 5_000, timestamps: [900, 0] }).expect(ACK);
  t.at(400, { ...SYN, seq: -70_000, timestamps: [3_000, 0] }).expect({ flags: 'SA', ack: -69_999 });
});

test('connections in TIME-WAIT have a limit: the oldest gives way', () => {
  const t = new Harness({ tcp: { maximumTimeWait: 2 } }).listen();
  for (const fromPort of [1, 2, 3]) {
    t.arrive({ ...SYN, fromPort }, { ...ACK, seq: 0, fromPort });
    t.connection.end();
    t.arrive({ ...FIN, seq: 0, ack: 1, fromPort });
  }
  expect([...t.host.tcp.timeWaits.values()].map(({ remote }) => remote.port)).toEqual([2, 3]);
  expect(t.host.tcp.counters.timeWaitOverflows).toBe(1);
});

test.each([
  ['established', [], 'close ECONNRESET'],
  ['close-wait', [FIN], 'close ECONNRESET'],
] as const)('a reset in %s ends the connection', (state, before, event) => {
  const t = established();
  t.at(10, ...before);
  expect(t.connection.state).toBe(state);
  t.events.length = 0;
  t.at(20, { ...RST, seq: before.length })
    .expectEvents(event)
    .expectGone();
});

test.each([
  ['fin-wait-1', [], 0, 'close ECONNRESET'],
  ['fin-wait-2', [{ ...ACK, ack: 1 }], 0, 'close ECONNRESET'],
  ['closing', [{ ...FIN, ack: 0 }], 1, 'close'],
] as const)('a reset in %s ends the connection', (state, before, seq, event) => {
  const t = established();
  t.connection.end();
  t.at(10, ...before);
  expect(t.connection.state).toBe(state);
  t.events.length = 0;
  t.at(20, { ...RST, seq })
    .expectEvents(event)
    .expectGone();
});

test('a reset in LAST-ACK is as good as the acknowledgment', () => {
  const t = established().at(10, FIN);
  t.connection.end();
  t.at(20, { ...RST, seq: 1 })
    .expectEvents('end', 'close')
    .expectGone();
});

test.each([
  ['established', []],
  ['close-wait', [FIN]],
] as const)('abort in %s resets', (state, before) => {
  const t = established().at(10, ...before);
  expect(t.connection.state).toBe(state);
  t.write(10).sent();
  t.connection.abort();
  t.expect({ ...RST, flags: 'RA', seq: 10, ack: before.length });
  expect(t.events.pop()).toBe('close ECONNABORTED');
  t.expectGone();
});

test('abort after our FIN resets while the peer may still send', () => {
  const t = established();
  t.connection.end();
  t.expect(FIN).at(10, { ...ACK, ack: 1 });
  t.connection.abort();
  t.expect({ ...RST, flags: 'RA', seq: 1 }).expectGone();
});

test('write after end throws, a second end does nothing', () => {
  const t = established();
  t.connection.end();
  t.connection.end();
  t.expect(FIN);
  expect(() => t.write('x')).toThrow('EPIPE');
  t.connection.abort();
  expect(() => t.write('x')).toThrow('EPIPE');
});

test('bytes that wait are still there to be read after the close', () => {
  const t = established().at(10, { ...FIN, data: 'words' });
  t.connection.end();
  t.at(20, { ...ACK, seq: 6, ack: 1 }).expectEvents('readable', 'end', 'close');
  expect(t.read()).toBe('words');
});

test('detach is silent, and what comes then belongs to nobody', () => {
  const t = established();
  t.write('x').sent();
  t.connection.detach();
  t.expect().expectEvents().expectGone();
  t.at(10, { ...ACK, ack: 1 }).expect({ ...RST, seq: 1 });
});

test('an abandoned connection drains and closes', () => {
  const t = established().at(10, { ...DATA, data: 'unread' });
  t.write('end');
  t.sent();
  t.connection.abandon();
  t.expect({ ...FIN, seq: 3, ack: 6 }).at(20, { ...DATA, seq: 6, ack: 4, length: 1_000 });
  expect(t.connection.receiveBuffer.length).toBe(0);
  t.at(30, { ...FIN, seq: 1_006, ack: 4 });
  expect(t.connection.state).toBe('time-wait');
  expect(t.events).toEqual(['readable']);
});

test('an abandoned connection whose peer never closes is forgotten after a minute', () => {
  const t = established();
  t.connection.abandon();
  t.at(10, { ...ACK, ack: 1 });
  expect(t.connection.state).toBe('fin-wait-2');
  for (let second = 1; second < 60; second++) {
    t.at(second * 1_000, { ...DATA, seq: second - 1, ack: 1, length: 1 });
  }
  t.at(10 + MINUTE).expectGone();
});

test('a connection that is abandoned in FIN-WAIT-2 has a minute as well', () => {
  const t = established();
  t.connection.end();
  t.at(10, { ...ACK, ack: 1 }).at(5 * MINUTE);
  expect(t.connection.state).toBe('fin-wait-2');
  t.connection.abandon();
  t.at(6 * MINUTE - 1);
  expect(t.host.tcp.connectionCount).toBe(1);
  t.at(6 * MINUTE).expectGone();
});

test('an abandoned connection gives a silent peer and a closed window up sooner', () => {
  const t = established();
  t.write(10);
  t.connection.abandon();
  t.at(20 * MINUTE).expectGone();
  const s = established().at(0, { ...ACK, window: 0 });
  s.write(10);
  s.connection.abandon();
  for (let i = 0; i < 40 && s.connection.state !== 'closed'; i++) {
    s.at((s.host.nextAt - 1_000_000_000) / 1_000, { ...ACK, window: 0 });
  }
  s.expectGone();
});

test('a connection that is abandoned before it is established says nothing', () => {
  const t = new Harness().connect();
  t.connection.abandon();
  t.expect({ flags: 'S' }).expectEvents().expectGone();
});

test('the numbers of these tests wrap', () => {
  expect(ISS + 1_000).toBeGreaterThan(0xffff_ffff);
  expect(IRS + 1_000).toBeGreaterThan(0xffff_ffff);
});
