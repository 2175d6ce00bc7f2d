import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { splicerCounters } from '../../src/splice/splicer.ts';
import { NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { ANSWER, frameOf, PACKET } from './packets.ts';
import { Testbed } from './testbed.ts';

function bed(options?: ConstructorParameters<typeof Testbed>[0]): Testbed {
  const made = new Testbed(options);
  made.insert();
  return made;
}

const handle = (made: Testbed, frame: Frame): boolean => made.splicer.handle(frame, made.now);
const bytesOf = (frame: Frame): number[] => [...frame.bytes.subarray(0, frame.end)];

describe('what goes out', () => {
  test('leaves by the next hop of its own way, looked up once', () => {
    const made = bed();
    for (const packet of [PACKET, ANSWER, PACKET, ANSWER]) made.handle(packet);
    expect(made.resolved).toEqual(['10.0.1.32', '10.0.10.2']);
    expect(made.sent.map(({ hop }) => hop)).toEqual([0, 1, 0, 1]);
  });

  test('looks up a hop that went stale', () => {
    const made = bed();
    made.handle(PACKET);
    made.stale = 1;
    made.handle(PACKET);
    expect(made.sent.map(({ hop }) => hop)).toEqual([0, 1]);
  });

  test('without a route it is dropped and counted', () => {
    const made = bed();
    made.hasRoute = false;
    expect(made.handle(PACKET)).toBe(true);
    expect(made.splicer.counters.noRoute).toBe(1);
    made.hasRoute = true;
    expect(made.handle(PACKET)).toBe(true);
    expect(made.sent).toHaveLength(1);
  });

  test('is counted, frames and bytes, each way', () => {
    const counters = splicerCounters();
    const made = bed({ counters });
    made.handle({ ...PACKET, payload: [1, 2, 3] });
    made.handle(ANSWER);
    made.handle(ANSWER);
    expect(counters).toEqual({
      ...splicerCounters(),
      framesToBackend: 1,
      bytesToBackend: 43,
      framesToClient: 2,
      bytesToClient: 80,
    });
  });
});

describe('what is not ours stays as it was', () => {
  test.each([
    { what: 'another flow', change: (frame: Frame) => frame.view.setUint16(NETWORK_AT + 20, 9) },
    { what: 'a first fragment', change: (frame: Frame) => frame.view.setUint16(30, 0x2000) },
    { what: 'a later fragment', change: (frame: Frame) => frame.view.setUint16(30, 0x0004) },
    { what: 'UDP', change: (frame: Frame) => frame.view.setUint8(NETWORK_AT + 9, 17) },
    { what: 'another version', change: (frame: Frame) => frame.view.setUint8(NETWORK_AT, 0x65) },
    {
      what: 'an IP length beyond the frame',
      change: (frame: Frame) => frame.view.setUint16(NETWORK_AT + 2, 41),
    },
    {
      what: 'an IP packet too short for TCP',
      change: (frame: Frame) => frame.view.setUint16(NETWORK_AT + 2, 39),
    },
    {
      what: 'an IP header that is too short',
      change: (frame: Frame) => frame.view.setUint8(NETWORK_AT, 0x44),
    },
  ])('$what', ({ change }) => {
    const made = bed();
    const frame = frameOf(PACKET);
    change(frame);
    const before = bytesOf(frame);
    expect(handle(made, frame)).toBe(false);
    expect(bytesOf(frame)).toEqual(before);
    expect(made.splicer.counters).toEqual(splicerCounters());
  });
});

describe('what is ours and damaged is dropped and counted', () => {
  const partial = { ...PACKET, partial: true };
  test.each([
    {
      what: 'a TCP header longer than the packet',
      packet: PACKET,
      change: (frame: Frame) => frame.view.setUint8(NETWORK_AT + 32, 0xf0),
    },
    {
      what: 'a TCP header shorter than any',
      packet: PACKET,
      change: (frame: Frame) => frame.view.setUint8(NETWORK_AT + 32, 0x40),
    },
    {
      what: 'a partial checksum that starts elsewhere',
      packet: partial,
      change: (frame: Frame) => frame.view.setUint16(VIRTIO_AT + 6, 33, true),
    },
    {
      what: 'a partial checksum at another field',
      packet: partial,
      change: (frame: Frame) => frame.view.setUint16(VIRTIO_AT + 8, 6, true),
    },
    {
      what: 'a train of another protocol',
      packet: { ...partial, gsoType: virtio.GSO_TCPV6, gsoSize: 1_000 },
      change: () => {},
    },
    {
      what: 'a train of empty segments',
      packet: { ...partial, gsoType: virtio.GSO_TCPV4, gsoSize: 0 },
      change: () => {},
    },
  ])('$what', ({ packet, change }) => {
    const made = bed();
    const frame = frameOf(packet);
    change(frame);
    expect(handle(made, frame)).toBe(true);
    expect(made.sent).toHaveLength(0);
    expect(made.splicer.counters).toEqual({ ...splicerCounters(), damaged: 1 });
  });

  test.each([0, 1])('a time to live of %i', (ttl) => {
    const made = bed();
    expect(made.handle({ ...PACKET, ttl })).toBe(true);
    expect(made.sent).toHaveLength(0);
    expect(made.splicer.counters).toEqual({ ...splicerCounters(), ttlExpired: 1 });
  });
});

describe('any bytes', () => {
  test('at random: nothing thrown, and what is not taken is as it was', () => {
    const made = bed();
    const frame = new Frame(256);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => {
        frame.bytes.fill(0);
        frame.bytes.set(bytes);
        frame.end = bytes.length;
        if (!handle(made, frame)) expect(bytesOf(frame)).toEqual([...bytes]);
      }),
    );
  });

  test('a spliced packet changed and cut anywhere', () => {
    const made = bed();
    let taken = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(PACKET, ANSWER),
        fc.array(fc.tuple(fc.nat({ max: 90 }), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
        fc.oneof(fc.constant(0), fc.nat({ max: 50 })),
        fc.uint8Array({ maxLength: 24 }),
        (packet, changes, cut, payload) => {
          const frame = frameOf({
            ...packet,
            options: [
              { kind: 'nop' },
              { kind: 'sack', edges: [1, 2] },
              { kind: 'timestamps', value: 1, echo: 2 },
            ],
            payload: [...payload],
          });
          for (const [at, value] of changes) frame.bytes[at] = value;
          frame.end -= Math.min(cut, frame.end);
          const before = bytesOf(frame);
          if (handle(made, frame)) taken++;
          else expect(bytesOf(frame)).toEqual(before);
        },
      ),
      { numRuns: 2_000 },
    );
    expect(taken).toBeGreaterThan(100);
  });
});
