// Somebody who cannot see the connection and guesses (RFC 5961), and somebody who sees it and plays with clocks.
import { describe, expect, test } from 'vitest';
import { MILLISECOND } from '../../src/env/clock.ts';
import type { Connection } from '../../src/tcp/connection.ts';
import {
  ACK,
  buildFrame,
  DATA,
  established,
  FIN,
  type Harness,
  OURS,
  PEER,
  RST,
  type Script,
  SYN,
  SYN_ACK,
} from '../tcp/harness.ts';

/** Numbers over the whole space, as a stranger tries them. */
const guesses = Array.from({ length: 4_096 }, (_, index) => (index * 0x10_0000 + 77_777) | 0);
const WINDOW = 65_535;

describe('a blind guess in steps of 2^20 finds no way in', () => {
  test('by RST', () => {
    const t = established({ receiveLimit: WINDOW });
    t.arrive(...guesses.map((seq) => ({ ...RST, seq })));
    expect(t.connection.state).toBe('established');
    t.expectEvents();
  });

  test('by SYN', () => {
    const t = established({ receiveLimit: WINDOW });
    t.arrive(...guesses.map((seq) => ({ ...SYN, seq })));
    expect(t.connection.state).toBe('established');
    t.expectEvents();
  });

  test('by data, with the right number and every acknowledgment but a plausible one', () => {
    const t = established({ receiveLimit: WINDOW });
    const far = guesses.filter((ack) => ack > 0 || ack < -WINDOW - 1);
    t.arrive(...far.map((ack) => ({ ...DATA, seq: 0, ack, data: 'evil' })));
    expect(t.read()).toBe('');
  });

  test('by FIN', () => {
    const t = established({ receiveLimit: WINDOW });
    const outside = guesses.filter((seq) => seq < 0 || seq > WINDOW);
    t.arrive(...outside.map((seq) => ({ ...FIN, seq })));
    expect(t.connection.state).toBe('established');
    t.expectEvents();
  });
});

test('every number of the window but the exact one is challenged, not believed', () => {
  const t = established({ receiveLimit: 4_000 });
  for (let seq = 1; seq < 4_000; seq++) t.arrive({ ...RST, seq });
  expect(t.connection.state).toBe('established');
  t.arrive({ ...RST, seq: 0 });
  expect(t.connection.state).toBe('closed');
});

/** A second connection of the same two hosts, from another port of the peer. */
function second(t: Harness): { connection: Connection; frame: (script: Script) => void } {
  const port = PEER.port + 1;
  const connection = t.host.tcp.connect({
    remote: { address: PEER.address, port },
    local: OURS.address,
    localPort: OURS.port,
    iss: t.iss,
    offer: t.offer(),
    handler: {},
  });
  const frame = (script: Script) => t.inject(buildFrame({ ...script, fromPort: port }, t, WINDOW));
  frame({ ...SYN_ACK, ...t.peerOptions() });
  expect(connection.state).toBe('established');
  t.sent();
  return { connection, frame };
}

test('challenges are counted for each connection by itself: nobody learns of one from another', () => {
  const t = established();
  const other = second(t);
  t.at(1_000);
  // An attacker spends all the challenges of its own connection (CVE-2016-5696) ...
  for (let i = 1; i <= 2_000; i++) other.frame({ ...RST, seq: i });
  const spent = t.sent();
  expect(spent.length).toBeGreaterThan(0);
  expect(spent.length).toBeLessThan(20);
  // ... and the victim's connection still gives its own.
  t.arrive({ ...RST, seq: 9 });
  expect(t.sent()).toMatchObject([{ flags: 'A', ack: 0, toPort: PEER.port }]);
});

test('challenges of one connection are limited, whatever asks for them', () => {
  const t = established();
  t.write(10).sent();
  const provocations: Script[] = [
    { ...RST, seq: 5 },
    { ...SYN, seq: 5 },
    { ...ACK, seq: 0, ack: 1_000_000 },
    { ...ACK, seq: 2_000_000_000, ack: 0 },
  ];
  t.at(1_000).sent();
  for (let i = 0; i < 1_000; i++) t.arrive(...provocations);
  expect(t.sent().length).toBeLessThan(20);
});

test('two ends that challenge each other come to rest (no ACK storm)', () => {
  const t = established();
  // The peer echoes every ACK of ours with numbers that we do not like.
  let echoes = 0;
  t.arrive({ ...ACK, seq: 3_000_000, ack: 0 });
  for (let round = 0; round < 1_000; round++) {
    const sent = t.sent();
    if (sent.length === 0) break;
    echoes += sent.length;
    t.arrive(...sent.map(() => ({ ...ACK, seq: 3_000_000, ack: 0 })));
  }
  expect(echoes).toBeLessThan(20);
});

describe('timestamps', () => {
  const stamped = (): Harness => established({ timestamps: true });
  const now = (t: Harness): number => t.host.tcp.timestamp(t.clock.now(), 0);

  test('that go back are refused, and the stream goes on from where it was', () => {
    const t = stamped();
    t.at(10, { ...DATA, seq: 0, data: 'a', timestamps: [5_000, now(t)] });
    for (let back = 1; back < 200; back++) {
      t.arrive({ ...DATA, seq: 1, data: 'evil', timestamps: [5_000 - back, now(t)] });
    }
    t.arrive({ ...DATA, seq: 1, data: 'b', timestamps: [5_001, now(t)] });
    expect(t.read()).toBe('ab');
  });

  test('that wrap are newer, over the whole of the wrap', () => {
    const t = stamped();
    t.arrive({ ...ACK, seq: 0, ack: 0, timestamps: [0x7000_0000, now(t)] });
    t.arrive({ ...ACK, seq: 0, ack: 0, timestamps: [0xd000_0000, now(t)] });
    let text = '';
    for (let step = 0; step < 40; step++) {
      const value = (0xffff_fff0 + step) >>> 0;
      t.arrive({ ...DATA, seq: step, data: 'x', timestamps: [value, now(t)] });
      text += 'x';
    }
    expect(t.read()).toBe(text);
  });

  test.each([
    ['the future', 60_000],
    ['a far future', 0x4000_0000],
    ['half of the space away', 0x8000_0000],
    ['yesterday', -86_400_000],
    ['weeks ago', -0x7000_0000],
  ])('echoed from %s are no round trip', (_, shift) => {
    const t = stamped();
    const { rto } = t.connection.rtt;
    for (let i = 1; i <= 20; i++) {
      t.write(10).sent();
      // A time of our own would make the sample: an echo alone is to be judged.
      t.connection.rtt.timedEnd = -1;
      const echo = (now(t) + shift) >>> 0;
      t.at(i, { ...ACK, seq: 0, ack: 10 * i, timestamps: [3_000 + i, echo] });
    }
    expect(t.connection.rtt.rto).toBeGreaterThanOrEqual(200 * MILLISECOND);
    expect(t.connection.rtt.rto).toBeLessThanOrEqual(Math.max(rto, 1_000 * MILLISECOND));
  });

  test('missing from a segment though they were agreed on do not stop the connection', () => {
    const t = stamped();
    const bare = buildFrame({ ...DATA, seq: 0, data: 'bare' }, t, WINDOW);
    t.inject(bare);
    t.arrive({ ...DATA, seq: 0, data: 'bare', timestamps: [9_000, now(t)] });
    expect(t.read()).toBe('bare');
  });

  test('present though nobody agreed on them are ignored', () => {
    const t = established();
    t.inject(buildFrame({ ...DATA, seq: 0, data: 'a', timestamps: [9_000, 1] }, t, WINDOW));
    t.inject(buildFrame({ ...DATA, seq: 1, data: 'b', timestamps: [8_000, 1] }, t, WINDOW));
    expect(t.read()).toBe('ab');
  });
});
