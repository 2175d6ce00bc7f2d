import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Frame } from '../../src/link/frame.ts';
import { ELSEWHERE } from '../../src/splice/quote.ts';
import { complement, sumBytes } from '../../src/wire/checksum.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as virtio from '../../src/wire/virtio.ts';
import {
  ANSWER,
  arbitraryIpv4Record,
  arbitraryPacket,
  CLIENT,
  frameOf,
  PACKET,
  type Packet,
  RECORD,
  SOURCE,
  translated,
  VIRTUAL,
} from './packets.ts';
import { Testbed } from './testbed.ts';

const ROUTER = 0x0a00_01fe;
const ICMP_AT = NETWORK_AT + 20;
const QUOTE_AT = ICMP_AT + icmp.ICMP_LENGTH;

/** What a router says about a packet: it quotes as many bytes of it as `quoted` says. */
function errorAbout(
  packet: Packet,
  quoted = 28,
  type = icmp.UNREACHABLE,
  code = icmp.FRAGMENTATION_NEEDED,
  rest = 1_400,
): Frame {
  const about = frameOf(packet);
  const quote = about.bytes.slice(NETWORK_AT, Math.min(about.end, NETWORK_AT + quoted));
  const frame = frameOf(PACKET);
  frame.bytes.fill(0);
  frame.bytes.set(quote, QUOTE_AT);
  frame.end = QUOTE_AT + quote.length;
  frame.view.setUint16(ETHERNET_AT + 12, 0x0800);
  const length = frame.end - NETWORK_AT;
  ipv4.write(
    frame.view,
    NETWORK_AT,
    length,
    1,
    0,
    60,
    ipv4.PROTOCOL_ICMP,
    ROUTER,
    Number(packet.from),
  );
  icmp.write(frame.view, ICMP_AT, frame.end, type, code, rest);
  return frame;
}

/** The quoted packet as the end point that sent it should see it, with the quote's own TTL. */
function expectQuote(frame: Frame, original: Packet, quotedTtl: number, quoted: number): void {
  const expected = frameOf({ ...original, ttl: quotedTtl });
  const ipLength = 20 + original.ipOptions.length;
  const { view, bytes } = frame;
  const header = [...bytes.subarray(QUOTE_AT, QUOTE_AT + ipLength)];
  expect(header).toEqual([...expected.bytes.subarray(NETWORK_AT, NETWORK_AT + ipLength)]);
  const at = QUOTE_AT + ipLength;
  expect(tcp.sourcePort(view, at)).toBe(original.fromPort);
  expect(tcp.destinationPort(view, at)).toBe(original.toPort);
  expect(tcp.seq(view, at)).toBe(original.seq);
  if (quoted >= ipLength + 14 && (original.flags & tcp.ACK) !== 0) {
    expect(tcp.ack(view, at)).toBe(original.ack);
  }
  expect(icmp.isIntact(view, ICMP_AT, frame.end)).toBe(true);
  expect(ipv4.isIntact(view, NETWORK_AT, 20)).toBe(true);
}

function bedWith(...packets: Packet[]): Testbed {
  const bed = new Testbed();
  bed.insert();
  for (const packet of packets) expect(bed.handle(packet)).toBe(true);
  bed.sent.length = 0;
  return bed;
}

const handle = (bed: Testbed, frame: Frame): boolean => bed.splicer.handle(frame, bed.now);

describe('an ICMP error about a spliced packet', () => {
  test('from behind the proxy goes to the client, in its terms, its MTU kept', () => {
    const bed = bedWith(PACKET);
    expect(handle(bed, errorAbout(translated(PACKET, RECORD, true), 28))).toBe(true);
    const { frame, hop } = bed.sent[0];
    expect(bed.resolved[hop]).toBe('10.0.10.2');
    expect(ipv4.source(frame.view, NETWORK_AT)).toBe(VIRTUAL);
    expect(ipv4.destination(frame.view, NETWORK_AT)).toBe(CLIENT);
    expect(ipv4.timeToLive(frame.view, NETWORK_AT)).toBe(59);
    expect(icmp.nextHopMtu(frame.view, ICMP_AT)).toBe(1_400);
    expectQuote(frame, PACKET, 63, 28);
    expect(bed.splicer.counters.errorsTranslated).toBe(1);
  });

  test('from the side of the client goes to the backend', () => {
    const bed = bedWith(ANSWER);
    const about = translated(ANSWER, RECORD, false);
    expect(handle(bed, errorAbout(about, 60, icmp.TIME_EXCEEDED, 0, 0))).toBe(true);
    const { frame, hop } = bed.sent[0];
    expect(bed.resolved[hop]).toBe('10.0.1.32');
    expect(ipv4.source(frame.view, NETWORK_AT)).toBe(SOURCE);
    expectQuote(frame, ANSWER, 63, 60);
  });

  test('any quote of any packet', () => {
    fc.assert(
      fc.property(
        fc
          .tuple(arbitraryIpv4Record, fc.boolean())
          .chain(([record, toBackend]) =>
            fc.tuple(
              fc.constant(record),
              fc.constant(toBackend),
              arbitraryPacket(record, toBackend),
            ),
          ),
        fc.integer({ min: 28, max: 150 }),
        ([record, toBackend, packet], length) => {
          const plain = { ...packet, partial: false, gsoType: 0, gsoSize: 0 };
          const quoted = Math.max(length, 28 + packet.ipOptions.length);
          const bed = new Testbed();
          bed.insert(record);
          const out = translated(plain, record, toBackend);
          expect(handle(bed, errorAbout(out, quoted))).toBe(true);
          expect(bed.sent).toHaveLength(1);
          expectQuote(bed.sent[0].frame, plain, plain.ttl - 1, quoted);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a whole quoted header keeps a checksum that fits, when nothing else was translated', () => {
    const packet = { ...PACKET, payload: [1, 2, 3] };
    const bed = bedWith(packet);
    handle(bed, errorAbout(translated(packet, RECORD, true), 100));
    const { frame } = bed.sent[0];
    const { view } = frame;
    const at = QUOTE_AT + 20;
    const pseudo = ipv4.pseudoHeaderSum(
      ipv4.source(view, QUOTE_AT),
      ipv4.destination(view, QUOTE_AT),
      6,
      frame.end - at,
    );
    expect(complement(sumBytes(view, at, frame.end, pseudo))).toBe(0);
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
    const about = translated({ ...packet, seq: (500 + off) >>> 0 }, RECORD, true);
    expect(handle(bed, errorAbout(about))).toBe(true);
    expect(bed.sent).toHaveLength(taken ? 1 : 0);
    expect(bed.splicer.counters.errorsRefused).toBe(taken ? 0 : 1);
  });

  test('damaged, or at the end of its life: dropped', () => {
    const bed = bedWith(PACKET);
    const about = translated(PACKET, RECORD, true);
    const damaged = errorAbout(about);
    damaged.view.setUint16(ICMP_AT + 2, icmp.nextHopMtu(damaged.view, ICMP_AT));
    const old = errorAbout(about);
    old.view.setUint8(NETWORK_AT + 8, 1);
    const partial = errorAbout(about);
    partial.view.setUint8(VIRTIO_AT, virtio.NEEDS_CSUM);
    for (const frame of [damaged, old, partial]) expect(handle(bed, frame)).toBe(true);
    expect(bed.sent).toHaveLength(0);
    expect(bed.splicer.counters.errorsRefused).toBe(3);
  });

  test('about another flow, or sent to another address: not ours, and untouched', () => {
    const bed = bedWith(PACKET);
    const about = translated(PACKET, RECORD, true);
    const cases: Frame[] = [
      errorAbout({ ...about, fromPort: 1 }),
      errorAbout(PACKET),
      errorAbout(about, 27),
      errorAbout(about, 28, icmp.ECHO),
    ];
    const elsewhere = errorAbout(about);
    elsewhere.view.setUint32(NETWORK_AT + 16, VIRTUAL);
    const fragment = errorAbout(about);
    fragment.view.setUint16(QUOTE_AT + 6, 5);
    const udp = errorAbout(about);
    udp.view.setUint8(QUOTE_AT + 9, 17);
    for (const frame of [...cases, elsewhere, fragment, udp]) {
      const before = [...frame.bytes.subarray(0, frame.end)];
      expect(handle(bed, frame)).toBe(false);
      expect([...frame.bytes.subarray(0, frame.end)]).toEqual(before);
    }
    expect(bed.splicer.counters.errorsRefused).toBe(0);
  });

  test('changed or cut anywhere: nothing thrown', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 90 }), fc.integer({ min: 0, max: 255 })), {
          maxLength: 4,
        }),
        fc.nat({ max: 100 }),
        (changes, cut) => {
          const bed = bedWith(PACKET);
          const frame = errorAbout(translated(PACKET, RECORD, true), 60);
          for (const [at, value] of changes) frame.bytes[at] = value;
          frame.end = Math.max(0, frame.end - cut);
          expect(handle(bed, frame)).toBeTypeOf('boolean');
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
