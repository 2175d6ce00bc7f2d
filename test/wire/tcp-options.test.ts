import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as options from '../../src/wire/tcp-options.ts';
import { anyPart, viewOf } from './views.ts';

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });

function read(bytes: readonly number[], end = bytes.length): options.Options {
  const into = new options.Options();
  into.mss = 99;
  into.sackPermitted = true;
  options.readOptions(new DataView(Uint8Array.from(bytes).buffer), 0, end, into);
  return into;
}

const NOTHING = {
  mss: 0,
  windowScale: -1,
  sackPermitted: false,
  hasTimestamps: false,
  timestampValue: 0,
  timestampEcho: 0,
  sackBlocks: 0,
};

describe('written and read', () => {
  test('a SYN with everything, as Linux orders it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff }),
        fc.integer({ min: 0, max: 14 }),
        uint32,
        uint32,
        (mss, scale, value, echo) => {
          const view = viewOf(24);
          let at = options.writeMss(view, 0, mss);
          at = options.writeSackPermittedTimestamps(view, at, value, echo);
          at = options.writeWindowScale(view, at, scale);
          at = options.writeSackPermitted(view, at);
          expect(at).toBe(24);
          const into = new options.Options();
          options.readOptions(view, 0, at, into);
          expect(into).toMatchObject({
            mss,
            windowScale: scale,
            sackPermitted: true,
            hasTimestamps: true,
            timestampValue: value,
            timestampEcho: echo,
            sackBlocks: 0,
          });
        },
      ),
    );
  });

  test('timestamps and SACK blocks', () => {
    fc.assert(
      fc.property(
        uint32,
        uint32,
        fc
          .integer({ min: 1, max: 3 })
          .chain((blocks) => fc.array(uint32, { minLength: 2 * blocks, maxLength: 2 * blocks })),
        (value, echo, edges) => {
          const view = viewOf(40);
          let at = options.writeTimestamps(view, 0, value, echo);
          at = options.writeSack(view, at, Uint32Array.from(edges), edges.length / 2);
          expect(at).toBe(12 + 4 + 4 * edges.length);
          const into = new options.Options();
          options.readOptions(view, 0, at, into);
          expect(into).toMatchObject({
            hasTimestamps: true,
            timestampValue: value,
            timestampEcho: echo,
          });
          expect(into.sackBlocks).toBe(edges.length / 2);
          expect([...into.sackEdges.subarray(0, edges.length)]).toEqual(edges);
        },
      ),
    );
  });

  test('four blocks, when nothing else is there', () => {
    const view = viewOf(36);
    const edges = Uint32Array.from({ length: 8 }, (_, index) => 0xffff_fffc + index);
    expect(options.writeSack(view, 0, edges, 4)).toBe(36);
    const into = new options.Options();
    options.readOptions(view, 0, 36, into);
    expect(into.sackBlocks).toBe(4);
    expect([...into.sackEdges]).toEqual([...edges]);
  });
});

describe('what a reader meets', () => {
  test('nothing', () => {
    expect(read([])).toMatchObject(NOTHING);
  });

  test('the usual segment, and the same timestamps at any other place', () => {
    const timestamps = [8, 10, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
    const expected = {
      ...NOTHING,
      hasTimestamps: true,
      timestampValue: 1,
      timestampEcho: 0xffff_ffff,
    };
    expect(read([1, 1, ...timestamps])).toMatchObject(expected);
    expect(read([1, ...timestamps, 1])).toMatchObject(expected);
    expect(read([...timestamps, 0, 0])).toMatchObject(expected);
  });

  test('an unknown option is skipped by its length', () => {
    expect(read([254, 4, 2, 4, 2, 4, 5, 0xb4])).toMatchObject({ ...NOTHING, mss: 1_460 });
  });

  test('what follows the end does not count', () => {
    expect(read([0, 2, 4, 5, 0xb4])).toMatchObject(NOTHING);
  });

  test.each([
    { what: 'a length of 0', bytes: [4, 2, 254, 0, 2, 4, 5, 0xb4] },
    { what: 'a length of 1', bytes: [4, 2, 254, 1, 2, 4, 5, 0xb4] },
    { what: 'a length beyond the header', bytes: [4, 2, 254, 40, 2, 4, 5, 0xb4] },
    { what: 'no length at all', bytes: [4, 2, 254] },
  ])('$what ends the reading; what stood before counts', ({ bytes }) => {
    expect(read(bytes)).toMatchObject({ ...NOTHING, sackPermitted: true });
  });

  test.each([
    { what: 'an MSS', bytes: [2, 3, 5, 1] },
    { what: 'a window scale', bytes: [3, 4, 7, 1] },
    { what: 'SACK permitted', bytes: [4, 3, 1, 1] },
    { what: 'timestamps', bytes: [8, 8, 1, 2, 3, 4, 5, 6] },
    { what: 'SACK blocks', bytes: [5, 9, 1, 2, 3, 4, 5, 6, 7] },
    { what: 'SACK without blocks', bytes: [5, 2] },
  ])('$what of a wrong length does not count', ({ bytes }) => {
    expect(read(bytes)).toMatchObject(NOTHING);
  });

  test('a scale above 14 is taken for 14 (RFC 7323, section 2.3)', () => {
    expect(read([3, 3, 15])).toMatchObject({ windowScale: 14 });
    expect(read([3, 3, 255])).toMatchObject({ windowScale: 14 });
  });

  test('total, and within the ranges it promises', () => {
    const into = new options.Options();
    fc.assert(
      fc.property(anyPart(60), ({ view, at, end }) => {
        options.readOptions(view, at, end, into);
        expect(into.mss).toBeLessThanOrEqual(0xffff);
        expect(into.windowScale).toBeGreaterThanOrEqual(-1);
        expect(into.windowScale).toBeLessThanOrEqual(14);
        expect(into.sackBlocks).toBeLessThanOrEqual(options.MAX_SACK_BLOCKS);
      }),
      { numRuns: 2_000 },
    );
  });

  test('total on bytes that look like options', () => {
    const into = new options.Options();
    const piece = fc.tuple(
      fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 254),
      fc.integer({ min: 0, max: 40 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 15 }), fc.nat(40), (pieces, cut) => {
        const bytes = pieces.flat();
        const end = Math.min(cut, bytes.length);
        options.readOptions(new DataView(Uint8Array.from(bytes).buffer), 0, end, into);
        expect(into.sackBlocks).toBeLessThanOrEqual(options.MAX_SACK_BLOCKS);
      }),
    );
  });
});
