import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { segment } from '../../src/link/segmentation.ts';
import { complement, fold, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { writeTimestamps } from '../../src/wire/tcp-options.ts';
import * as virtio from '../../src/wire/virtio.ts';

const [FROM, TO] = [0x0a00_0001, 0x0a00_0002];
const TRANSPORT = NETWORK_AT + 20;
const PAYLOAD = TRANSPORT + 32;

/** A train of `length` bytes as our stack hands it to a link with offload. */
function train(length: number, size: number, flags: number): Frame {
  const frame = new Frame();
  const { view } = frame;
  frame.end = PAYLOAD + length;
  ethernet.write(view, ETHERNET_AT, 1, 2, ethernet.TYPE_IPV4);
  const total = frame.end - NETWORK_AT;
  ipv4.write(view, NETWORK_AT, total, 0xfffe, ipv4.DONT_FRAGMENT, 64, 6, FROM, TO);
  tcp.write(view, TRANSPORT, 80, 4_000, 0xffff_ff00, 7, 32, flags, 1_000);
  writeTimestamps(view, TRANSPORT + 20, 5, 6);
  for (let i = 0; i < length; i++) view.setUint8(PAYLOAD + i, i % 251);
  const pseudo = ipv4.pseudoHeaderSum(FROM, TO, 6, frame.end - TRANSPORT);
  tcp.setChecksum(view, TRANSPORT, fold(pseudo));
  const type = size > 0 ? virtio.GSO_TCPV4 : virtio.GSO_NONE;
  virtio.write(view, VIRTIO_AT, virtio.NEEDS_CSUM, type, 66, size, 34, 16);
  return frame;
}

function split(frame: Frame): Frame[] | undefined {
  const all: Frame[] = [];
  const whole = segment(frame, new Frame(), (single) => {
    const copy = new Frame(single.end);
    copy.copyFrom(single);
    all.push(copy);
  });
  return whole ? all : undefined;
}

const checksumHolds = ({ view, end }: Frame): boolean => {
  const pseudo = ipv4.pseudoHeaderSum(FROM, TO, 6, end - TRANSPORT);
  return complement(sumBytes(view, TRANSPORT, end, pseudo)) === 0;
};

test('a train becomes its segments: numbers, lengths, flags and checksums', () => {
  const frames = split(train(2_500, 1_000, tcp.ACK | tcp.PSH | tcp.FIN | tcp.CWR)) ?? [];
  expect(frames.map(({ end }) => end - PAYLOAD)).toEqual([1_000, 1_000, 500]);
  expect(frames.map(({ view }) => tcp.seq(view, TRANSPORT))).toEqual([
    0xffff_ff00,
    (0xffff_ff00 + 1_000) >>> 0,
    (0xffff_ff00 + 2_000) >>> 0,
  ]);
  expect(frames.map(({ view }) => tcp.flags(view, TRANSPORT))).toEqual([
    tcp.ACK | tcp.CWR,
    tcp.ACK,
    tcp.ACK | tcp.PSH | tcp.FIN,
  ]);
  expect(frames.map(({ view }) => ipv4.identification(view, NETWORK_AT))).toEqual([
    0xfffe, 0xffff, 0,
  ]);
  for (const frame of frames) {
    expect(virtio.gsoType(frame.view, VIRTIO_AT)).toBe(virtio.GSO_NONE);
    expect(ipv4.totalLength(frame.view, NETWORK_AT)).toBe(frame.end - NETWORK_AT);
    expect(ipv4.isIntact(frame.view, NETWORK_AT, 20)).toBe(true);
    expect(checksumHolds(frame)).toBe(true);
  }
});

test('the segments together carry what the train did', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 88, max: 9_000 }),
      (length, size) => {
        const whole = train(length, size, tcp.ACK);
        const frames = split(whole) ?? [];
        expect(frames).toHaveLength(Math.ceil(length / size));
        const bytes = Buffer.concat(frames.map((each) => each.bytes.subarray(PAYLOAD, each.end)));
        expect(bytes.equals(whole.bytes.subarray(PAYLOAD, whole.end))).toBe(true);
        expect(frames.every(checksumHolds)).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
});

test('a train over IPv6 becomes its segments as well, behind extension headers too', () => {
  const [from, to] = ['\x20\x01'.padEnd(16, '\x01'), '\x20\x01'.padEnd(16, '\x02')];
  for (const extension of [0, 8]) {
    const frame = new Frame();
    const { view } = frame;
    const transport = NETWORK_AT + ipv6.IPV6_LENGTH + extension;
    const payload = transport + tcp.TCP_LENGTH;
    frame.end = payload + 2_500;
    const length = frame.end - NETWORK_AT - ipv6.IPV6_LENGTH;
    ethernet.write(view, ETHERNET_AT, 1, 2, ethernet.TYPE_IPV6);
    ipv6.write(view, NETWORK_AT, length, extension > 0 ? 60 : 6, 64, from, to);
    if (extension > 0) view.setUint32(NETWORK_AT + ipv6.IPV6_LENGTH, 0x0600_0104);
    tcp.write(view, transport, 80, 4_000, 0xffff_ff00, 7, 20, tcp.ACK | tcp.FIN, 1_000);
    for (let i = 0; i < 2_500; i++) view.setUint8(payload + i, i % 251);
    virtio.write(view, VIRTIO_AT, virtio.NEEDS_CSUM, virtio.GSO_TCPV6, 74, 1_000, 54, 16);
    const frames = split(frame) ?? [];
    expect(frames.map(({ end }) => end - payload)).toEqual([1_000, 1_000, 500]);
    expect(frames.map((each) => tcp.seq(each.view, transport))).toEqual([
      0xffff_ff00,
      (0xffff_ff00 + 1_000) >>> 0,
      (0xffff_ff00 + 2_000) >>> 0,
    ]);
    expect(frames.map((each) => tcp.flags(each.view, transport))).toEqual([16, 16, 17]);
    const bytes = Buffer.concat(frames.map((each) => each.bytes.subarray(payload, each.end)));
    expect(bytes.equals(frame.bytes.subarray(payload, frame.end))).toBe(true);
    for (const each of frames) {
      expect(ipv6.isValid(each.view, NETWORK_AT, each.end)).toBe(true);
      expect(NETWORK_AT + 40 + ipv6.payloadLength(each.view, NETWORK_AT)).toBe(each.end);
      const size = each.end - transport;
      const pseudo = ipv6.pseudoHeaderSum(each.view, NETWORK_AT, 6, size);
      expect(complement(sumBytes(each.view, transport, each.end, pseudo))).toBe(0);
    }
  }
});

test('a partial checksum is completed, and the original left alone', () => {
  const frame = train(101, 0, tcp.ACK);
  const before = tcp.checksum(frame.view, TRANSPORT);
  const [single] = split(frame) ?? [];
  expect(checksumHolds(single)).toBe(true);
  expect(virtio.flags(single.view, VIRTIO_AT)).toBe(0);
  expect(tcp.checksum(frame.view, TRANSPORT)).toBe(before);
});

test('what needs no work is handed on itself', () => {
  const frame = train(10, 0, tcp.ACK);
  virtio.clear(frame.view, VIRTIO_AT);
  let same = false;
  expect(
    segment(frame, new Frame(), (single) => {
      same = single === frame;
    }),
  ).toBe(true);
  expect(same).toBe(true);
});

test('no header makes it throw, and what cannot be is refused', () => {
  const frame = train(10, 0, tcp.ACK);
  virtio.write(frame.view, VIRTIO_AT, virtio.NEEDS_CSUM, virtio.GSO_NONE, 0, 0, 34, 5_000);
  expect(split(frame)).toBeUndefined();
  expect(split(train(10, 0, 0))).toHaveLength(1);
  const empty = train(100, 10, 0);
  virtio.setGsoSize(empty.view, VIRTIO_AT, 0);
  expect(split(empty)).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 10, maxLength: 200 }), (bytes) => {
      const random = new Frame(bytes.length);
      random.bytes.set(bytes);
      random.end = bytes.length;
      split(random);
    }),
  );
});
