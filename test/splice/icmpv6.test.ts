import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromIpv6, parseAddress } from '../../src/ip/address.ts';
import type { Frame } from '../../src/link/frame.ts';
import { IPV6_FORM } from '../../src/splice/form.ts';
import { ELSEWHERE } from '../../src/splice/quote.ts';
import { complement, sumBytes } from '../../src/wire/checksum.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as virtio from '../../src/wire/virtio.ts';
import {
  ANSWER6,
  arbitraryIpv6Record,
  arbitraryPacket,
  CLIENT6,
  frameOf,
  PACKET6,
  type Packet,
  RECORD6,
  SOURCE6,
  translated,
  VIRTUAL6,
} from './packets.ts';
import { Testbed } from './testbed.ts';

const ROUTER = String(parseAddress('2001:db8:1::1'));
const ICMP_AT = NETWORK_AT + 40;
const QUOTE_AT = ICMP_AT + 8;
const SEGMENT_AT = QUOTE_AT + 40;
const UNREACHABLE = 1;
const TOO_BIG = 2;
const TIME_EXCEEDED = 3;
const ECHO = 128;

const checksum = (frame: Frame): number =>
  complement(
    sumBytes(
      frame.view,
      ICMP_AT,
      frame.end,
      ipv6.pseudoHeaderSum(frame.view, NETWORK_AT, 58, frame.end - ICMP_AT),
    ),
  );

/** What a router says about a packet: it quotes as many bytes of it as `quoted` says. */
function errorAbout(packet: Packet, quoted = 60, type = TOO_BIG, rest = 1_400): Frame {
  const about = frameOf(packet);
  const quote = about.bytes.slice(NETWORK_AT, Math.min(about.end, NETWORK_AT + quoted));
  const frame = frameOf(PACKET6);
  const { view, bytes } = frame;
  bytes.fill(0);
  bytes.set(quote, QUOTE_AT);
  frame.end = QUOTE_AT + quote.length;
  view.setUint16(ETHERNET_AT + 12, 0x86dd);
  ipv6.write(view, NETWORK_AT, frame.end - ICMP_AT, 58, 60, ROUTER, String(packet.from));
  view.setUint8(ICMP_AT, type);
  view.setUint32(ICMP_AT + 4, rest);
  view.setUint16(ICMP_AT + 2, checksum(frame));
  return frame;
}

/** The quoted packet as the end point that sent it should see it, with the quote's own hop limit. */
function expectQuote({ view, end }: Frame, original: Packet, hops: number): void {
  expect(ipv6.readAddress(view, QUOTE_AT + ipv6.SOURCE_AT)).toBe(original.from);
  expect(ipv6.readAddress(view, QUOTE_AT + ipv6.DESTINATION_AT)).toBe(original.to);
  expect(ipv6.hopLimit(view, QUOTE_AT)).toBe(hops);
  expect(tcp.sourcePort(view, SEGMENT_AT)).toBe(original.fromPort);
  expect(tcp.destinationPort(view, SEGMENT_AT)).toBe(original.toPort);
  expect(tcp.seq(view, SEGMENT_AT)).toBe(original.seq);
  if (end >= SEGMENT_AT + 14 && (original.flags & tcp.ACK) !== 0) {
    expect(tcp.ack(view, SEGMENT_AT)).toBe(original.ack);
  }
}

function bedWith(...packets: Packet[]): Testbed {
  const bed = new Testbed({ form: IPV6_FORM });
  bed.insert();
  for (const packet of packets) expect(bed.handle(packet)).toBe(true);
  bed.sent.length = 0;
  return bed;
}

const handle = (bed: Testbed, frame: Frame): boolean => bed.splicer.handle(frame, bed.now);

describe('an ICMPv6 error about a spliced packet', () => {
  test('"packet too big" from behind the proxy goes to the client, in its terms, its MTU kept', () => {
    const bed = bedWith(PACKET6);
    expect(handle(bed, errorAbout(translated(PACKET6, RECORD6, true)))).toBe(true);
    const { frame, hop } = bed.sent[0];
    const { view } = frame;
    expect(bed.resolved[hop]).toBe('2001:db8:a::2');
    expect(ipv6.readAddress(view, NETWORK_AT + ipv6.SOURCE_AT)).toBe(VIRTUAL6);
    expect(ipv6.readAddress(view, NETWORK_AT + ipv6.DESTINATION_AT)).toBe(CLIENT6);
    expect(ipv6.hopLimit(view, NETWORK_AT)).toBe(59);
    expect([view.getUint8(ICMP_AT), view.getUint32(ICMP_AT + 4)]).toEqual([TOO_BIG, 1_400]);
    expect(checksum(frame)).toBe(0);
    expectQuote(frame, PACKET6, 63);
    expect(bed.splicer.counters.errorsTranslated).toBe(1);
  });

  test('from the side of the client goes to the backend', () => {
    const bed = bedWith(ANSWER6);
    const about = translated(ANSWER6, RECORD6, false);
    expect(handle(bed, errorAbout(about, 100, TIME_EXCEEDED, 0))).toBe(true);
    const { frame, hop } = bed.sent[0];
    expect(bed.resolved[hop]).toBe('2001:db8:1::31');
    expect(ipv6.readAddress(frame.view, NETWORK_AT + ipv6.SOURCE_AT)).toBe(SOURCE6);
    expect(checksum(frame)).toBe(0);
    expectQuote(frame, ANSWER6, 63);
  });

  test('any quote of any packet', () => {
    fc.assert(
      fc.property(
        fc
          .tuple(arbitraryIpv6Record, fc.boolean())
          .chain(([record, toBackend]) =>
            fc.tuple(
              fc.constant(record),
              fc.constant(toBackend),
              arbitraryPacket(record, toBackend),
            ),
          ),
        fc.integer({ min: 48, max: 150 }),
        fc.integer({ min: 1, max: 4 }),
        ([record, toBackend, packet], quoted, type) => {
          const plain = { ...packet, partial: false, gsoType: 0, gsoSize: 0, ipOptions: [] };
          const bed = new Testbed({ form: IPV6_FORM });
          bed.insert(record);
          const out = translated(plain, record, toBackend);
          expect(handle(bed, errorAbout(out, quoted, type))).toBe(true);
          expect(bed.sent).toHaveLength(1);
          expect(checksum(bed.sent[0].frame)).toBe(0);
          expectQuote(bed.sent[0].frame, plain, plain.ttl - 1);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a whole quoted header keeps a checksum that fits, when nothing else was translated', () => {
    const packet = { ...PACKET6, payload: [1, 2, 3] };
    const bed = bedWith(packet);
    handle(bed, errorAbout(translated(packet, RECORD6, true), 100));
    const { view, end } = bed.sent[0].frame;
    const pseudo = ipv6.pseudoHeaderSum(view, QUOTE_AT, 6, end - SEGMENT_AT);
    expect(complement(sumBytes(view, SEGMENT_AT, end, pseudo))).toBe(0);
  });

  test.each([
    { what: 'ahead of what passed here, which need not be all', off: ELSEWHERE, taken: true },
    { what: 'ahead of all that can have been sent', off: ELSEWHERE + 1, taken: false },
    { what: 'just sent', off: 0, taken: true },
    { what: 'within a window', off: -1_000_000, taken: true },
    { what: 'from long ago', off: -0x100_0000, taken: false },
  ])('a quoted number that is $what (RFC 5927)', ({ off, taken }) => {
    const packet = { ...PACKET6, seq: 500 };
    const bed = bedWith(packet);
    const about = translated({ ...packet, seq: (500 + off) >>> 0 }, RECORD6, true);
    expect(handle(bed, errorAbout(about))).toBe(true);
    expect(bed.sent).toHaveLength(taken ? 1 : 0);
    expect(bed.splicer.counters.errorsRefused).toBe(taken ? 0 : 1);
  });

  test('damaged, or at the end of its life: dropped', () => {
    const bed = bedWith(PACKET6);
    const about = translated(PACKET6, RECORD6, true);
    const damaged = errorAbout(about);
    damaged.view.setUint32(ICMP_AT + 4, 1_300);
    const old = errorAbout(about);
    old.view.setUint8(NETWORK_AT + ipv6.HOP_LIMIT_AT, 1);
    const partial = errorAbout(about);
    partial.view.setUint8(VIRTIO_AT, virtio.NEEDS_CSUM);
    for (const frame of [damaged, old, partial]) expect(handle(bed, frame)).toBe(true);
    expect(bed.sent).toHaveLength(0);
    expect(bed.splicer.counters.errorsRefused).toBe(3);
  });

  test('about another flow, or sent to another address: not ours, and untouched', () => {
    const bed = bedWith(PACKET6);
    const about = translated(PACKET6, RECORD6, true);
    const elsewhere = errorAbout(about);
    ipv6.writeAddress(elsewhere.view, NETWORK_AT + ipv6.DESTINATION_AT, ROUTER);
    const udp = errorAbout(about);
    udp.view.setUint8(QUOTE_AT + ipv6.NEXT_HEADER_AT, 17);
    const frames = [
      errorAbout({ ...about, fromPort: 1 }),
      errorAbout({ ...about, to: fromIpv6('x'.repeat(16)) }),
      errorAbout(PACKET6),
      errorAbout(about, 47),
      errorAbout(about, 60, ECHO),
      errorAbout(about, 60, 0),
      elsewhere,
      udp,
    ];
    for (const frame of frames) {
      const before = [...frame.bytes.subarray(0, frame.end)];
      expect(handle(bed, frame)).toBe(false);
      expect([...frame.bytes.subarray(0, frame.end)]).toEqual(before);
    }
    expect(bed.splicer.counters.errorsRefused).toBe(0);
    expect(handle(bed, errorAbout(about, 60, UNREACHABLE, 0))).toBe(true);
  });

  test('changed or cut anywhere: nothing thrown', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 130 }), fc.integer({ min: 0, max: 255 })), {
          maxLength: 4,
        }),
        fc.nat({ max: 140 }),
        (changes, cut) => {
          const bed = bedWith(PACKET6);
          const frame = errorAbout(translated(PACKET6, RECORD6, true), 60);
          for (const [at, value] of changes) frame.bytes[at] = value;
          frame.end = Math.max(0, frame.end - cut);
          expect(handle(bed, frame)).toBeTypeOf('boolean');
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
