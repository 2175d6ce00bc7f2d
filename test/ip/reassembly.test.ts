import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Address } from '../../src/ip/address.ts';
import { CONFLICT, FragmentSet, KEPT, REPEATED } from '../../src/ip/datagram.ts';
import type { Frame } from '../../src/link/frame.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import { address } from '../sim/hosts.ts';
import { BODY, ipFrame, NEIGHBOUR } from './bench.ts';
import { Bench6, ip6Frame, NEIGHBOUR6 } from './bench6.ts';

const PROTOCOL = 222;

interface Part {
  offset: number;
  more: boolean;
  bytes: Uint8Array;
  id?: number;
  from?: Address;
  traffic?: number;
}

type Family = (part: Part) => Frame;

const four: Family = ({ offset, more, bytes, id = 1, from = NEIGHBOUR, traffic = 0 }) => {
  const frame = ipFrame(PROTOCOL, bytes, { from });
  const { view } = frame;
  const flags = (offset >> 3) | (more ? ipv4.MORE_FRAGMENTS : 0);
  const length = 20 + bytes.length;
  const [source, to] = [Number(from), ipv4.destination(view, NETWORK_AT)];
  ipv4.write(view, NETWORK_AT, length, id, flags, 64, PROTOCOL, source, to, traffic);
  return frame;
};

const six: Family = ({ offset, more, bytes, id = 1, from = NEIGHBOUR6, traffic = 0 }) => {
  const body = new Uint8Array(8 + bytes.length);
  const view = new DataView(body.buffer);
  view.setUint8(0, PROTOCOL);
  view.setUint16(2, offset | (more ? 1 : 0));
  view.setUint32(4, id);
  body.set(bytes, 8);
  const frame = ip6Frame(44, body, { from });
  frame.view.setUint16(NETWORK_AT, 0x6000 | (traffic << 4));
  return frame;
};

const families = [
  ['IPv4', four],
  ['IPv6', six],
] as const;

/** A host that keeps what comes whole, and the traffic class it came with. */
function listening() {
  const bench = new Bench6().acquainted();
  const whole: Buffer[] = [];
  const traffic: number[] = [];
  bench.host.ip.register(PROTOCOL, {
    receive: (packet) => {
      whole.push(Buffer.from(packet.frame.bytes.subarray(packet.payload, packet.end)));
      traffic.push(packet.trafficClass);
    },
    pathError: () => {},
  });
  return { bench, whole, traffic, reassembler: bench.host.ip.input.reassembler };
}

const filled = (length: number, start = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((start + i) * 31) & 255);

/** Cuts `length` bytes at the given places, which are multiples of 8. */
function cut(length: number, places: readonly number[]): Part[] {
  const starts = [0, ...places.filter((each) => each > 0 && each < length)];
  const all = filled(length);
  return starts.map((offset, index) => {
    const end = starts[index + 1] ?? length;
    return { offset, more: end < length, bytes: all.slice(offset, end) };
  });
}

const cuts = fc
  .tuple(fc.integer({ min: 9, max: 4_000 }), fc.array(fc.nat(499), { maxLength: 20 }))
  .map(([length, eighths]) => {
    const places = [...new Set(eighths.map((each) => 8 * each))].sort((a, b) => a - b);
    return { length, parts: cut(length, places.length > 0 ? places : [8]) };
  })
  .filter(({ parts }) => parts.length > 1);

const shuffled = cuts.chain(({ length, parts }) =>
  fc
    .shuffledSubarray(parts, { minLength: parts.length })
    .map((order) => ({ length, parts, order })),
);

for (const [name, make] of families) {
  test(`${name}: fragments in any order, some repeated, are the datagram`, () => {
    fc.assert(
      fc.property(shuffled, fc.nat(20), ({ length, order }, again) => {
        const { bench, whole, reassembler } = listening();
        const repeated = order[again % order.length];
        const sequence = [...order.slice(0, -1), repeated, ...order.slice(-1)];
        bench.arrive(...sequence.map(make));
        expect(whole).toHaveLength(1);
        expect(whole[0].equals(filled(length))).toBe(true);
        expect(bench.sent()).toHaveLength(0);
        if (repeated === order.at(-1)) {
          // The rest of the sequence opened a datagram of its own.
          expect(reassembler.held.datagrams).toBe(1);
        } else expect(reassembler.held).toEqual({ bytes: 0, datagrams: 0 });
        bench.at(100_000);
        expect(bench.host.timers.armed).toBe(0);
        expect(reassembler.held).toEqual({ bytes: 0, datagrams: 0 });
      }),
      { numRuns: 100 },
    );
  });

  test(`${name}: an overlap spoils the whole datagram, wherever it comes`, () => {
    const attack = fc.record({ start: fc.nat(498), eighths: fc.integer({ min: 1, max: 40 }) });
    fc.assert(
      fc.property(shuffled, attack, fc.nat(20), ({ length, parts, order }, lie, at) => {
        const offset = 8 * (lie.start % Math.ceil(length / 8));
        const bytes = new Uint8Array(8 * lie.eighths).fill(0xee);
        // One that takes the place of whole parts cannot be told from them when it comes first.
        const end = offset + bytes.length;
        const fits =
          parts.some((part) => part.offset === offset) &&
          parts.some((part) => part.offset + part.bytes.length === end);
        fc.pre(!fits && offset < length);
        const { bench, whole, reassembler } = listening();
        const place = at % order.length;
        const sequence = [
          ...order.slice(0, place),
          { offset, more: true, bytes },
          ...order.slice(place),
        ];
        bench.arrive(...sequence.map(make));
        expect(whole).toEqual([]);
        expect(reassembler.counters.overlaps).toBe(1);
        bench.at(100_000);
        expect(bench.sent()).toHaveLength(0);
        expect(reassembler.held).toEqual({ bytes: 0, datagrams: 0 });
      }),
      { numRuns: 100 },
    );
  });

  test(`${name}: parts of different datagrams are never mixed`, () => {
    const { bench, whole } = listening();
    const parts = cut(100, [40]);
    const other = name === 'IPv4' ? address('10.0.0.3') : address('2001:db8::3');
    bench.arrive(make(parts[0]), make({ ...parts[1], id: 2 }), make({ ...parts[1], from: other }));
    expect(whole).toHaveLength(0);
    bench.arrive(make(parts[1]));
    expect(whole).toHaveLength(1);
  });

  test(`${name}: what does not come in time is given up, and its sender told if the start was there`, () => {
    const { bench, whole, reassembler } = listening();
    const parts = cut(100, [40]);
    const time = name === 'IPv4' ? 30_000 : 60_000;
    bench.arrive(make(parts[0]), make({ ...parts[1], id: 2 }));
    bench.at(time - 1);
    bench.host.ip.neighbours.learn(NEIGHBOUR, 2, true, bench.clock.now());
    bench.host.ip.neighbours.learn(NEIGHBOUR6, 2, true, bench.clock.now());
    expect(bench.sent()).toHaveLength(0);
    bench.at(time);
    const errors = bench.sent();
    expect(errors).toHaveLength(1);
    const at = name === 'IPv4' ? BODY : BODY + 20;
    expect([icmp.type(errors[0].view, at), icmp.code(errors[0].view, at)]).toEqual(
      name === 'IPv4' ? [11, 1] : [3, 1],
    );
    const quote = errors[0].bytes.subarray(at + 8, errors[0].end);
    const first = make(parts[0]);
    expect(Buffer.from(quote)).toEqual(Buffer.from(first.bytes.slice(NETWORK_AT, first.end)));
    expect(reassembler.counters.expired).toBe(2);
    bench.arrive(make(parts[1]));
    expect(whole).toHaveLength(0);
  });

  test(`${name}: the sum of congestion marks is kept, and a contradiction dropped`, () => {
    const { bench, traffic } = listening();
    const parts = cut(100, [40]);
    const marked = (first: number, second: number, id: number) =>
      bench.arrive(
        make({ ...parts[0], traffic: first, id }),
        make({ ...parts[1], traffic: second, id }),
      );
    marked(0x28 | 2, 0x28 | 3, 1);
    marked(2, 2, 2);
    marked(0, 3, 3);
    expect(traffic).toEqual([0x28 | 3, 2]);
  });

  test(`${name}: nobody makes us keep more than 4 MiB, or more than 64 datagrams of his own`, () => {
    const { bench, reassembler, whole } = listening();
    const from = (number: number): Address =>
      address(name === 'IPv4' ? `10.0.0.${number + 2}` : `2001:db8::${(number + 2).toString(16)}`);
    for (let i = 0; i < 200; i++) {
      bench.arrive(make({ offset: 0, more: true, bytes: new Uint8Array(8), id: i + 1 }));
    }
    expect(reassembler.held.datagrams).toBe(64);
    for (let i = 0; i < 250; i++) {
      for (let k = 0; k < 30; k++) {
        const bytes = new Uint8Array(1_400);
        bench.arrive(
          make({ offset: 1_400 * (i % 40), more: true, bytes, id: 1_000 + k, from: from(i % 20) }),
        );
        expect(reassembler.held.bytes).toBeLessThanOrEqual(4 * 1_024 * 1_024);
      }
    }
    expect(reassembler.counters.evicted).toBeGreaterThan(136);
    // Who comes now is still served.
    bench.arrive(...cut(100, [40]).map((part) => make({ ...part, id: 9 })));
    expect(whole).toHaveLength(1);
    bench.at(200_000);
    expect(reassembler.held).toEqual({ bytes: 0, datagrams: 0 });
  });

  test(`${name}: tiny fragments are not gathered without end`, () => {
    const { bench, reassembler } = listening();
    for (let i = 0; i < 200; i++) {
      bench.arrive(make({ offset: 8 * i, more: true, bytes: new Uint8Array(8) }));
    }
    expect(reassembler.counters.overlaps).toBe(1);
    expect(reassembler.held.bytes).toBeLessThan(1_000);
  });
}

test('IPv4 fragments that cannot be are dropped', () => {
  const { bench, whole, reassembler } = listening();
  bench.arrive(four({ offset: 0, more: true, bytes: new Uint8Array(7) }));
  bench.arrive(four({ offset: 65_528, more: false, bytes: new Uint8Array(100) }));
  bench.arrive(four({ offset: 8, more: true, bytes: new Uint8Array(0) }));
  expect(reassembler.held.datagrams).toBe(0);
  expect(whole).toHaveLength(0);
  expect(bench.sent()).toHaveLength(0);
});

test('IPv6 fragments that cannot be are answered as RFC 8200 and RFC 7112 say', () => {
  const { bench, reassembler } = listening();
  bench.arrive(six({ offset: 0, more: true, bytes: new Uint8Array(7) }));
  bench.arrive(six({ offset: 65_528, more: false, bytes: new Uint8Array(100) }));
  // The first fragment ends within the chain of headers.
  const short = six({ offset: 0, more: true, bytes: Uint8Array.of(6, 1, 0, 0, 0, 0, 0, 0) });
  short.view.setUint8(NETWORK_AT + 40, 60);
  bench.arrive(short);
  const pointers = bench.sentIcmp6().map(({ type, code, frame }) => ({
    type,
    code,
    pointer: frame.view.getUint32(NETWORK_AT + 44),
  }));
  expect(pointers).toEqual([
    { type: 4, code: 0, pointer: 4 },
    { type: 4, code: 0, pointer: 42 },
    { type: 4, code: 3, pointer: 0 },
  ]);
  expect(reassembler.held.datagrams).toBe(0);
});

test('an atomic fragment is whole, even beside others with its identification', () => {
  const { bench, whole } = listening();
  bench.arrive(six({ offset: 0, more: true, bytes: new Uint8Array(40) }));
  bench.arrive(six({ offset: 0, more: false, bytes: filled(24) }));
  expect(whole).toEqual([Buffer.from(filled(24))]);
});

test('a fragment within a datagram put together is not gathered again', () => {
  const { bench, whole, reassembler } = listening();
  const inner = new Uint8Array(16);
  inner.set([PROTOCOL, 0, 0, 1, 0, 0, 0, 9]);
  const nested = (part: Part): Frame => {
    const frame = six(part);
    frame.view.setUint8(NETWORK_AT + 40, 44);
    return frame;
  };
  bench.arrive(
    nested({ offset: 0, more: true, bytes: inner }),
    nested({ offset: 16, more: false, bytes: new Uint8Array(8) }),
  );
  expect(whole).toHaveLength(0);
  expect(reassembler.counters).toMatchObject({ fragments: 2, whole: 1 });
  expect(reassembler.held.datagrams).toBe(0);
  expect(bench.host.ip.counters.malformed).toBe(1);
});

test('a set of fragments knows repetition from contradiction', () => {
  const set = new FragmentSet();
  expect(set.add(8, filled(8, 8), true)).toBe(KEPT);
  expect(set.add(8, filled(8, 8), true)).toBe(REPEATED);
  expect(set.add(8, filled(8, 9), true)).toBe(CONFLICT);
  expect(set.add(8, filled(16, 8), true)).toBe(CONFLICT);
  expect(set.add(0, filled(16), true)).toBe(CONFLICT);
  expect(set.add(0, filled(8), false)).toBe(CONFLICT);
  expect(set.add(16, filled(5, 16), false)).toBe(KEPT);
  expect(set.add(16, filled(5, 16), true)).toBe(CONFLICT);
  expect(set.add(24, filled(8), true)).toBe(CONFLICT);
  expect(set.add(32, filled(8), false)).toBe(CONFLICT);
  expect(set.isComplete).toBe(false);
  expect(set.add(0, filled(8), true)).toBe(KEPT);
  expect(set.isComplete).toBe(true);
  const target = new Uint8Array(21);
  expect(set.copyTo(target, 0)).toBe(21);
  expect(target).toEqual(filled(21));
});
