import { expect, test } from 'vitest';
import { rehearse } from '../../src/rehearsal/rehearsal.ts';

test('a seed goes the same way to the same step, traced or not', () => {
  const lines: string[] = [];
  const first = rehearse(7);
  const again = rehearse(7, { trace: (line) => lines.push(line) });
  expect(again).toEqual(first);
  expect(lines.length).toBeGreaterThan(100);
  expect(rehearse(8).hash).not.toBe(first.hash);
});
