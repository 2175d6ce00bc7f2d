import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addressLength,
  addressWords,
  contains,
  endpointKey,
  formatAddress,
  formatEndpoint,
  fromIpv4,
  fromIpv6,
  isGroup,
  isHost,
  isLinkLocal,
  parseAddress,
  parsePrefix,
  writeIpv6,
} from '../../src/ip/address.ts';
import { readIpv6 } from '../../src/ip/intern.ts';
import { Groups, linkLocalAddress, macOfGroup, solicitedNode } from '../../src/ip/multicast.ts';
import { address } from '../sim/hosts.ts';

const any6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => fromIpv6(Buffer.from(bytes).toString('latin1')));
const any4 = fc.nat(0xffff_ffff).map(fromIpv4);
const anyAddress = fc.oneof(any4, any6);

test('both families are read and written', () => {
  for (const text of ['10.1.2.3', '::', '2001:db8::1', '::ffff:10.1.2.3', 'fe80::1']) {
    expect(formatAddress(address(text))).toBe(text);
  }
  for (const text of ['', '10.1.2', '1::2::3', 'name']) expect(parseAddress(text)).toBeUndefined();
  expect(formatEndpoint({ address: address('10.0.0.1'), port: 80 })).toBe('10.0.0.1:80');
  expect(formatEndpoint({ address: address('::1'), port: 80 })).toBe('[::1]:80');
  expect([addressLength(address('1.2.3.4')), addressLength(address('::'))]).toEqual([4, 16]);
});

test('addresses are the same wherever they were read', () => {
  const view = new DataView(new ArrayBuffer(20));
  fc.assert(
    fc.property(any6, (each) => {
      writeIpv6(view, 4, each);
      expect(readIpv6(view, 4)).toBe(each);
      expect(readIpv6(view, 4)).toBe(each);
    }),
    { numRuns: 3_000 },
  );
});

test('words are what lies on the wire', () => {
  const words = new Uint32Array(8);
  expect(addressWords(address('2001:db8::1'), words, 1)).toBe(5);
  expect([...words]).toEqual([0, 0x2001_0db8, 0, 0, 1, 0, 0, 0]);
  expect(addressWords(address('255.0.0.1'), words, 0)).toBe(1);
  expect(words[0]).toBe(0xff00_0001);
});

test('end points have one key each', () => {
  const port = fc.nat(65_535);
  fc.assert(
    fc.property(anyAddress, port, anyAddress, port, (one, onePort, other, otherPort) => {
      const same = one === other && onePort === otherPort;
      expect(endpointKey(one, onePort) === endpointKey(other, otherPort)).toBe(same);
      expect(endpointKey(one, onePort)).toBe(endpointKey(one, onePort));
    }),
    { numRuns: 3_000 },
  );
});

test('what no host can have is known', () => {
  for (const text of ['0.0.0.1', '127.0.0.1', '224.0.0.1', '255.255.255.255']) {
    expect(isHost(address(text)), text).toBe(false);
  }
  for (const text of ['::', '::1', 'ff02::1', 'ff0e::1', '::ffff:10.0.0.1']) {
    expect(isHost(address(text)), text).toBe(false);
  }
  for (const text of ['10.0.0.1', '::2', '2001:db8::1', 'fe80::1', 'fc00::1', '64:ff9b::1']) {
    expect(isHost(address(text)), text).toBe(true);
  }
  expect([isGroup(address('ff02::1')), isGroup(address('fe80::1'))]).toEqual([true, false]);
  expect([isGroup(address('239.0.0.1')), isGroup(address('240.0.0.1'))]).toEqual([true, false]);
  expect([isLinkLocal(address('febf::1')), isLinkLocal(address('fec0::1'))]).toEqual([true, false]);
});

test('prefixes of both families', () => {
  for (const text of ['', '::', '::/129', '10.0.0.0/33', '::/', '::/x', '::/1/2', '::/-1']) {
    expect(parsePrefix(text), text).toBeUndefined();
  }
  const inside = (prefix: string, text: string): boolean => {
    const parsed = parsePrefix(prefix);
    if (parsed === undefined) throw new Error(prefix);
    return contains(parsed, address(text));
  };
  expect(inside('2001:db8::/32', '2001:db8:ffff::1')).toBe(true);
  expect(inside('2001:db8::/32', '2001:db9::1')).toBe(false);
  expect(inside('2001:db8::/33', '2001:db8:8000::1')).toBe(false);
  expect(inside('2001:db8::5/128', '2001:db8::5')).toBe(true);
  expect(inside('2001:db8::5/128', '2001:db8::4')).toBe(false);
  expect(inside('::/0', 'ffff::')).toBe(true);
  expect(inside('::/0', '1.2.3.4')).toBe(false);
  expect(inside('0.0.0.0/0', '::')).toBe(false);
  expect(inside('10.0.0.128/25', '10.0.0.127')).toBe(false);
});

test('a prefix contains exactly what shares its bits', () => {
  fc.assert(
    fc.property(any6, fc.nat(128), fc.nat(127), (base, length, flipped) => {
      const bytes = Buffer.from(String(base), 'latin1');
      bytes[flipped >> 3] ^= 0x80 >> (flipped & 7);
      const other = fromIpv6(bytes.toString('latin1'));
      expect(contains({ address: base, length }, base)).toBe(true);
      expect(contains({ address: base, length }, other)).toBe(flipped >= length);
    }),
  );
});

test('groups and link-local addresses come from what they belong to', () => {
  const group = solicitedNode(address('2001:db8::12:3456'));
  expect(formatAddress(group)).toBe('ff02::1:ff12:3456');
  expect(macOfGroup(group)).toBe(0x3333_ff12_3456);
  expect(formatAddress(linkLocalAddress(0x0200_5e10_abcd))).toBe('fe80::5eff:fe10:abcd');
  const groups = new Groups();
  const twin = address('ff0e::1:ff12:3456');
  groups.join(group);
  groups.join(group);
  groups.join(twin);
  groups.leave(group);
  expect(groups.has(group)).toBe(true);
  groups.leave(group);
  expect(groups.has(group)).toBe(false);
  expect(groups.hears(0x3333_ff12_3456)).toBe(true);
  groups.leave(twin);
  expect(groups.hears(0x3333_ff12_3456)).toBe(false);
});
