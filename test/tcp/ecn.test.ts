// Explicit congestion notification (RFC 3168): how it is agreed on, and the receiver's half.
import { expect, test } from 'vitest';
import type { EcnMode } from '../../src/tcp/options.ts';
import { ACK, DATA, Harness, SYN } from './harness.ts';

const MARKED = 3;
const CAPABLE = 2;

/** A connection that the peer opened, asking for ECN. */
function capable(): Harness {
  const t = new Harness({ sack: true }).listen();
  t.at(0, { ...SYN, ...t.peerOptions(), flags: 'SEW' }).expect({ flags: 'SAE', seq: -1, ack: 0 });
  t.at(100, { ...ACK, seq: 0, ack: 0 });
  expect(t.connection.ecn.ok).toBe(true);
  t.connection.ack.timeout = 40_000;
  return t.begin();
}

test.each<[EcnMode, string, string]>([
  ['passive', 'S', 'SAE'],
  ['on', 'SEW', 'SAE'],
  ['off', 'S', 'SA'],
])('in mode %s our SYN is %s, and one that asks is answered by %s', (ecn, syn, synAck) => {
  new Harness({ tcp: { ecn } }).connect().expect({ flags: syn });
  new Harness({ tcp: { ecn } })
    .listen()
    .at(0, { ...SYN, flags: 'SEW' })
    .expect({ flags: synAck });
});

test.each([
  ['both flags', 'SAEW', false],
  ['ECE alone', 'SAE', true],
  ['neither', 'SA', false],
])('a SYN-ACK with %s', (_, flags, ok) => {
  const t = new Harness({ tcp: { ecn: 'on' } }).connect();
  t.at(10, { flags, seq: -1, ack: 0, mss: 1_000 });
  expect(t.connection.ecn.ok).toBe(ok);
});

test('a SYN-ACK that agrees though nobody asked changes nothing', () => {
  const t = new Harness().connect().at(10, { flags: 'SAE', seq: -1, ack: 0 });
  expect(t.connection.ecn.ok).toBe(false);
});

test('a SYN that is sent again does not ask any more', () => {
  const t = new Harness({ tcp: { ecn: 'on' } }).connect();
  t.expect({ flags: 'SEW' }).at(1_000).expect({ flags: 'S' });
  t.at(1_010, { flags: 'SAE', seq: -1, ack: 0 });
  expect(t.connection.ecn.ok).toBe(false);
});

test('a SYN with one of the flags, or marked itself, asks for nothing', () => {
  const t = new Harness().listen();
  t.at(0, { ...SYN, flags: 'SE' }).expect({ flags: 'SA' });
  const u = new Harness().listen();
  u.at(0, { ...SYN, flags: 'SEW', ecn: CAPABLE }).expect({ flags: 'SA' });
});

test('a mark is echoed by every segment until CWR comes', () => {
  const t = capable();
  t.at(1, { ...DATA, length: 10, ecn: CAPABLE }).pass(50);
  t.expect({ flags: 'A', ack: 10 });
  t.arrive({ ...DATA, seq: 10, length: 10, ecn: MARKED }).expect({ flags: 'AE', ack: 20 });
  t.arrive({ ...DATA, seq: 20, length: 10, ecn: CAPABLE }).expect({ flags: 'AE', ack: 30 });
  t.write('x').expect({ flags: 'AE', data: 'x' });
  t.arrive({ ...DATA, flags: 'AW', seq: 30, length: 10, ecn: CAPABLE });
  t.expect({ flags: 'A', ack: 40 });
});

test('a segment with CWR that is marked again is echoed anew', () => {
  const t = capable();
  t.arrive({ ...DATA, length: 10, ecn: MARKED }).expect({ flags: 'AE' });
  t.arrive({ ...DATA, flags: 'AW', seq: 10, length: 10, ecn: MARKED }).expect({ flags: 'AE' });
  expect(t.connection.count.marked).toBe(2);
});

test('marks on connections that did not agree mean nothing', () => {
  const t = new Harness()
    .listen()
    .at(0, SYN)
    .at(10, { ...ACK, seq: 0, ack: 0 });
  t.sent();
  t.arrive({ ...DATA, length: 10, ecn: MARKED }).expect({ flags: 'A', ack: 10 });
});
