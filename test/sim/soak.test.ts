// Connections by the hundred over networks that seeds make up; `npm run soak` makes it thousands. A failure names
// its seed, and `SUTURE_SEED=<seed>` runs that one alone.
import { expect, test } from 'vitest';
import { type Account, converse, drawSetting } from './conversation.ts';

/** Milliseconds that a busy machine may need. */
const PATIENCE = 240_000;
const one = process.env.SUTURE_SEED;
const seeds =
  one === undefined ? Array.from({ length: 80 }, (_, index) => index + 1) : [Number(one)];

test(
  'bytes are right, everything ends and nothing is left, whatever the network does',
  () => {
    const accounts: Account[] = [];
    const failures: string[] = [];
    for (const seed of seeds) {
      try {
        accounts.push(converse(seed, drawSetting(seed, seed % 2 === 0 ? 6 : 4)));
      } catch (error) {
        failures.push(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    expect(failures).toEqual([]);
    if (one !== undefined) return;
    const sum = (key: keyof Account): number =>
      accounts.reduce((total, account) => total + account[key], 0);
    // The runs were worth something: everything that they are to stand has happened.
    expect(sum('connections')).toBeGreaterThan(400);
    expect(sum('lost')).toBeGreaterThan(1_000);
    expect(sum('corrupted')).toBeGreaterThan(100);
    expect(sum('refused')).toBeGreaterThan(100);
    expect(sum('broken')).toBeGreaterThan(10);
  },
  PATIENCE,
);
