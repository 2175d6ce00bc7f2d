// Randomness from outside: the machine's for real use, a seeded one for simulations.
import { randomBytes } from 'node:crypto';

export interface Random {
  /** A uniformly distributed unsigned 32-bit integer. */
  uint32(): number;
}

/** Unpredictable numbers from the operating system, fetched in blocks. */
export function systemRandom(): Random {
  const block = 1_024;
  let pool = randomBytes(0);
  let at = 0;
  return {
    uint32() {
      if (at + 4 > pool.length) {
        pool = randomBytes(block);
        at = 0;
      }
      const value = pool.readUInt32LE(at);
      at += 4;
      return value;
    },
  };
}

/** Repeatable numbers from `seed` (the mulberry32 generator). Never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    uint32() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return (mixed ^ (mixed >>> 14)) >>> 0;
    },
  };
}

/** An integer from 0 to `bound - 1`; the bias is below `bound / 2^32`. */
export function below(random: Random, bound: number): number {
  return Math.floor((random.uint32() / 0x1_0000_0000) * bound);
}

/** True with the given probability (0 to 1). */
export function chance(random: Random, probability: number): boolean {
  return random.uint32() < probability * 0x1_0000_0000;
}
