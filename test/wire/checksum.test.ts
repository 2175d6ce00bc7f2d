import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  change16,
  change32,
  complement,
  fold,
  sum32,
  sumBytes,
  updateFull,
  updatePartial,
} from '../../src/wire/checksum.ts';

const uint16 = fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 1, 0xfffe, 0xffff));
const uint32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 1, 0xffff, 0x1_0000, 0xffff_0000, 0xffff_ffff),
);
const viewOf = (bytes: ArrayLike<number>): DataView => new DataView(Uint8Array.from(bytes).buffer);

/** RFC 1071 with numbers that cannot overflow, one carry at a time. */
function reference(bytes: ArrayLike<number>): number {
  let sum = 0n;
  for (let at = 0; at < bytes.length; at++) {
    sum += BigInt(bytes[at]) << (at % 2 === 0 ? 8n : 0n);
  }
  while (sum > 0xffffn) sum = (sum & 0xffffn) + (sum >> 16n);
  return Number(sum);
}

describe('sums', () => {
  test('the example of RFC 1071, section 3', () => {
    const view = viewOf([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    expect(fold(sumBytes(view, 0, 8))).toBe(0xddf2);
    expect(complement(sumBytes(view, 0, 8))).toBe(0x220d);
  });

  test('folding keeps the value modulo 65,535 and 0 apart from 65,535', () => {
    fc.assert(
      fc.property(uint32, (sum) => {
        const folded = fold(sum);
        expect(folded).toBeLessThanOrEqual(0xffff);
        expect(folded % 0xffff).toBe(sum % 0xffff);
        expect(folded === 0).toBe(sum === 0);
      }),
    );
  });

  test('bytes sum as in RFC 1071, from any offset and of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(9), (bytes, at) => {
        const start = Math.min(at, bytes.length);
        const view = viewOf(bytes);
        expect(fold(sumBytes(view, start, bytes.length))).toBe(reference(bytes.subarray(start)));
      }),
    );
  });

  test('the largest packet does not overflow', () => {
    const view = viewOf(new Uint8Array(65_536).fill(0xff));
    expect(fold(sumBytes(view, 0, 65_536, 0x7fff_ffff))).toBe(
      fold((0x7fff_ffff + 32_768 * 0xffff) % 0xffff) || 0xffff,
    );
  });

  test('sums of halves', () => {
    fc.assert(
      fc.property(uint32, (value) => {
        const view = viewOf([0, 0, 0, 0]);
        view.setUint32(0, value);
        expect(sum32(value)).toBe(sumBytes(view, 0, 4));
      }),
    );
  });

  test('what a sum and its complement add up to is nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 100 }), (bytes) => {
        const even = bytes.subarray(0, bytes.length & ~1);
        const sum = sumBytes(viewOf(even), 0, even.length);
        expect(complement(sum + complement(sum))).toBe(0);
      }),
    );
  });
});

/** Some bytes, and what is written over them at an even offset. */
const change = fc.uint8Array({ minLength: 4, maxLength: 60 }).chain((bytes) =>
  fc.record({
    bytes: fc.constant(bytes.slice(0, bytes.length & ~1)),
    at: fc.nat(Math.floor((bytes.length - 4) / 2)).map((word) => 2 * word),
    value: uint32,
  }),
);
/** Every checksum that we change covers something that is not zero: a version, a protocol, a length. */
const CONSTANT = 6;

describe('incremental equals full', () => {
  test.each([
    { size: 16, mask: 0xffff },
    { size: 32, mask: 0xffff_ffff },
  ])('after a change of $size bits anywhere', ({ size, mask }) => {
    fc.assert(
      fc.property(change, ({ bytes, at, value: drawn }) => {
        const value = (drawn & mask) >>> 0;
        const view = viewOf(bytes);
        const sum = sumBytes(view, 0, bytes.length, CONSTANT);
        const before = size === 16 ? view.getUint16(at) : view.getUint32(at);
        if (size === 16) view.setUint16(at, value);
        else view.setUint32(at, value);
        const difference = size === 16 ? change16(before, value) : change32(before, value);
        const after = sumBytes(view, 0, bytes.length, CONSTANT);
        expect(updateFull(complement(sum), difference)).toBe(complement(after));
        expect(updatePartial(fold(sum), difference)).toBe(fold(after));
      }),
      { numRuns: 1_000 },
    );
  });

  test('after many changes added up before folding', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(uint32, uint32), { maxLength: 30 }), uint16, (pairs, other) => {
        const before = pairs.reduce((sum, [value]) => sum + sum32(value), CONSTANT + other);
        const after = pairs.reduce((sum, [, value]) => sum + sum32(value), CONSTANT + other);
        const total = pairs.reduce((sum, [from, to]) => sum + change32(from, to), 0);
        expect(updateFull(complement(before), total)).toBe(complement(after));
        expect(updatePartial(fold(before), total)).toBe(fold(after));
      }),
    );
  });

  test.each([
    { from: 0x0000_0000, to: 0x0000_ffff, rest: 0x0001 },
    { from: 0x0000_ffff, to: 0x0000_0000, rest: 0x0001 },
    { from: 0x0000_0001, to: 0x0000_fffe, rest: 0x0001 },
    { from: 0x0000_fffe, to: 0x0000_fffd, rest: 0x0001 },
    { from: 0xffff_ffff, to: 0x0000_0000, rest: 0xffff },
  ])('at the edges, from $from to $to over $rest', ({ from, to, rest }) => {
    const before = complement(sum32(from) + rest);
    expect(updateFull(before, change32(from, to))).toBe(complement(sum32(to) + rest));
  });

  test('the two results that fold to the edges do occur', () => {
    // 0x0000 is a full checksum whose sum is 0xffff; 0xfffe is one whose sum is 1.
    expect(updateFull(complement(5), change16(5, 0xffff))).toBe(0x0000);
    expect(updateFull(complement(5), change16(5, 1))).toBe(0xfffe);
    expect(updatePartial(fold(5), change16(5, 0xffff))).toBe(0xffff);
  });

  test('signed words count like unsigned ones', () => {
    fc.assert(
      fc.property(uint32, uint32, (from, to) => {
        expect(change32(from | 0, to | 0)).toBe(change32(from, to));
        expect(sum32(from | 0)).toBe(sum32(from));
      }),
    );
  });
});
