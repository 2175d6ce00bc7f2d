import { describe, expect, test } from 'vitest';
import { isGoodReset } from '../../src/splice/reset.ts';
import { ACKED, ACKED_KNOWN, NEXT, NEXT_KNOWN, OPEN, STATUS } from '../../src/splice/slot.ts';

const AT = 3;

/** What was seen of a direction: its sender's next number, and what its receiver acknowledged. */
function seen(direction: number, next: number | undefined, acked: number | undefined): Int32Array {
  const words = new Int32Array(AT + 14);
  words[AT + STATUS] = OPEN;
  if (next !== undefined) {
    words[AT + STATUS] |= NEXT_KNOWN << direction;
    words[AT + NEXT + direction] = next;
  }
  if (acked !== undefined) {
    words[AT + STATUS] |= ACKED_KNOWN << direction;
    words[AT + ACKED + direction] = acked;
  }
  return words;
}

describe.each([0, 1])('a reset in direction %i', (direction) => {
  const good = (next: number | undefined, acked: number | undefined, seq: number): boolean =>
    isGoodReset(seen(direction, next, acked), AT, direction, seq >>> 0);

  test('lies between what was acknowledged and what was sent', () => {
    for (const base of [1_000, 0x7fff_fff0, 0xffff_fff0]) {
      expect(good(base + 100, base, base)).toBe(true);
      expect(good(base + 100, base, base + 50)).toBe(true);
      expect(good(base + 100, base, base + 100)).toBe(true);
      expect(good(base + 100, base, base - 1)).toBe(false);
      expect(good(base + 100, base, base + 101)).toBe(false);
    }
  });

  test('where what was sent passed elsewhere, what was acknowledged counts', () => {
    expect(good(undefined, 5_000, 5_000)).toBe(true);
    expect(good(undefined, 5_000, 6_000)).toBe(true);
    expect(good(undefined, 5_000, 4_999)).toBe(false);
    expect(good(1_000, 5_000, 5_000)).toBe(true);
    expect(good(1_000, 5_000, 5_001)).toBe(false);
  });

  test('where nothing is known to be acknowledged only the number that was sent last is believed', () => {
    expect(good(1_000, undefined, 1_000)).toBe(true);
    for (const seq of [0, 999, 1_001]) expect(good(1_000, undefined, seq)).toBe(false);
    for (const seq of [0, 1_000]) expect(good(undefined, undefined, seq)).toBe(false);
  });
});
