import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cookies, decodeTimestamp, encodeTimestamp } from '../../src/tcp/cookie.ts';
import { Ports } from '../../src/tcp/ports.ts';
import { siphash } from '../../src/tcp/siphash.ts';
import { keyFromSecret } from '../../src/tcp/stack.ts';
import { address } from '../sim/hosts.ts';

/** Test vectors of SipHash-2-4 (bytes): key 00 01 .. 0f, message 00 01 .. of the given length. */
const VECTORS = [
  [0, '310e0edd47db6f72'],
  [4, 'b7877127e09427cf'],
  [8, '6224939a79f5f593'],
  [12, 'fbe50e86bc8f1e75'],
  [16, 'db9bc2577fcc2a3f'],
  [60, 'e1915f5cb1eca46c'],
] as const;

test.each(VECTORS)('siphash of %i bytes', (length, expected) => {
  const key = new Uint32Array(Uint8Array.from({ length: 16 }, (_, i) => i).buffer);
  const words = new Uint32Array(Uint8Array.from({ length: 64 }, (_, i) => i).buffer);
  expect(siphash(key, words, length / 4)).toBe(Buffer.from(expected, 'hex').readUInt32LE(0));
});

const flow = {
  local: address('10.0.0.1'),
  localPort: 80,
  remote: address('10.0.0.2'),
  remotePort: 5_000,
};
const cookies = new Cookies([keyFromSecret('secret', 'cookie')]);
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });

test('a cookie gives back the largest class not above the MSS, for one to two minutes', () => {
  fc.assert(
    fc.property(uint32, fc.integer({ min: 536, max: 9_000 }), uint32, (irs, mss, wall) => {
      const iss = cookies.issue(flow, irs, mss, wall);
      const found = cookies.check(flow, irs, iss, wall);
      expect(found).toBeLessThanOrEqual(mss);
      for (const later of [63, -63])
        expect(cookies.check(flow, irs, iss, wall + later)).toBe(found);
      expect(cookies.recognizes(flow, iss, wall)).toBe(true);
    }),
  );
  expect(cookies.check(flow, 1, cookies.issue(flow, 1, 1_460, 0), 0)).toBe(1_460);
  expect(cookies.check(flow, 1, cookies.issue(flow, 1, 1_300, 0), 0)).toBe(1_300);
  expect(cookies.check(flow, 1, cookies.issue(flow, 1, 100, 0), 0)).toBe(536);
});

test('a cookie tells all members which of them issued it, and that for later segments too', () => {
  const key = keyFromSecret('secret', 'cookie');
  const member = (self: number, count: number) => new Cookies([key], { self, count });
  let mistaken = 0;
  let trials = 0;
  for (const count of [1, 3, 256]) {
    for (const self of [0, 1, 2, 255].filter((number) => number < count)) {
      for (let port = 0; port < 200; port++) {
        const each = { ...flow, remotePort: port };
        const irs = Math.imul(port, 0x9e37_79b1) >>> 0;
        const iss = member(self, count).issue(each, irs, 1_460, 1_000_000);
        const other = member(count - 1, count);
        expect(other.check(each, irs, iss, 1_000_000)).toBe(1_460);
        expect(other.issuerOf(each, irs, iss, 1_000_063)).toBe(self);
        // Of a later segment the client's first number is unknown: another tick may seem to fit.
        trials++;
        if (other.issuerOf(each, irs + 77, iss, 1_000_063) !== self) mistaken++;
        if (port < 5) expect(other.issuerOf(each, irs, iss, 1_000_300)).toBeLessThan(count);
      }
    }
  }
  expect(mistaken).toBeLessThan(0.06 * trials);
  expect(member(0, 1).issuerOf(flow, 1, member(1, 2).issue(flow, 1, 1_460, 0), 0)).toBe(-1);
});

test('no later segment of the first window passes for the first, wherever the client began', () => {
  for (const irs of [0, 0x7fff_fff0, 0x1234_ff00, 0xffff_0000, 0xffff_fff0]) {
    const iss = cookies.issue(flow, irs, 1_460, 1_000_000);
    let passed = 0;
    for (let ahead = 1; ahead < 65_535; ahead++) {
      const later = (irs + ahead) >>> 0;
      if (cookies.check(flow, later, iss, 1_000_000) !== undefined) passed++;
    }
    expect(passed).toBe(0);
  }
});

test('a cookie is good for nothing else', () => {
  let forged = 0;
  let stale = 0;
  for (let irs = 0; irs < 6_000; irs++) {
    const iss = cookies.issue(flow, irs, 1_460, 1_000_000);
    if (cookies.check(flow, irs + 1, iss, 1_000_000) !== undefined) forged++;
    if (cookies.check({ ...flow, remotePort: 5_001 }, irs, iss, 1_000_000) !== undefined) forged++;
    if (cookies.check(flow, irs, iss ^ 1, 1_000_000) !== undefined) forged++;
    if (cookies.check(flow, irs, iss, 1_000_000 + 192) !== undefined) stale++;
  }
  // One in 65,536 shares the half of the proof that is not the flow's.
  expect(forged).toBeLessThan(6);
  expect(stale).toBe(0);
  const other = new Cookies([keyFromSecret('other', 'cookie')]);
  expect(other.check(flow, 1, cookies.issue(flow, 1, 1_460, 0), 0)).toBeUndefined();
});

test('few strangers are taken for late segments of a handshake', () => {
  let taken = 0;
  for (let i = 0; i < 20_000; i++) {
    if (cookies.recognizes(flow, Math.imul(i, 0x9e37_79b1) >>> 0, 1_000_000)) taken++;
  }
  expect(taken).toBeLessThan(25);
});

test('a timestamp carries the options and is at most 31 ms old', () => {
  const options = fc.record({ windowScale: fc.integer({ min: -1, max: 14 }), sack: fc.boolean() });
  fc.assert(
    fc.property(uint32, options, (now, remembered) => {
      const value = encodeTimestamp(now, remembered);
      expect(decodeTimestamp(value)).toEqual(remembered);
      const age = (now - value) | 0;
      expect(age).toBeGreaterThanOrEqual(0);
      expect(age).toBeLessThan(32);
    }),
  );
});

test('ports are given out once around before one comes again, and all of them', () => {
  const ports = new Ports(keyFromSecret('x', 'ports'));
  const given = new Set<number>();
  const choose = () => ports.choose(flow.local, flow.remote, 80, (port) => !given.has(port));
  for (let port = choose(); port !== undefined; port = choose()) given.add(port);
  expect(given.size).toBe(55_536);
  expect(Math.min(...given)).toBe(10_000);
  expect(Math.max(...given)).toBe(65_535);
});
