import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Ranges } from '../../src/tcp/ranges.ts';
import { advance, distance, isAfter, isBefore, later } from '../../src/tcp/sequence.ts';

test('sequence numbers compare on the circle', () => {
  expect(distance(5, 0xffff_fffb)).toBe(10);
  expect(distance(0xffff_fffb, 5)).toBe(-10);
  expect(advance(0xffff_fffb, 10)).toBe(5);
  expect(advance(5, -10)).toBe(0xffff_fffb);
  expect(isBefore(0xffff_fffb, 5)).toBe(true);
  expect(isAfter(5, 0xffff_fffb)).toBe(true);
  expect(isAfter(5, 5) || isBefore(5, 5)).toBe(false);
  expect(later(0xffff_fffb, 5)).toBe(5);
});

const list = (ranges: Ranges): [number, number][] =>
  Array.from({ length: ranges.count }, (_, i) => [ranges.start(i), ranges.end(i)]);

test('ranges merge where they touch, and stay sorted', () => {
  const ranges = new Ranges(10);
  ranges.add(100, 200);
  ranges.add(300, 400);
  ranges.add(200, 250);
  expect(list(ranges)).toEqual([
    [100, 250],
    [300, 400],
  ]);
  ranges.add(240, 310);
  expect(list(ranges)).toEqual([[100, 400]]);
  expect(ranges.bytes).toBe(300);
  expect(ranges.indexOf(399)).toBe(0);
  expect(ranges.indexOf(400)).toBe(-1);
});

test('one range too many is refused, one that merges is not', () => {
  const ranges = new Ranges(2);
  expect(ranges.add(0, 10) && ranges.add(20, 30)).toBe(true);
  expect(ranges.add(40, 50)).toBe(false);
  expect(ranges.add(30, 50)).toBe(true);
  expect(list(ranges)).toEqual([
    [0, 10],
    [20, 50],
  ]);
});

test('dropBefore cuts', () => {
  const ranges = new Ranges(3);
  ranges.add(0, 10);
  ranges.add(20, 30);
  ranges.dropBefore(25);
  expect(list(ranges)).toEqual([[25, 30]]);
  ranges.dropBefore(30);
  expect(ranges.count).toBe(0);
});

test('ranges are the set of their bytes, wherever the sequence space wraps', () => {
  const piece = fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 40 }));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.array(piece),
      fc.nat(240),
      (base, pieces, cut) => {
        const ranges = new Ranges(1_000);
        const bytes = new Set<number>();
        for (const [start, length] of pieces) {
          ranges.add(advance(base, start), advance(base, start + length));
          for (let i = 0; i < length; i++) bytes.add(start + i);
        }
        ranges.dropBefore(advance(base, cut));
        for (let i = 0; i < cut; i++) bytes.delete(i);
        expect(ranges.bytes).toBe(bytes.size);
        for (let i = 0; i < 250; i++) {
          expect(ranges.indexOf(advance(base, i)) >= 0).toBe(bytes.has(i));
        }
        for (let i = 1; i < ranges.count; i++) {
          expect(isAfter(ranges.start(i), ranges.end(i - 1))).toBe(true);
        }
      },
    ),
  );
});
