// Headers that lie: truncated and overlong at every layer, options that loop, flags that contradict each other.
import { describe, expect, test } from 'vitest';
import type { Frame } from '../../src/link/frame.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { ACK, accepted, DATA, established, Harness, OURS, SYN } from '../tcp/harness.ts';
import {
  repairIp,
  repairTcp,
  segmentFrame,
  TRANSPORT_AT,
  withFlags,
  withOptions,
} from './tamper.ts';

/** The connection goes on as if nothing had been. */
function expectUnharmed(t: Harness): void {
  t.sent();
  t.events.length = 0;
  t.arrive({ ...DATA, seq: 0, data: 'good' });
  expect(t.read()).toBe('good');
  expect(t.events).toContain('readable');
}

test('a frame cut anywhere is dropped, whatever is missing', () => {
  const t = established();
  const whole = segmentFrame(t, { ...DATA, data: 'x'.repeat(60) });
  const { end } = whole;
  for (let length = 0; length < end; length++) {
    whole.end = length;
    t.inject(whole);
  }
  expect(t.read()).toBe('');
  expect(t.sent()).toEqual([]);
  expectUnharmed(t);
});

const lies: readonly [string, (frame: Frame) => void][] = [
  ['version 5', ({ view }) => view.setUint8(NETWORK_AT, 0x55)],
  ['version 6 in an IPv4 frame', ({ view }) => view.setUint8(NETWORK_AT, 0x65)],
  ['a header of 0 words', ({ view }) => view.setUint8(NETWORK_AT, 0x40)],
  ['a header of 4 words', ({ view }) => view.setUint8(NETWORK_AT, 0x44)],
  ['a header longer than the packet', ({ view }) => view.setUint8(NETWORK_AT, 0x4f)],
  ['a total length of 0', ({ view }) => view.setUint16(NETWORK_AT + 2, 0)],
  ['a total length below the header', ({ view }) => view.setUint16(NETWORK_AT + 2, 19)],
  ['a total length of the header alone', ({ view }) => view.setUint16(NETWORK_AT + 2, 20)],
  ['a total length within the TCP header', ({ view }) => view.setUint16(NETWORK_AT + 2, 39)],
  ['a total length beyond the frame', ({ view }) => view.setUint16(NETWORK_AT + 2, 1_400)],
  ['a total length of 65,535', ({ view }) => view.setUint16(NETWORK_AT + 2, 0xffff)],
  ['a data offset of 0', ({ view }) => view.setUint8(TRANSPORT_AT + 12, 0)],
  ['a data offset of 4', ({ view }) => view.setUint8(TRANSPORT_AT + 12, 0x40)],
  ['a data offset beyond the segment', ({ view }) => view.setUint8(TRANSPORT_AT + 12, 0xf0)],
];

test.each(lies)('%s is dropped, its checksums right or not', (_, lie) => {
  const t = established();
  for (const repair of [false, true]) {
    const frame = segmentFrame(t, { ...DATA, data: 'evil' });
    lie(frame);
    if (repair) {
      repairIp(frame);
      repairTcp(frame);
    }
    t.inject(frame);
  }
  expect(t.read()).toBe('');
  expect(t.sent().filter(({ length }) => (length ?? 0) > 0)).toEqual([]);
  expectUnharmed(t);
});

test('what follows the IP packet in its frame is padding, not payload', () => {
  const t = established();
  const frame = segmentFrame(t, { ...DATA, data: 'data' });
  frame.bytes.fill(0x58, frame.end, frame.end + 40);
  frame.end += 40;
  t.inject(frame);
  expect(t.read()).toBe('data');
});

describe('options', () => {
  const loops: readonly [string, readonly number[]][] = [
    ['a length of 0', [8, 0, 0, 0]],
    ['a length of 1', [8, 1, 1, 1]],
    ['a length beyond the header', [8, 10, 0, 0]],
    ['a kind without a length at the end', [1, 1, 1, 8]],
    ['40 bytes of an unknown kind with length 0', Array.from({ length: 40 }, () => 254)],
    ['20 unknown options of 2 bytes', Array.from({ length: 40 }, (_, i) => (i % 2 ? 2 : 200))],
    ['an MSS of 3 bytes', [2, 3, 5, 0]],
    ['timestamps of 9 bytes', [1, 8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['SACK of 2 bytes', [5, 2, 1, 1]],
    ['SACK of 9 bytes', [5, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]],
    ['SACK of 34 bytes', [5, 34, ...Array.from({ length: 34 }, () => 0xff)]],
    ['SACK of 38 bytes', [5, 38, ...Array.from({ length: 38 }, () => 0xff)]],
    ['40 bytes of NOP', Array.from({ length: 40 }, () => 1)],
    ['END and then a scale', [0, 3, 3, 14]],
  ];

  test.each(loops)('%s in a segment are survived', (_, options) => {
    const t = established({ sack: true });
    t.write(5_000).sent();
    t.inject(withOptions(segmentFrame(t, { ...ACK, seq: 0, ack: 0 }), options));
    expect(t.connection.state).toBe('established');
    expectUnharmed(t);
  });

  test.each(loops)('%s in a SYN are survived', (_, options) => {
    const t = new Harness().listen();
    t.inject(withOptions(segmentFrame(t, SYN), options));
    const [answer] = t.sent();
    expect(answer).toMatchObject({ flags: 'SA', ack: 0 });
    t.arrive({ ...ACK, seq: 0, ack: 0 }).expectEvents('accept', 'connect');
  });

  test('twice the same option: one of them counts, and it is sane', () => {
    const t = new Harness().listen();
    t.inject(withOptions(segmentFrame(t, SYN), [2, 4, 2, 0, 2, 4, 3, 0, 3, 3, 1, 3, 3, 2]));
    t.sent();
    t.arrive({ ...ACK, seq: 0, ack: 0 });
    expect([0x200, 0x300]).toContain(t.connection.negotiated.sendMss);
  });

  test('an IP header with options is skipped, not taken for TCP', () => {
    const t = established();
    const plain = segmentFrame(t, { ...DATA, data: 'data' });
    plain.bytes.copyWithin(TRANSPORT_AT + 8, TRANSPORT_AT, plain.end);
    // A record route whose pointer is past its end, and a NOP that fills the word.
    plain.bytes.set([7, 7, 8, 0, 0, 0, 0, 1], TRANSPORT_AT);
    plain.end += 8;
    plain.view.setUint8(NETWORK_AT, 0x47);
    plain.view.setUint16(NETWORK_AT + 2, plain.end - NETWORK_AT);
    repairIp(plain);
    t.inject(plain);
    expect(t.read()).toBe('data');
  });
});

describe('a peer that is ourselves (LAND)', () => {
  const land = (frame: Frame): Frame => {
    frame.view.setUint32(NETWORK_AT + ipv4.SOURCE_AT, Number(OURS.address));
    repairIp(frame);
    repairTcp(frame);
    return frame;
  };

  test('a SYN from our own address and port is dropped', () => {
    const t = new Harness().listen();
    t.inject(land(segmentFrame(t, { ...SYN, fromPort: OURS.port })));
    expect(t.sent()).toEqual([]);
    expect(t.host.tcp.connectionCount).toBe(0);
    expect(t.host.ip.counters.martians).toBe(1);
  });

  test.each([
    ['the loop', 0x7f00_0001],
    ['this network', 0],
    ['a group', 0xe000_0001],
    ['everybody', 0xffff_ffff],
  ])('so is one from %s', (_, source) => {
    const t = new Harness().listen();
    const frame = segmentFrame(t, SYN);
    frame.view.setUint32(NETWORK_AT + ipv4.SOURCE_AT, source);
    repairIp(frame);
    repairTcp(frame);
    t.inject(frame);
    expect(t.sent()).toEqual([]);
    expect(t.host.tcp.connectionCount).toBe(0);
  });

  test('and one for us that came as a broadcast (RFC 9293, 3.9.2.3)', () => {
    const t = new Harness().listen();
    const frame = segmentFrame(t, SYN);
    ethernet.writeMac(frame.view, ETHERNET_AT, ethernet.BROADCAST);
    t.inject(frame);
    expect(t.sent()).toEqual([]);
  });
});

describe('flags', () => {
  const { SYN: S, FIN: F, RST: R, ACK: A, PSH, URG, ECE, CWR } = tcp;

  test.each([
    ['SYN and FIN', S | F],
    ['SYN and RST', S | R],
    ['SYN, FIN and RST', S | F | R],
    ['SYN, FIN, PSH and URG', S | F | PSH | URG],
    ['everything (Christmas tree)', 0xff],
    ['FIN, PSH and URG (Xmas scan)', F | PSH | URG],
    ['nothing (null scan)', 0],
    ['FIN alone', F],
    ['PSH and URG', PSH | URG],
    ['ECE and CWR', ECE | CWR],
  ])('%s opens no connection', (_, flags) => {
    const t = new Harness().listen();
    t.inject(withFlags(segmentFrame(t, SYN), flags));
    expect(t.host.tcp.connectionCount).toBe(0);
    for (const { flags: answered } of t.sent()) expect(answered).toContain('R');
  });

  test('every combination is survived by a listener', () => {
    for (let flags = 0; flags < 256; flags++) {
      const t = new Harness().listen();
      t.inject(withFlags(segmentFrame(t, { ...SYN, ack: 0 }), flags));
      expect(t.host.tcp.connectionCount).toBe((flags & (S | F | R | A)) === S ? 1 : 0);
    }
  });

  test('every combination, out of the window, leaves a connection as it was', () => {
    const t = established();
    for (let flags = 0; flags < 256; flags++) {
      t.inject(withFlags(segmentFrame(t, { ...DATA, seq: 1_000_000, data: 'x' }), flags));
    }
    expect(t.connection.state).toBe('established');
    expect(t.read()).toBe('');
    expectUnharmed(t);
  });

  test('a reset is never answered, whatever else is set', () => {
    for (let flags = 0; flags < 256; flags++) {
      if ((flags & R) === 0) continue;
      const t = new Harness();
      t.inject(withFlags(segmentFrame(t, { ...SYN, ack: 5 }), flags));
      expect(t.sent()).toEqual([]);
    }
  });

  test('data with an urgent pointer is data, wherever the pointer leads', () => {
    for (const pointer of [0, 1, 4, 5, 0x7fff, 0xffff]) {
      const t = accepted();
      const frame = segmentFrame(t, { ...DATA, data: 'data' });
      frame.view.setUint16(TRANSPORT_AT + 18, pointer);
      t.inject(withFlags(frame, A | URG));
      expect(t.read()).toBe('data');
    }
  });

  test('an urgent pointer without its flag means nothing', () => {
    const t = established();
    const frame = segmentFrame(t, { ...DATA, data: 'data' });
    frame.view.setUint16(TRANSPORT_AT + 18, 3);
    repairTcp(frame);
    t.inject(frame);
    expect(t.read()).toBe('data');
  });

  test('reserved bits are ignored (RFC 9293, 3.1)', () => {
    const t = established();
    const frame = segmentFrame(t, { ...DATA, data: 'data' });
    frame.view.setUint8(TRANSPORT_AT + 12, frame.view.getUint8(TRANSPORT_AT + 12) | 0x0f);
    repairTcp(frame);
    t.inject(frame);
    expect(t.read()).toBe('data');
  });
});
