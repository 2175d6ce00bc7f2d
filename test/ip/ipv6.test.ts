import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PathError } from '../../src/ip/packet.ts';
import type { Frame } from '../../src/link/frame.ts';
import { complement, fold, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as udp from '../../src/wire/udp.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { address } from '../sim/hosts.ts';
import { NEIGHBOUR_MAC, OUR_MAC } from './bench.ts';
import {
  ALL_NODES6,
  Bench6,
  BODY6,
  icmp6Frame,
  ip6Frame,
  NEIGHBOUR6,
  NOBODY6,
  OURS6,
  SERVICE6,
} from './bench6.ts';

const { ECHO, ECHO_REPLY, UNREACHABLE, PARAMETER_PROBLEM } = icmpv6;
const ALL_MAC = 0x3333_0000_0001;

/** A datagram whose checksum holds, unless `checksum` is given. */
function udpFrame(port: number, payload: Uint8Array, checksum?: number): Frame {
  const body = new Uint8Array(udp.UDP_LENGTH + payload.length);
  const view = new DataView(body.buffer);
  udp.write(view, 0, 5, port, body.length);
  body.set(payload, udp.UDP_LENGTH);
  const frame = ip6Frame(17, body);
  const pseudo = ipv6.pseudoHeaderSum(frame.view, NETWORK_AT, 17, body.length);
  const sum = complement(sumBytes(frame.view, BODY6, frame.end, pseudo));
  frame.view.setUint16(BODY6 + 6, checksum ?? sum);
  return frame;
}

test('an echo request is answered with all that it carries', () => {
  const bench = new Bench6().acquainted();
  const payload = Uint8Array.from({ length: 1_001 }, (_, i) => i & 255);
  bench.arrive(icmp6Frame(ECHO, 0, 0x1234_0001, payload));
  const [reply] = bench.sentIcmp6();
  expect(reply).toMatchObject({
    mac: NEIGHBOUR_MAC,
    from: '2001:db8::1',
    to: '2001:db8::2',
    type: ECHO_REPLY,
    intact: true,
  });
  expect(reply.frame.view.getUint32(BODY6 + 4)).toBe(0x1234_0001);
  expect(reply.frame.bytes.subarray(BODY6 + 8, reply.frame.end)).toEqual(payload);
  bench.arrive(icmp6Frame(ECHO, 0, 1, payload, { to: SERVICE6 }));
  expect(bench.sentIcmp6()).toMatchObject([{ from: '2001:db8:80::80' }]);
  bench.arrive(icmp6Frame(ECHO, 0, 1, payload, { to: ALL_NODES6, mac: ALL_MAC }));
  expect(bench.sentIcmp6()).toMatchObject([{ from: '2001:db8::1' }]);
});

test('a checksum that does not hold is not answered', () => {
  const bench = new Bench6().acquainted();
  const damaged = icmp6Frame(ECHO, 0, 1, new Uint8Array(10));
  damaged.bytes[damaged.end - 1] ^= 1;
  bench.arrive(damaged);
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.icmpv6.counters.malformed).toBe(1);
});

test('packets for others, from nobody, from us or to all are dropped in silence', () => {
  const bench = new Bench6().acquainted();
  const echo = (options: Parameters<typeof icmp6Frame>[4]) =>
    bench.arrive(icmp6Frame(ECHO, 0, 1, new Uint8Array(0), options));
  echo({ to: address('2001:db8::3') });
  echo({ to: address('ff02::2'), mac: OUR_MAC });
  for (const from of ['::', '::1', 'ff02::1', '::ffff:10.0.0.2', '2001:db8::1']) {
    echo({ from: address(from) });
  }
  echo({ mac: ethernet.BROADCAST });
  echo({ from: NOBODY6, to: ALL_NODES6, mac: ALL_MAC });
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.counters).toMatchObject({ notForUs: 2, martians: 7 });
});

test('an unknown next header is answered by a parameter problem that points to it', () => {
  const bench = new Bench6().acquainted();
  const sent = ip6Frame(200, new Uint8Array(2_000).fill(7));
  bench.arrive(sent);
  const [error] = bench.sentIcmp6();
  expect(error).toMatchObject({ type: PARAMETER_PROBLEM, code: 1, intact: true });
  expect(error.frame.view.getUint32(BODY6 + 4)).toBe(6);
  expect(error.frame.end - NETWORK_AT).toBe(1_280);
  const quote = error.frame.bytes.subarray(BODY6 + 8, error.frame.end);
  expect(quote).toEqual(sent.bytes.subarray(NETWORK_AT, NETWORK_AT + quote.length));
  // Behind a header that was skipped, and ICMP of the other family.
  bench.arrive(ip6Frame(60, Uint8Array.of(200, 0, 1, 4, 0, 0, 0, 0)));
  expect(bench.sentIcmp6()[0].frame.view.getUint32(BODY6 + 4)).toBe(40);
  bench.arrive(ip6Frame(1, new Uint8Array(8)));
  expect(bench.sentIcmp6()).toMatchObject([{ type: PARAMETER_PROBLEM, code: 1 }]);
  bench.arrive(ip6Frame(59, new Uint8Array(8)));
  expect(bench.sent()).toHaveLength(0);
});

test('an unknown option is told of as it wants, even to who asked a group', () => {
  const bench = new Bench6().acquainted();
  const option = (type: number) => Uint8Array.of(17, 0, type, 4, 0, 0, 0, 0);
  const group = { to: ALL_NODES6, mac: ALL_MAC };
  bench.arrive(ip6Frame(60, option(0xc2)), ip6Frame(60, option(0x82)));
  expect(bench.sentIcmp6()).toMatchObject([
    { type: PARAMETER_PROBLEM, code: 2 },
    { type: PARAMETER_PROBLEM, code: 2 },
  ]);
  bench.arrive(ip6Frame(60, option(0x42)), ip6Frame(60, option(0xc2), group));
  expect(bench.sent()).toHaveLength(0);
  bench.arrive(ip6Frame(60, option(0x82), group));
  expect(bench.sentIcmp6()).toMatchObject([{ code: 2, from: '2001:db8::1' }]);
});

test('errors are limited, and never answer errors', () => {
  const bench = new Bench6().acquainted();
  for (let i = 0; i < 500; i++) bench.arrive(ip6Frame(200, new Uint8Array(8)));
  expect(bench.sent()).toHaveLength(100);
  bench.at(1_000);
  const quote = udpFrame(9, new Uint8Array(8)).bytes.subarray(NETWORK_AT);
  for (const type of [1, 2, 3, 4, 100, 137]) bench.arrive(icmp6Frame(type, 0, 0, quote));
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.icmpv6.counters).toMatchObject({ errorsSent: 100, errorsSuppressed: 400 });
});

test('a datagram reaches its socket, and one from us the wire, with a checksum that holds', () => {
  for (const offload of [false, true]) {
    const bench = new Bench6(offload).acquainted();
    const socket = bench.host.udp.bind({ address: OURS6, port: 9 });
    const heard: unknown[] = [];
    socket.onDatagram = (from, port, payload) => heard.push([from, port, [...payload]]);
    bench.arrive(udpFrame(9, Uint8Array.of(1, 2, 3)));
    expect(heard).toEqual([[NEIGHBOUR6, 5, [1, 2, 3]]]);
    socket.send(NEIGHBOUR6, 7, Uint8Array.of(4, 5));
    const [{ view, end }] = bench.sent();
    expect(view.getUint16(ETHERNET_AT + 12)).toBe(ethernet.TYPE_IPV6);
    expect(udp.destinationPort(view, BODY6)).toBe(7);
    const pseudo = ipv6.pseudoHeaderSum(view, NETWORK_AT, 17, end - BODY6);
    if (offload) {
      expect(virtio.flags(view, VIRTIO_AT)).toBe(virtio.NEEDS_CSUM);
      expect(udp.checksum(view, BODY6)).toBe(fold(pseudo));
      expect(virtio.checksumStart(view, VIRTIO_AT)).toBe(54);
    } else expect(complement(sumBytes(view, BODY6, end, pseudo))).toBe(0);
  }
});

test('a datagram without a checksum is not taken, and a port that nobody has is unreachable', () => {
  const bench = new Bench6().acquainted();
  let heard = 0;
  bench.host.udp.bind({ address: OURS6, port: 9 }).onDatagram = () => heard++;
  bench.arrive(udpFrame(9, new Uint8Array(3), 0), udpFrame(9, new Uint8Array(3), 77));
  expect(heard).toBe(0);
  expect(bench.host.udp.counters.badChecksum).toBe(2);
  bench.arrive(udpFrame(10, new Uint8Array(3)));
  expect(bench.sentIcmp6()).toMatchObject([{ type: UNREACHABLE, code: 4 }]);
});

/** What a protocol of ours hears of errors about `quote`. */
function heard(type: number, code: number, rest: number, quote: Uint8Array): PathError[] {
  const bench = new Bench6().acquainted();
  const errors: PathError[] = [];
  bench.host.ip.register(222, { receive: () => {}, pathError: (error) => errors.push(error) });
  bench.arrive(icmp6Frame(type, code, rest, quote));
  return errors;
}

const outgoing = (next: number, body: Uint8Array, from = OURS6): Uint8Array => {
  const frame = ip6Frame(next, body, { from, to: NEIGHBOUR6 });
  return frame.bytes.slice(NETWORK_AT, frame.end);
};

test('errors about packets of ours reach their protocol, in terms of no family', () => {
  const quote = outgoing(222, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  for (const [type, code, kind] of [
    [1, 0, 'unreachable'],
    [1, 1, 'unreachable'],
    [1, 3, 'unreachable'],
    [1, 4, 'refused'],
    [2, 0, 'too-big'],
    [3, 0, 'expired'],
    [4, 1, 'refused'],
  ] as const) {
    const [error] = heard(type, code, 1_300, quote);
    expect(error).toMatchObject({ kind, source: OURS6, destination: NEIGHBOUR6, protocol: 222 });
    expect(error.mtu).toBe(kind === 'too-big' ? 1_300 : 0);
    expect(error.view.getUint32(error.quote)).toBe(0x0102_0304);
  }
  // Behind the fragment header of a first fragment, and not of a later one.
  const cut = (offset: number) =>
    outgoing(44, Uint8Array.of(222, 0, 0, offset | 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8));
  expect(heard(2, 0, 1_300, cut(0))).toMatchObject([{ protocol: 222 }]);
  for (const foreign of [
    cut(8),
    outgoing(222, new Uint8Array(7)),
    outgoing(222, new Uint8Array(8), address('2001:db8::9')),
    outgoing(60, Uint8Array.of(222, 5, 0, 0, 0, 0, 0, 0, 0)),
    new Uint8Array(39),
  ]) {
    expect(heard(1, 0, 0, foreign)).toEqual([]);
  }
  expect(heard(4, 0, 0, quote)).toEqual([]);
  expect(heard(77, 0, 0, quote)).toEqual([]);
});

test('an answer that the path cannot take leaves in fragments, which are the answer again', () => {
  for (const offload of [false, true]) {
    const bench = new Bench6(offload).acquainted();
    const payload = Uint8Array.from({ length: 5_000 }, (_, i) => (i * 7) & 255);
    bench.arrive(icmp6Frame(ECHO, 0, 77, payload));
    const parts = bench.sent();
    expect(parts).toHaveLength(4);
    for (const part of parts) {
      expect(part.end - NETWORK_AT).toBeLessThanOrEqual(1_500);
      // Now they come to us.
      ipv6.writeAddress(part.view, NETWORK_AT + 8, String(NEIGHBOUR6));
      ipv6.writeAddress(part.view, NETWORK_AT + 24, String(OURS6));
      ethernet.writeMac(part.view, ETHERNET_AT, OUR_MAC);
    }
    const before = bench.host.ip.icmpv6.counters.ignored;
    bench.arrive(...parts.reverse());
    // An echo reply whose checksum held: known, and of no use.
    expect(bench.host.ip.icmpv6.counters.malformed).toBe(0);
    expect(bench.host.ip.icmpv6.counters.ignored).toBe(before + 1);
  }
});

test('whatever IPv6 brings, a host neither throws nor forgets its limits', () => {
  const bench = new Bench6().acquainted();
  bench.host.ip.discoverRouters();
  bench.host.tcp.listen({ local: { address: OURS6, port: 80 }, accept: () => ({}) });
  const packet = fc.record({
    next: fc.constantFrom(0, 6, 17, 43, 44, 58, 60, 200),
    body: fc.uint8Array({ maxLength: 150 }),
    to: fc.constantFrom(OURS6, ALL_NODES6),
    hops: fc.constantFrom(1, 64, 255),
    flags: fc.constantFrom(0, 1, 2),
    cut: fc.nat(30),
  });
  const message = fc.record({
    type: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 127, max: 138 })),
    rest: fc.integer({ min: 0, max: 0xffff_ffff }),
    body: fc.uint8Array({ maxLength: 120 }),
    to: fc.constantFrom(OURS6, ALL_NODES6),
  });
  fc.assert(
    fc.property(fc.array(packet), fc.array(message), (packets, messages) => {
      for (const { next, body, to, hops, flags, cut } of packets) {
        const frame = ip6Frame(next, body, { to, hops });
        frame.view.setUint8(VIRTIO_AT, flags);
        frame.end = Math.max(1, frame.end - cut);
        bench.arrive(frame);
      }
      for (const { type, rest, body, to } of messages) {
        const from = address('fe80::2');
        bench.arrive(icmp6Frame(type, 0, rest, body, { from, to, hops: 255 }));
      }
      bench.sent();
      expect(bench.host.ip.input.reassembler.held.bytes).toBeLessThan(100_000);
    }),
    { numRuns: 300 },
  );
  expect(bench.host.ip.counters.received).toBeGreaterThan(100);
});
