import { expect, test } from 'vitest';
import { rehearse } from '../../src/rehearsal/rehearsal.ts';
import { countsText, replayOf, totalOf } from '../../src/rehearsal/series.ts';

/** Milliseconds that a busy machine may need. */
const PATIENCE = 240_000;
const SEEDS = 100;

test(
  'whatever breaks, clients get their bytes, and what must hold holds at every step',
  () => {
    const total = totalOf();
    for (let seed = 1; seed <= SEEDS; seed++) total.add(rehearse(seed));
    expect(total.failed.map(replayOf)).toEqual([]);
    // The runs were worth something: everything that they are to stand has happened.
    for (const kind of ['crash', 'pause', 'unplug', 'drain', 'cut', 'half-cut', 'split', 'noise']) {
      expect(total.faults[kind], countsText(total, 0)).toBeGreaterThan(2);
    }
    // And few of them were excused.
    expect(total.torn + total.unheard).toBeLessThan(total.talks / 10);
  },
  PATIENCE,
);

test('a seed goes the same way to the same step, traced or not', () => {
  const lines: string[] = [];
  const first = rehearse(7);
  const again = rehearse(7, { trace: (line) => lines.push(line) });
  expect(again).toEqual(first);
  expect(lines.length).toBeGreaterThan(100);
  expect(rehearse(8).hash).not.toBe(first.hash);
});
