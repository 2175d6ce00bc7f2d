import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { keyFromSecret } from '../../src/tcp/stack.ts';
import { complement, fold, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as udp from '../../src/wire/udp.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { address } from '../sim/hosts.ts';
import { Bench, BODY, ipFrame, NEIGHBOUR, NEIGHBOUR_MAC, OUR_MAC, OURS, SERVICE } from './bench.ts';

function icmpBody(type: number, code: number, rest: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(icmp.ICMP_LENGTH + payload.length);
  bytes.set(payload, icmp.ICMP_LENGTH);
  icmp.write(new DataView(bytes.buffer), 0, bytes.length, type, code, rest);
  return bytes;
}

/** A datagram, its checksum complete unless `checksum` says otherwise. */
function udpBody(from: number, to: number, payload: Uint8Array, checksum?: number): Uint8Array {
  const bytes = new Uint8Array(udp.UDP_LENGTH + payload.length);
  const view = new DataView(bytes.buffer);
  udp.write(view, 0, from, to, bytes.length);
  bytes.set(payload, udp.UDP_LENGTH);
  const pseudo = ipv4.pseudoHeaderSum(Number(NEIGHBOUR), Number(OURS), 17, bytes.length);
  view.setUint16(6, checksum ?? complement(sumBytes(view, 0, bytes.length, pseudo)));
  return bytes;
}

const icmpType = ({ view }: Frame): number => icmp.type(view, BODY);

test('an echo request is answered with all that it carries', () => {
  const bench = new Bench().acquainted();
  const payload = Uint8Array.from({ length: 1_001 }, (_, i) => i & 255);
  bench.arrive(ipFrame(1, icmpBody(icmp.ECHO, 0, 0x1234_0001, payload)));
  const [reply] = bench.sent();
  expect(icmpType(reply)).toBe(icmp.ECHO_REPLY);
  expect(icmp.isIntact(reply.view, BODY, reply.end)).toBe(true);
  expect(ipv4.isIntact(reply.view, NETWORK_AT, 20)).toBe(true);
  expect(reply.view.getUint32(BODY + 4)).toBe(0x1234_0001);
  expect(reply.bytes.subarray(BODY + 8, reply.end)).toEqual(payload);
  expect(ipv4.source(reply.view, NETWORK_AT)).toBe(OURS);
  expect(ethernet.destination(reply.view, ETHERNET_AT)).toBe(NEIGHBOUR_MAC);
});

test('identifications tell a stranger nothing, and tell apart what may be cut', () => {
  const bench = new Bench().acquainted();
  const ids = (): number[] => bench.sent().map(({ view }) => ipv4.identification(view, NETWORK_AT));
  const echo = (length: number): Frame =>
    ipFrame(1, icmpBody(icmp.ECHO, 0, 1, new Uint8Array(length)));
  bench.arrive(echo(10), echo(10));
  expect(ids()).toEqual([0, 0]);
  bench.host.ip.learnPathMtu(NEIGHBOUR, 1_000);
  bench.arrive(echo(1_400), echo(1_400));
  const [first, second, third, fourth] = ids();
  expect([first, third]).toEqual([second, fourth]);
  expect(first).not.toBe(third);
  bench.host.ip.learnPathMtu(NEIGHBOUR, 500);
  bench.arrive(echo(10), echo(10));
  const [fifth, sixth] = ids();
  expect(new Set([first, third, fifth, sixth]).size).toBe(4);
});

test('a service address answers, too', () => {
  const bench = new Bench().acquainted();
  bench.arrive(ipFrame(1, icmpBody(icmp.ECHO, 0, 1, new Uint8Array(0)), { to: SERVICE }));
  expect(ipv4.source(bench.sent()[0].view, NETWORK_AT)).toBe(SERVICE);
});

test('a damaged echo is not answered', () => {
  const bench = new Bench().acquainted();
  const body = icmpBody(icmp.ECHO, 0, 1, new Uint8Array(10));
  body[9] ^= 1;
  bench.arrive(ipFrame(1, body));
  const damaged = ipFrame(1, icmpBody(icmp.ECHO, 0, 1, new Uint8Array(10)));
  damaged.view.setUint8(NETWORK_AT + 1, 3);
  bench.arrive(damaged);
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.icmp.counters.malformed).toBe(1);
  expect(bench.host.ip.counters.badChecksum).toBe(1);
});

test('an unknown protocol is answered by an error that quotes it', () => {
  const bench = new Bench().acquainted();
  const sent = ipFrame(
    200,
    Uint8Array.from({ length: 2_000 }, (_, i) => i & 255),
  );
  bench.arrive(sent);
  const [error] = bench.sent();
  expect(icmpType(error)).toBe(icmp.UNREACHABLE);
  expect(icmp.code(error.view, BODY)).toBe(icmp.PROTOCOL_UNREACHABLE);
  const quote = error.bytes.subarray(BODY + 8, error.end);
  expect(quote).toHaveLength(548);
  expect(quote).toEqual(sent.bytes.subarray(NETWORK_AT, NETWORK_AT + 548));
});

test('errors are limited to a hundred at once and a hundred a second', () => {
  const bench = new Bench().acquainted();
  for (let i = 0; i < 500; i++) bench.arrive(ipFrame(200, new Uint8Array(8)));
  expect(bench.sent()).toHaveLength(100);
  bench.at(500);
  for (let i = 0; i < 500; i++) bench.arrive(ipFrame(200, new Uint8Array(8)));
  expect(bench.sent()).toHaveLength(50);
  expect(bench.host.ip.icmp.counters).toMatchObject({ errorsSent: 150, errorsSuppressed: 850 });
});

test('an error is never answered by an error', () => {
  const bench = new Bench().acquainted();
  const quoted = ipFrame(17, udpBody(1, 2, new Uint8Array(8)), { from: OURS, to: NEIGHBOUR });
  const quote = quoted.bytes.subarray(NETWORK_AT, quoted.end);
  for (const type of [3, 4, 5, 11, 12]) bench.arrive(ipFrame(1, icmpBody(type, 0, 0, quote)));
  bench.arrive(ipFrame(1, new Uint8Array(0)), ipFrame(1, icmpBody(3, 3, 0, new Uint8Array(3))));
  expect(bench.sent()).toHaveLength(0);
});

test('packets for others, from nobody, from us, or broadcast are dropped in silence', () => {
  const bench = new Bench().acquainted();
  const echo = icmpBody(icmp.ECHO, 0, 1, new Uint8Array(0));
  bench.arrive(ipFrame(1, echo, { to: address('10.0.0.3') }));
  for (const from of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '10.0.0.1']) {
    bench.arrive(ipFrame(1, echo, { from: address(from) }));
    bench.arrive(ipFrame(200, echo, { from: address(from) }));
  }
  bench.arrive(ipFrame(1, echo, { mac: ethernet.BROADCAST }));
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.counters).toMatchObject({ notForUs: 1, martians: 11 });
});

test('frames for another MAC and of unknown type are counted', () => {
  const bench = new Bench();
  bench.arrive(ipFrame(1, new Uint8Array(8), { mac: NEIGHBOUR_MAC }));
  const odd = ipFrame(1, new Uint8Array(8));
  odd.view.setUint16(ETHERNET_AT + 12, 0x88cc);
  bench.arrive(odd);
  expect(bench.host.counters.foreign).toBe(1);
  expect(bench.host.ip.counters.unknownType).toBe(1);
});

test('a fragment waits for the others', () => {
  const bench = new Bench().acquainted();
  bench.arrive(ipFrame(17, new Uint8Array(8), { flags: ipv4.MORE_FRAGMENTS }));
  bench.arrive(ipFrame(17, new Uint8Array(8), { flags: 5 }));
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.counters.fragments).toBe(2);
});

test('bytes behind the packet are padding', () => {
  const bench = new Bench().acquainted();
  const heard: number[] = [];
  const socket = bench.host.udp.bind({ address: OURS, port: 9 });
  socket.onDatagram = (_, __, payload) => heard.push(payload.length);
  const frame = ipFrame(17, udpBody(5, 9, new Uint8Array(3)));
  const padded = new Frame(frame.end + 20);
  padded.copyFrom(frame);
  padded.end += 20;
  bench.arrive(padded);
  expect(heard).toEqual([3]);
});

test('a datagram reaches its socket, and one from us the wire, with a checksum that holds', () => {
  for (const offload of [false, true]) {
    const bench = new Bench(offload).acquainted();
    const socket = bench.host.udp.bind({ address: OURS, port: 9 });
    const heard: unknown[] = [];
    socket.onDatagram = (from, port, payload) => heard.push([from, port, [...payload]]);
    bench.arrive(ipFrame(17, udpBody(5, 9, Uint8Array.of(1, 2, 3))));
    expect(heard).toEqual([[NEIGHBOUR, 5, [1, 2, 3]]]);
    socket.send(NEIGHBOUR, 7, Uint8Array.of(4, 5));
    const [{ view, end }] = bench.sent();
    expect(udp.destinationPort(view, BODY)).toBe(7);
    const pseudo = ipv4.pseudoHeaderSum(Number(OURS), Number(NEIGHBOUR), 17, end - BODY);
    if (offload) {
      expect(virtio.flags(view, VIRTIO_AT)).toBe(virtio.NEEDS_CSUM);
      expect(udp.checksum(view, BODY)).toBe(fold(pseudo));
      expect(virtio.checksumStart(view, VIRTIO_AT)).toBe(34);
      expect(virtio.checksumOffset(view, VIRTIO_AT)).toBe(6);
    } else expect(complement(sumBytes(view, BODY, end, pseudo))).toBe(0);
  }
});

test('a checksum that comes out zero is sent as 0xffff', () => {
  const bench = new Bench().acquainted();
  const socket = bench.host.udp.bind({ address: OURS, port: 9 });
  const checksumOf = (payload: Uint8Array): number => {
    socket.send(NEIGHBOUR, 7, payload);
    return udp.checksum(bench.sent()[0].view, BODY);
  };
  const first = checksumOf(Uint8Array.of(0, 0));
  expect(checksumOf(Uint8Array.of(first >> 8, first & 255))).toBe(0xffff);
});

test('datagrams without a checksum are taken, with a wrong one dropped', () => {
  const bench = new Bench().acquainted();
  let heard = 0;
  bench.host.udp.bind({ address: OURS, port: 9 }).onDatagram = () => heard++;
  bench.arrive(ipFrame(17, udpBody(5, 9, new Uint8Array(3), 0)));
  expect(heard).toBe(1);
  bench.arrive(ipFrame(17, udpBody(5, 9, new Uint8Array(3), 77)));
  expect(heard).toBe(1);
  const lying = udpBody(5, 9, new Uint8Array(3));
  lying[5] = 200;
  bench.arrive(ipFrame(17, lying));
  expect(bench.host.udp.counters).toMatchObject({ received: 1, badChecksum: 1, malformed: 1 });
});

test('a port that nobody has is unreachable; one that is taken cannot be bound', () => {
  const bench = new Bench().acquainted();
  bench.arrive(ipFrame(17, udpBody(5, 9, new Uint8Array(3))));
  const [error] = bench.sent();
  expect(icmp.code(error.view, BODY)).toBe(icmp.PORT_UNREACHABLE);
  const socket = bench.host.udp.bind({ address: OURS, port: 9 });
  expect(() => bench.host.udp.bind({ address: OURS, port: 9 })).toThrow('in use');
  socket.close();
  bench.host.udp.bind({ address: OURS, port: 9 });
});

test('a datagram that does not fit leaves in fragments; what IP cannot carry is counted', () => {
  const bench = new Bench().acquainted();
  const socket = bench.host.udp.bind({ address: OURS, port: 9 });
  socket.send(NEIGHBOUR, 7, new Uint8Array(1_472));
  expect(bench.sent().map(({ end }) => end - NETWORK_AT)).toEqual([1_500]);
  socket.send(NEIGHBOUR, 7, new Uint8Array(1_473));
  expect(bench.sent().map(({ end }) => end - NETWORK_AT)).toEqual([1_500, 21]);
  socket.send(NEIGHBOUR, 7, new Uint8Array(65_507));
  expect(bench.sent()).toHaveLength(45);
  socket.send(NEIGHBOUR, 7, new Uint8Array(65_508));
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.udp.counters.tooLong).toBe(1);
});

test('a route of the sender’s choice is not taken', () => {
  const bench = new Bench().acquainted();
  const routed = (type: number): Frame => {
    const body = Uint8Array.of(type, 3, 4, 0, ...icmpBody(icmp.ECHO, 0, 1, new Uint8Array(0)));
    const frame = ipFrame(1, body);
    frame.view.setUint8(NETWORK_AT, 0x46);
    frame.view.setUint16(NETWORK_AT + 10, 0);
    const sum = sumBytes(frame.view, NETWORK_AT, NETWORK_AT + 24);
    frame.view.setUint16(NETWORK_AT + 10, complement(sum));
    return frame;
  };
  bench.arrive(routed(131), routed(137));
  expect(bench.sent()).toHaveLength(0);
  expect(bench.host.ip.counters.sourceRouted).toBe(2);
  // Record route, which nobody minds.
  bench.arrive(routed(7));
  expect(bench.sent()).toHaveLength(1);
});

const bytes = fc.uint8Array({ maxLength: 120 });

test('whatever bytes arrive, a host neither throws nor forgets its limits', () => {
  const bench = new Bench().acquainted();
  const { tcp: stack } = bench.host;
  stack.listen({ local: { address: OURS, port: 80 }, accept: () => ({}) });
  const cookieKey = keyFromSecret('secret', 'cookie');
  stack.listen({ local: { address: OURS, port: 81 }, cookieKey, accept: () => ({}) });
  bench.host.udp.bind({ address: OURS, port: 9 }).onDatagram = () => {};
  const anyFrame = fc.record({
    virtio: fc.uint8Array({ minLength: 10, maxLength: 10 }),
    type: fc.constantFrom(0x0800, 0x0806, 0x86dd),
    body: bytes,
  });
  const anyIp = fc.record({
    protocol: fc.constantFrom(1, 6, 17, 200),
    body: bytes,
    virtio: fc.uint8Array({ minLength: 10, maxLength: 10 }),
    cut: fc.nat(30),
  });
  const anyTcp = fc.record({
    port: fc.constantFrom(80, 81, 82),
    seq: fc.integer({ min: 0, max: 0xffff_ffff }),
    ack: fc.integer({ min: 0, max: 0xffff_ffff }),
    flags: fc.nat(255),
    offset: fc.constantFrom(5, 6, 8, 15),
    rest: bytes,
  });
  fc.assert(
    fc.property(
      fc.array(anyFrame),
      fc.array(anyIp),
      fc.array(anyTcp),
      (frames, packets, segments) => {
        for (const { virtio: header, type, body } of frames) {
          const frame = new Frame(NETWORK_AT + body.length);
          frame.bytes.set(header);
          ethernet.write(frame.view, ETHERNET_AT, OUR_MAC, NEIGHBOUR_MAC, type);
          frame.bytes.set(body, NETWORK_AT);
          frame.end = NETWORK_AT + body.length;
          bench.arrive(frame);
        }
        for (const { protocol, body, virtio: header, cut } of packets) {
          const frame = ipFrame(protocol, body);
          frame.bytes.set(header);
          frame.end = Math.max(1, frame.end - cut);
          bench.arrive(frame);
        }
        for (const { port, seq, ack, flags, offset, rest } of segments) {
          const body = new Uint8Array(20 + rest.length);
          tcp.write(new DataView(body.buffer), 0, 7_000, port, seq, ack, 20, flags, 1_000);
          body[12] = offset << 4;
          body.set(rest, 20);
          const frame = ipFrame(6, body);
          virtio.write(frame.view, VIRTIO_AT, virtio.DATA_VALID, 0, 0, 0, 0, 0);
          bench.arrive(frame);
        }
        bench.sent();
        expect(stack.connectionCount).toBeLessThan(600);
      },
    ),
    { numRuns: 300 },
  );
  expect(stack.counters.segmentsIn).toBeGreaterThan(100);
});

test('an established connection bears any segment of its peer', () => {
  const segment = fc.record({
    seq: fc.integer({ min: -3_000, max: 70_000 }),
    ack: fc.integer({ min: -3_000, max: 3_000 }),
    flags: fc.nat(255),
    window: fc.nat(65_535),
    offset: fc.constantFrom(5, 8, 10, 15),
    rest: bytes,
    pause: fc.nat(500),
  });
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 60 }), (segments) => {
      const bench = new Bench().acquainted();
      const stack = bench.host.tcp;
      const connection = stack.connect({
        local: OURS,
        localPort: 4_000,
        remote: { address: NEIGHBOUR, port: 80 },
        iss: 0xffff_fff0,
        handler: { onReadable: (each) => each.read(100) },
      });
      connection.write(new Uint8Array(5_000));
      const send = (
        seq: number,
        ack: number,
        flags: number,
        window: number,
        rest: Uint8Array,
        offset = 5,
      ) => {
        const body = new Uint8Array(20 + rest.length);
        const view = new DataView(body.buffer);
        tcp.write(view, 0, 80, 4_000, 0xffff_ff00 + seq, 0xffff_fff1 + ack, 20, flags, window);
        body[12] = offset << 4;
        body.set(rest, 20);
        const frame = ipFrame(6, body);
        virtio.write(frame.view, VIRTIO_AT, virtio.DATA_VALID, 0, 0, 0, 0, 0);
        bench.arrive(frame);
      };
      send(-1, 0, tcp.SYN | tcp.ACK, 60_000, new Uint8Array(0));
      expect(connection.state).toBe('established');
      let now = 0;
      for (const { seq, ack, flags, window, offset, rest, pause } of segments) {
        now += pause;
        bench.at(now);
        send(seq, ack, flags, window, rest, offset);
        const { rcv, receiveBuffer, snd, sendBuffer } = connection;
        expect(receiveBuffer.length + receiveBuffer.gaps.bytes).toBeLessThanOrEqual(rcv.limit);
        if (connection.state === 'closed') break;
        expect((snd.nxt - snd.una) | 0).toBeGreaterThanOrEqual(0);
        expect((snd.nxt - snd.una) | 0).toBeLessThanOrEqual(sendBuffer.length + 1);
      }
      bench.at(now + 3_600_000);
      expect(bench.host.timers.armed).toBe(0);
    }),
    { numRuns: 500 },
  );
});
