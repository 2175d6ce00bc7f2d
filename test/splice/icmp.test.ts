// ICMP errors about spliced packets, of both families.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Address, fromIpv4, fromIpv6, parseAddress } from '../../src/ip/address.ts';
import type { Frame } from '../../src/link/frame.ts';
import { ELSEWHERE } from '../../src/splice/quote.ts';
import { complement, sumBytes } from '../../src/wire/checksum.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { endsOf, FAMILIES, type FamilyCase } from './own.ts';
import {
  arbitraryIpv4Record,
  arbitraryIpv6Record,
  arbitraryPacket,
  contents,
  frameOf,
  type Packet,
  translated,
} from './packets.ts';
import { Testbed } from './testbed.ts';

/** Type, code and second word of a message. */
type Message = readonly [type: number, code: number, rest: number];

interface Protocol extends FamilyCase {
  readonly ipLength: number;
  readonly arbitraryRecord: typeof arbitraryIpv4Record;
  readonly tooBig: Message;
  readonly timeExceeded: Message;
  /** Errors of any kind, and what is none. */
  readonly errors: readonly Message[];
  readonly others: readonly Message[];
  readonly timeToLiveAt: number;
  readonly protocolAt: number;
  /** Puts a header before a message and completes it. */
  readonly complete: (frame: Frame, to: Packet['from'], message: Message) => void;
  readonly isIntact: (frame: Frame) => boolean;
  /** The sum over the pseudo-header of a packet at `at` whose segment has `length` bytes. */
  readonly pseudoSum: (view: DataView, at: number, length: number) => number;
}

const ROUTER = 0x0a00_01fe;
const ROUTER6 = String(parseAddress('2001:db8:1::1'));

const PROTOCOLS: readonly Protocol[] = [
  {
    ...FAMILIES[0],
    ipLength: 20,
    arbitraryRecord: arbitraryIpv4Record,
    tooBig: [icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, 1_400],
    timeExceeded: [icmp.TIME_EXCEEDED, 0, 0],
    errors: [
      [icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, 1_400],
      [icmp.TIME_EXCEEDED, 0, 0],
    ],
    others: [[icmp.ECHO, 0, 0]],
    timeToLiveAt: ipv4.TTL_AT,
    protocolAt: 9,
    complete: ({ view, end }, to, [type, code, rest]) => {
      view.setUint16(ETHERNET_AT + 12, 0x0800);
      const length = end - NETWORK_AT;
      const { PROTOCOL_ICMP } = ipv4;
      ipv4.write(view, NETWORK_AT, length, 1, 0, 60, PROTOCOL_ICMP, ROUTER, Number(to));
      icmp.write(view, NETWORK_AT + 20, end, type, code, rest);
    },
    isIntact: ({ view, end }) =>
      icmp.isIntact(view, NETWORK_AT + 20, end) && ipv4.isIntact(view, NETWORK_AT, 20),
    pseudoSum: (view, at, length) =>
      ipv4.pseudoHeaderSum(ipv4.source(view, at), ipv4.destination(view, at), 6, length),
  },
  {
    ...FAMILIES[1],
    ipLength: 40,
    arbitraryRecord: arbitraryIpv6Record,
    tooBig: [icmpv6.PACKET_TOO_BIG, 0, 1_400],
    timeExceeded: [icmpv6.TIME_EXCEEDED, 0, 0],
    errors: [
      [icmpv6.UNREACHABLE, 0, 0],
      [icmpv6.PACKET_TOO_BIG, 0, 1_400],
      [icmpv6.TIME_EXCEEDED, 0, 0],
      [icmpv6.PARAMETER_PROBLEM, 0, 0],
    ],
    others: [
      [icmpv6.ECHO, 0, 0],
      [0, 0, 0],
    ],
    timeToLiveAt: ipv6.HOP_LIMIT_AT,
    protocolAt: ipv6.NEXT_HEADER_AT,
    complete: ({ view, end }, to, [type, code, rest]) => {
      const at = NETWORK_AT + 40;
      const { PROTOCOL_ICMPV6 } = ipv6;
      view.setUint16(ETHERNET_AT + 12, 0x86dd);
      ipv6.write(view, NETWORK_AT, end - at, PROTOCOL_ICMPV6, 60, ROUTER6, String(to));
      icmpv6.write(view, at, type, code, rest);
      const pseudo = ipv6.pseudoHeaderSum(view, NETWORK_AT, PROTOCOL_ICMPV6, end - at);
      view.setUint16(at + icmpv6.CHECKSUM_AT, complement(sumBytes(view, at, end, pseudo)));
    },
    isIntact: ({ view, end }) => icmpv6.isIntact(view, NETWORK_AT, NETWORK_AT + 40, end),
    pseudoSum: (view, at, length) => ipv6.pseudoHeaderSum(view, at, 6, length),
  },
];

const handle = (bed: Testbed, frame: Frame): boolean => bed.splicer.handle(frame, bed.now);

describe.each(PROTOCOLS)('an error over $name about a spliced packet', (protocol) => {
  const { form, record, packet: PACKET, answer: ANSWER, ipLength, tooBig } = protocol;
  const messageAt = NETWORK_AT + ipLength;
  const quoteAt = messageAt + 8;
  /** What must be quoted at least: the ports and the number. */
  const least = ipLength + 8;

  /** What a router says about a packet: it quotes as many bytes of it as `quoted` says. */
  function errorAbout(packet: Packet, quoted = least, message: Message = tooBig): Frame {
    const about = frameOf(packet);
    const quote = about.bytes.slice(NETWORK_AT, Math.min(about.end, NETWORK_AT + quoted));
    const frame = frameOf(PACKET);
    frame.bytes.fill(0);
    frame.bytes.set(quote, quoteAt);
    frame.end = quoteAt + quote.length;
    protocol.complete(frame, packet.from, message);
    return frame;
  }

  /** The quoted packet as the end point that sent it should see it, with the quote's own time to live. */
  function expectQuote(frame: Frame, original: Packet, ttl: number): void {
    const { view, end } = frame;
    const at = quoteAt + ipLength + original.ipOptions.length;
    expect(endsOf(frame, quoteAt)).toEqual({ from: original.from, to: original.to });
    expect(view.getUint8(quoteAt + protocol.timeToLiveAt)).toBe(ttl);
    if (ipLength === 20) expect(ipv4.isIntact(view, quoteAt, at - quoteAt)).toBe(true);
    expect(tcp.sourcePort(view, at)).toBe(original.fromPort);
    expect(tcp.destinationPort(view, at)).toBe(original.toPort);
    expect(tcp.seq(view, at)).toBe(original.seq);
    if (end >= at + 14 && (original.flags & tcp.ACK) !== 0) {
      expect(tcp.ack(view, at)).toBe(original.ack);
    }
    expect(protocol.isIntact(frame)).toBe(true);
  }

  function bedWith(...packets: Packet[]): Testbed {
    const bed = new Testbed({ form });
    bed.insert();
    for (const packet of packets) expect(bed.handle(packet)).toBe(true);
    bed.sent.length = 0;
    return bed;
  }

  const ends = (frame: Frame): { from: Address; to: Address } => endsOf(frame, NETWORK_AT);

  test('from behind the proxy goes to the client, in its terms, its MTU kept', () => {
    const bed = bedWith(PACKET);
    expect(handle(bed, errorAbout(translated(PACKET, record, true)))).toBe(true);
    const { frame, hop } = bed.sent[0];
    const { view } = frame;
    expect(bed.resolved[hop]).toBe(ipLength === 20 ? '10.0.10.2' : '2001:db8:a::2');
    expect(ends(frame)).toEqual({ from: record.virtual.address, to: record.client.address });
    expect(view.getUint8(NETWORK_AT + protocol.timeToLiveAt)).toBe(59);
    expect([
      view.getUint8(messageAt),
      view.getUint8(messageAt + 1),
      view.getUint32(messageAt + 4),
    ]).toEqual(tooBig);
    expectQuote(frame, PACKET, 63);
    expect(bed.splicer.counters.errorsTranslated).toBe(1);
  });

  test('from the side of the client goes to the backend', () => {
    const bed = bedWith(ANSWER);
    const about = translated(ANSWER, record, false);
    expect(handle(bed, errorAbout(about, 100, protocol.timeExceeded))).toBe(true);
    const { frame, hop } = bed.sent[0];
    expect(bed.resolved[hop]).toBe(ipLength === 20 ? '10.0.1.32' : '2001:db8:1::31');
    expect(ends(frame).from).toBe(record.source.address);
    expectQuote(frame, ANSWER, 63);
  });

  test('any quote of any packet', () => {
    fc.assert(
      fc.property(
        fc
          .tuple(protocol.arbitraryRecord, fc.boolean())
          .chain(([any, toBackend]) =>
            fc.tuple(fc.constant(any), fc.constant(toBackend), arbitraryPacket(any, toBackend)),
          ),
        fc.integer({ min: least, max: 150 }),
        fc.constantFrom(...protocol.errors),
        ([any, toBackend, packet], length, message) => {
          // Behind extension headers nothing is looked for in a quote.
          const ipOptions = ipLength === 20 ? packet.ipOptions : [];
          const plain = { ...packet, partial: false, gsoType: 0, gsoSize: 0, ipOptions };
          const quoted = Math.max(length, least + ipOptions.length);
          const bed = new Testbed({ form });
          bed.insert(any);
          const out = translated(plain, any, toBackend);
          expect(handle(bed, errorAbout(out, quoted, message))).toBe(true);
          expect(bed.sent).toHaveLength(1);
          expectQuote(bed.sent[0].frame, plain, plain.ttl - 1);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a whole quoted header keeps a checksum that fits, when nothing else was translated', () => {
    const packet = { ...PACKET, payload: [1, 2, 3] };
    const bed = bedWith(packet);
    handle(bed, errorAbout(translated(packet, record, true), 100));
    const { view, end } = bed.sent[0].frame;
    const at = quoteAt + ipLength;
    const pseudo = protocol.pseudoSum(view, quoteAt, end - at);
    expect(complement(sumBytes(view, at, end, pseudo))).toBe(0);
  });

  test.each([
    { what: 'ahead of what passed here, which need not be all', off: ELSEWHERE, taken: true },
    { what: 'ahead of all that can have been sent', off: ELSEWHERE + 1, taken: false },
    { what: 'just sent', off: 0, taken: true },
    { what: 'within a window', off: -1_000_000, taken: true },
    { what: 'from long ago', off: -0x100_0000, taken: false },
  ])('a quoted number that is $what (RFC 5927)', ({ off, taken }) => {
    const packet = { ...PACKET, seq: 500 };
    const bed = bedWith(packet);
    const about = translated({ ...packet, seq: (500 + off) >>> 0 }, record, true);
    expect(handle(bed, errorAbout(about))).toBe(true);
    expect(bed.sent).toHaveLength(taken ? 1 : 0);
    expect(bed.splicer.counters.errorsRefused).toBe(taken ? 0 : 1);
  });

  test('damaged, or at the end of its life: dropped', () => {
    const bed = bedWith(PACKET);
    const about = translated(PACKET, record, true);
    const damaged = errorAbout(about);
    damaged.view.setUint32(messageAt + 4, 1_300);
    const old = errorAbout(about);
    old.view.setUint8(NETWORK_AT + protocol.timeToLiveAt, 1);
    const partial = errorAbout(about);
    partial.view.setUint8(VIRTIO_AT, virtio.NEEDS_CSUM);
    for (const frame of [damaged, old, partial]) expect(handle(bed, frame)).toBe(true);
    expect(bed.sent).toHaveLength(0);
    expect(bed.splicer.counters.errorsRefused).toBe(3);
  });

  test('about another flow, or sent to another address: not ours, and untouched', () => {
    const bed = bedWith(PACKET);
    const about = translated(PACKET, record, true);
    const stranger = ipLength === 20 ? fromIpv4(0x0a00_0a09) : fromIpv6('x'.repeat(16));
    const elsewhere = errorAbout(about);
    protocol.complete(elsewhere, record.virtual.address, tooBig);
    const udp = errorAbout(about);
    udp.view.setUint8(quoteAt + protocol.protocolAt, 17);
    const frames = [
      errorAbout({ ...about, fromPort: 1 }),
      errorAbout({ ...about, to: stranger }),
      errorAbout(PACKET),
      errorAbout(about, least - 1),
      ...protocol.others.map((message) => errorAbout(about, least, message)),
      elsewhere,
      udp,
    ];
    if (ipLength === 20) {
      const fragment = errorAbout(about);
      fragment.view.setUint16(quoteAt + 6, 5);
      frames.push(fragment);
    }
    for (const frame of frames) {
      const before = contents(frame);
      expect(handle(bed, frame)).toBe(false);
      expect(contents(frame)).toEqual(before);
    }
    expect(bed.splicer.counters.errorsRefused).toBe(0);
  });

  test('changed or cut anywhere: nothing thrown', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 130 }), fc.integer({ min: 0, max: 255 })), {
          maxLength: 4,
        }),
        fc.nat({ max: 140 }),
        (changes, cut) => {
          const bed = bedWith(PACKET);
          const frame = errorAbout(translated(PACKET, record, true), 60);
          for (const [at, value] of changes) frame.bytes[at] = value;
          frame.end = Math.max(0, frame.end - cut);
          expect(handle(bed, frame)).toBeTypeOf('boolean');
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
