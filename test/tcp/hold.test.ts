import { expect, test } from 'vitest';
import { ACK, accepted, DATA, established, FIN, Harness, RST, SYN_ACK } from './harness.ts';

test('while held nothing is acknowledged, though all is kept; release acknowledges it', () => {
  const t = established();
  t.connection.hold();
  t.at(1, { ...DATA, data: 'abc' }).at(
    500,
    { ...DATA, data: 'abc' },
    { ...DATA, seq: 3, data: 'def' },
  );
  t.at(2_000).expect();
  expect(t.read()).toBe('abcdef');
  t.connection.release();
  t.expect({ ...ACK, ack: 6 });
  t.at(2_100, { ...DATA, seq: 6, data: 'g' })
    .at(2_140)
    .expect({ ...ACK, ack: 7 });
});

test('a held connection answers neither what is out of order, nor a FIN, nor a challenge', () => {
  const t = established();
  t.connection.hold();
  t.at(1, { ...DATA, seq: 5, data: 'x' }, { ...FIN, seq: 3 }, { ...RST, seq: 2 });
  t.at(2, { ...ACK, seq: -1 }, { ...DATA, data: 'abc' })
    .at(5_000)
    .expect();
  t.connection.release();
  t.expect({ ...ACK, ack: 4 });
});

test('what a held connection sends says what was acknowledged before', () => {
  const t = established()
    .at(1, { ...DATA, data: 'old' })
    .at(50);
  t.expect({ ...ACK, ack: 3, window: 64_240 });
  t.connection.hold();
  t.at(60, { ...DATA, seq: 3, data: 'new' });
  t.write('x').expect({ ...DATA, ack: 3, data: 'x' });
  t.connection.abort();
  t.expect({ ...RST, flags: 'RA', ack: 3 });
});

test('the window counts from what is acknowledged', () => {
  const t = established({ receiveLimit: 1_000 });
  t.connection.hold();
  t.at(1, { ...DATA, length: 400 });
  t.write('x').expect({ ...DATA, ack: 0, window: 1_000 });
  t.read();
  t.expect();
});

test('acknowledgeUpTo acknowledges a part, and holds what follows', () => {
  const t = established();
  t.connection.hold();
  t.at(1, { ...DATA, data: 'abc' });
  t.connection.acknowledgeUpTo(2);
  t.expect({ ...ACK, ack: 2 });
  t.connection.acknowledgeUpTo(3);
  t.expect({ ...ACK, ack: 3 });
  t.at(100, { ...DATA, seq: 3, data: 'def' })
    .at(1_000)
    .expect();
  t.connection.release();
  t.expect({ ...ACK, ack: 6 });
});

test('a second release says nothing', () => {
  const t = established();
  t.connection.hold();
  t.connection.release();
  t.expect({ ...ACK, ack: 0 });
  t.connection.release();
  t.expect();
});

test('an active open that is held in onConnect sends no third segment', () => {
  const t = new Harness().connect();
  t.handler.onConnect = () => {
    t.connection.hold();
    return 0;
  };
  t.expect({ flags: 'S' })
    .at(5, { ...SYN_ACK, ...t.peerOptions() })
    .at(500, SYN_ACK)
    .expect();
  t.connection.release();
  t.expect({ ...ACK, seq: 0, ack: 0 });
});

test('a listener may hold from the start', () => {
  const t = accepted({}, { hold: true })
    .at(1, { ...DATA, data: 'abc' })
    .at(1_000);
  t.expect();
  t.connection.release();
  t.expect({ ...ACK, ack: 3 });
});

test('a held connection ends with the reset of its peer', () => {
  const t = established();
  t.connection.hold();
  t.at(1, { ...DATA, data: 'abc' }, { ...RST, seq: 3 }).expectEvents(
    'readable',
    'close ECONNRESET',
  );
});

test('timers of a held connection come to rest', () => {
  const t = established();
  t.connection.hold();
  t.at(1, { ...DATA, data: 'abc' }, { ...FIN, seq: 3 })
    .at(10_000)
    .expect();
  expect(t.host.timers.armed).toBe(0);
});
