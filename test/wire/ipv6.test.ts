import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as extensions from '../../src/wire/ipv6-extensions.ts';
import { formatAddress, parseAddress } from '../../src/wire/ipv6-text.ts';
import * as ndp from '../../src/wire/ndp.ts';
import { anyPart, likely, viewOf } from './views.ts';

const anyAddress = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 })), {
    minLength: 16,
    maxLength: 16,
  })
  .map((bytes) => String.fromCharCode(...bytes));

test('text is read in every form of RFC 4291 and written in that of RFC 5952', () => {
  for (const [text, canonical] of [
    ['2001:DB8:0:0:8:800:200C:417A', '2001:db8::8:800:200c:417a'],
    ['FF01:0:0:0:0:0:0:101', 'ff01::101'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::', '::'],
    ['1::', '1::'],
    ['::ffff:129.144.52.38', '::ffff:129.144.52.38'],
    ['::FFFF:8190:3426', '::ffff:129.144.52.38'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8::0001', '2001:db8::1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ] as const) {
    const address = parseAddress(text);
    expect(address, text).toHaveLength(16);
    expect(formatAddress(address ?? '')).toBe(canonical);
  }
});

test('what is no address is none', () => {
  for (const text of [
    '',
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '12345::',
    'g::',
    '::1.2.3',
    '::1.2.3.256',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '1:2:3:4:5:6:7:8::',
    '::%eth0',
    ' ::1',
  ]) {
    expect(parseAddress(text), text).toBeUndefined();
  }
});

test('reading text never throws, and agrees with Node', () => {
  const characters = fc.constantFrom(':', '::', '0', '1', 'a', 'F', 'ffff', '1.2.3.4', '.', 'g');
  fc.assert(
    fc.property(fc.array(characters, { maxLength: 14 }), (parts) => {
      const text = parts.join('');
      expect(parseAddress(text) !== undefined, text).toBe(isIPv6(text));
    }),
    { numRuns: 3_000 },
  );
});

test('every address survives its text and the wire', () => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      const text = formatAddress(address);
      expect(isIPv6(text)).toBe(true);
      expect(parseAddress(text)).toBe(address);
      const view = viewOf(20);
      ipv6.writeAddress(view, 3, address);
      expect(ipv6.readAddress(view, 3)).toBe(address);
    }),
  );
});

test('a header says what was written', () => {
  fc.assert(
    fc.property(
      anyAddress,
      anyAddress,
      fc.nat(255),
      fc.nat(0xf_ffff),
      fc.nat(60),
      (from, to, traffic, label, length) => {
        const view = viewOf(100);
        ipv6.write(view, 0, length, 17, 9, from, to, traffic, label);
        expect(ipv6.isValid(view, 0, 100)).toBe(true);
        expect(ipv6.isValid(view, 0, 39 + length)).toBe(false);
        expect(ipv6.trafficClass(view, 0)).toBe(traffic);
        expect(ipv6.flowLabel(view, 0)).toBe(label);
        expect(ipv6.payloadLength(view, 0)).toBe(length);
        expect([ipv6.nextHeader(view, 0), ipv6.hopLimit(view, 0)]).toEqual([17, 9]);
        expect(ipv6.readAddress(view, ipv6.SOURCE_AT)).toBe(from);
        expect(ipv6.readAddress(view, ipv6.DESTINATION_AT)).toBe(to);
      },
    ),
  );
  const view = viewOf(40);
  expect(ipv6.isValid(view, 0, 40)).toBe(false);
});

/** A packet whose chain is `headers`, each with its number; `last` is what they carry. */
function chained(headers: readonly (readonly [number, readonly number[]])[], last: number) {
  const numbers = [...headers.map(([number]) => number), last];
  const bytes = headers.flatMap(([, body], index) => [numbers[index + 1], ...body]);
  const view = viewOf(40 + bytes.length + 8);
  ipv6.write(view, 0, bytes.length + 8, numbers[0], 64, '\0'.repeat(16), '\0'.repeat(16));
  for (const [index, byte] of bytes.entries()) view.setUint8(40 + index, byte);
  const chain = new extensions.Chain();
  const outcome = extensions.walk(view, 0, view.byteLength, chain);
  return { view, chain, outcome, payload: 40 + bytes.length };
}

const PADDED = [0, 1, 4, 0, 0, 0, 0] as const;
const { HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS, REACHED, PROBLEM } = extensions;

test('extension headers are skipped up to what IPv6 carries', () => {
  const plain = chained([], 6);
  expect(plain).toMatchObject({ outcome: REACHED, chain: { protocol: 6, payload: 40 } });
  const all = chained(
    [
      [HOP_BY_HOP, [0, 5, 2, 0, 0, 1, 0]],
      [DESTINATION_OPTIONS, PADDED],
      [ROUTING, [0, 4, 0, 0, 0, 0, 0]],
      [FRAGMENT, [0, 0, 0, 1, 2, 3, 4]],
      [DESTINATION_OPTIONS, [1, 1, 4, 0, 0, 0, 0, 0x1e, 6, 0, 0, 0, 0, 0, 0]],
    ],
    17,
  );
  expect(all.outcome).toBe(REACHED);
  expect(all.chain).toMatchObject({ protocol: 17, payload: all.payload });
  expect(all.view.getUint8(all.chain.nextHeaderAt)).toBe(17);
});

test('a fragment header ends the walk, unless the fragment is the whole', () => {
  for (const field of [
    [0x00, 0x01],
    [0x01, 0x00],
    [0xff, 0xf9],
  ] as const) {
    const cut = chained([[FRAGMENT, [0, ...field, 0, 0, 0, 9]]], 6);
    expect(cut.outcome).toBe(extensions.FRAGMENTED);
    expect(cut.chain).toMatchObject({ protocol: 6, payload: 48, fragmentAt: 40, nextHeaderAt: 6 });
    expect(extensions.fragmentOffset(cut.view, 40)).toBe(((field[0] << 8) | field[1]) & 0xfff8);
    expect(extensions.moreFragments(cut.view, 40)).toBe((field[1] & 1) === 1);
    expect(extensions.identification(cut.view, 40)).toBe(9);
  }
});

test('unknown options are treated as their highest bits say', () => {
  const option = (type: number) => chained([[DESTINATION_OPTIONS, [0, type, 4, 0, 0, 0, 0]]], 6);
  expect(option(0x1e).outcome).toBe(REACHED);
  expect(option(0x5e).outcome).toBe(extensions.DISCARDED);
  for (const [type, evenToGroup] of [
    [0x9e, true],
    [0xde, false],
  ] as const) {
    const { outcome, chain } = option(type);
    expect(outcome).toBe(PROBLEM);
    expect(chain).toMatchObject({ code: extensions.UNKNOWN_OPTION, pointer: 42, evenToGroup });
  }
});

test('a chain that is out of order, unknown or too long goes nowhere', () => {
  const late = chained(
    [
      [DESTINATION_OPTIONS, PADDED],
      [HOP_BY_HOP, PADDED],
    ],
    6,
  );
  expect(late).toMatchObject({ outcome: PROBLEM, chain: { code: 1, pointer: 40 } });
  const routed = chained([[ROUTING, [0, 0, 1, 0, 0, 0, 0]]], 6);
  expect(routed).toMatchObject({ outcome: PROBLEM, chain: { code: 0, pointer: 42 } });
  const long = Array.from({ length: 9 }, () => [DESTINATION_OPTIONS, PADDED] as const);
  expect(chained(long, 6).outcome).toBe(extensions.MALFORMED);
  expect(chained(long.slice(1), 6).outcome).toBe(REACHED);
  const many = Array.from({ length: 9 }, () => [0x1e, 0]).flat();
  const options = [DESTINATION_OPTIONS, [2, ...many, 1, 2, 0, 0]] as const;
  expect(chained([options], 6).outcome).toBe(extensions.DISCARDED);
  expect(chained([[DESTINATION_OPTIONS, [1, ...new Array(14).fill(0)]]], 6).outcome).toBe(
    extensions.DISCARDED,
  );
});

test('no bytes make the walk throw, leave the packet or last', () => {
  const header = [0x60, 0, 0, 0, 0, 60, 0, 64, ...new Array<number>(32).fill(1), 60, 0, 1, 4];
  fc.assert(
    fc.property(fc.oneof(anyPart(200), likely(header, 120)), ({ view, at, end }) => {
      if (!ipv6.isValid(view, at, end)) return;
      const chain = new extensions.Chain();
      const last = at + 40 + ipv6.payloadLength(view, at);
      const outcome = extensions.walk(view, at, last, chain);
      if (outcome > extensions.FRAGMENTED) return;
      expect(chain.payload).toBeLessThanOrEqual(last);
      expect(chain.payload).toBeGreaterThanOrEqual(at + 40);
      expect(view.getUint8(chain.nextHeaderAt)).toBe(
        outcome === REACHED ? chain.protocol : FRAGMENT,
      );
    }),
    { numRuns: 2_000 },
  );
});

test('options of neighbour discovery are read, and never thrown over', () => {
  const view = viewOf(64);
  const options = new ndp.NdpOptions();
  let end = ndp.writeSourceMac(view, 0, 0x0200_0000_0001);
  end = ndp.writeTargetMac(view, end, 0x0200_0000_0002);
  end = ndp.writeNonce(view, end, 0x1234_5678_9abc);
  view.setUint16(end, 0x0501);
  view.setUint32(end + 4, 1_400);
  expect(ndp.readOptions(view, 0, end + 8, options)).toBe(true);
  expect(options).toMatchObject({
    sourceMac: 0x0200_0000_0001,
    targetMac: 0x0200_0000_0002,
    nonce: 0x1234_5678_9abc,
    mtu: 1_400,
  });
  expect(ndp.readOptions(view, 0, end + 1, options)).toBe(false);
  view.setUint8(1, 0);
  expect(ndp.readOptions(view, 0, 8, options)).toBe(false);
  ndp.writeSourceMac(view, 0, 0x3333_0000_0001);
  expect(ndp.readOptions(view, 0, 8, options)).toBe(true);
  expect(options.sourceMac).toBe(-1);
  fc.assert(
    fc.property(fc.oneof(anyPart(200), likely([3, 4, 64, 0x80, 1, 1], 200)), (part) => {
      const whole = ndp.readOptions(part.view, part.at, part.end, options);
      expect(options.prefixes).toBeLessThanOrEqual(ndp.MAX_PREFIXES);
      if (!whole) return;
      for (let i = 0; i < options.prefixes; i++) {
        expect(options.prefixAt[i] + 32).toBeLessThanOrEqual(part.end);
      }
    }),
  );
});

test('the checksum of ICMPv6 covers the addresses', () => {
  const view = viewOf(60);
  ipv6.write(view, 0, 20, 58, 64, 'a'.repeat(16), 'b'.repeat(16));
  icmpv6.write(view, 40, icmpv6.ECHO, 0, 7);
  expect(icmpv6.isIntact(view, 0, 40, 60)).toBe(false);
  const sum = 0xffff - (sumOf(view, 8, 60) % 0xffff);
  view.setUint16(42, (((sum - 58 - 20) % 0xffff) + 0xffff) % 0xffff);
  expect(icmpv6.isIntact(view, 0, 40, 60)).toBe(true);
  view.setUint8(39, 1);
  expect(icmpv6.isIntact(view, 0, 40, 60)).toBe(false);
});

const sumOf = (view: DataView, from: number, to: number): number => {
  let sum = 0;
  for (let at = from; at < to; at += 2) sum += view.getUint16(at);
  return sum;
};
