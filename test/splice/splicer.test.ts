import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { IPV6_FORM } from '../../src/splice/form.ts';
import { splicerCounters } from '../../src/splice/splicer.ts';
import { NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { ANSWER, ANSWER6, frameOf, PACKET, PACKET6 } from './packets.ts';
import { Testbed } from './testbed.ts';

function bed(options?: ConstructorParameters<typeof Testbed>[0]): Testbed {
  const made = new Testbed(options);
  made.insert();
  return made;
}

/** A packet that looks nearly like one of ours. */
interface OddPacket {
  readonly change?: (frame: Frame) => void;
  /** Type and bytes of an extension header. */
  readonly next?: number;
  readonly fill?: number[];
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

describe('over IPv6', () => {
  const options = [60, 0, 1, 4, 0, 0, 0, 0];
  const USUAL = { next: 60, fill: options };

  test('leaves by the next hop of its own way, and is counted', () => {
    const made = bed({ form: IPV6_FORM });
    for (const packet of [PACKET6, ANSWER6, ANSWER6]) made.handle(packet);
    expect(made.resolved).toEqual(['2001:db8:1::31', '2001:db8:a::2']);
    expect(made.sent.map(({ hop }) => hop)).toEqual([0, 1, 1]);
    expect(made.splicer.counters).toEqual({
      ...splicerCounters(),
      framesToBackend: 1,
      bytesToBackend: 60,
      framesToClient: 2,
      bytesToClient: 120,
    });
  });

  test('keeps the traffic class and drops the flow label', () => {
    const made = bed({ form: IPV6_FORM });
    const frame = frameOf({ ...PACKET6, flowLabel: 0xf_ffff });
    frame.view.setUint32(NETWORK_AT, frame.view.getUint32(NETWORK_AT) | 0x0030_0000);
    expect(handle(made, frame)).toBe(true);
    expect(made.sent[0].frame.view.getUint32(NETWORK_AT)).toBe(0x6030_0000);
  });

  test('finds a segment behind extension headers, and counts it', () => {
    const made = bed({ form: IPV6_FORM });
    expect(made.handle({ ...PACKET6, ipOptions: options })).toBe(true);
    expect(made.sent).toHaveLength(1);
    expect(made.splicer.counters).toMatchObject({ extensionHeaders: 1, framesToBackend: 1 });
  });

  test.each([
    { what: 'another flow', change: ({ view }: Frame) => view.setUint16(NETWORK_AT + 40, 9) },
    { what: 'a fragment', ...USUAL, next: 44 },
    { what: 'an authenticated packet', ...USUAL, next: 51 },
    {
      what: 'a routing header with a way to go',
      ...USUAL,
      next: 43,
      fill: [6, 0, 4, 1, 0, 0, 0, 0],
    },
    { what: 'UDP behind options', ...USUAL, fill: [17, 0, 1, 4, 0, 0, 0, 0] },
    { what: 'options longer than the packet', ...USUAL, fill: [6, 9, 1, 4, 0, 0, 0, 0] },
    { what: 'options without end', ...USUAL, fill: [60, 0, 1, 4, 0, 0, 0, 0] },
    {
      what: 'a version that is not 6',
      change: ({ view }: Frame) => view.setUint8(NETWORK_AT, 0x45),
    },
    {
      what: 'a length beyond the frame',
      change: ({ view }: Frame) => view.setUint16(NETWORK_AT + 4, 29),
    },
    {
      what: 'a packet too short for TCP',
      change: ({ view }: Frame) => view.setUint16(NETWORK_AT + 4, 11),
    },
  ])('$what is not ours and stays as it was', ({ change, next, fill }: OddPacket) => {
    const made = bed({ form: IPV6_FORM });
    const frame = frameOf({ ...PACKET6, ipOptions: fill ?? [] });
    change?.(frame);
    if (next !== undefined) frame.view.setUint8(NETWORK_AT + 6, next);
    if (fill !== undefined) frame.bytes.set(fill, NETWORK_AT + 40);
    const before = bytesOf(frame);
    expect(handle(made, frame)).toBe(false);
    expect(bytesOf(frame)).toEqual(before);
    expect(made.splicer.counters).toEqual(splicerCounters());
  });

  test.each([0, 1])('a hop limit of %i', (ttl) => {
    const made = bed({ form: IPV6_FORM });
    expect(made.handle({ ...PACKET6, ttl })).toBe(true);
    expect(made.splicer.counters).toEqual({ ...splicerCounters(), ttlExpired: 1 });
  });

  test('a train of the other family is damaged', () => {
    const made = bed({ form: IPV6_FORM });
    const train = { ...PACKET6, partial: true, gsoType: virtio.GSO_TCPV4, gsoSize: 1_000 };
    expect(made.handle(train)).toBe(true);
    expect(made.splicer.counters).toEqual({ ...splicerCounters(), damaged: 1 });
  });

  test('a spliced packet changed and cut anywhere: nothing thrown', () => {
    const made = bed({ form: IPV6_FORM });
    let taken = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(PACKET6, ANSWER6),
        fc.constantFrom([], options),
        fc.array(fc.tuple(fc.nat({ max: 110 }), fc.integer({ min: 0, max: 255 })), {
          maxLength: 3,
        }),
        fc.oneof(fc.constant(0), fc.nat({ max: 70 })),
        (packet, ipOptions, changes, cut) => {
          const frame = frameOf({ ...packet, ipOptions });
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
