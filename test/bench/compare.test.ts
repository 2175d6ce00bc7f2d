import { expect, test } from 'vitest';
import { compareResults, describeComparison } from '../../bench/harness/compare.ts';
import { result, series } from './results.ts';

const LOW = [10, 10.1, 9.9, 10.2, 9.8];
const HIGH = [20, 20.1, 19.9, 20.2, 19.8];

const verdicts = (before: number[], after: number[], better: 'higher' | 'lower'): string[] =>
  compareResults(
    result([series('bulk', 'one', 'suture-1', before, { better })]),
    result([series('bulk', 'one', 'suture-1', after, { better })]),
  ).figures.map(({ verdict }) => verdict);

test('more is better or worse, as the metric has it', () => {
  expect(verdicts(LOW, HIGH, 'higher')).toEqual(['better']);
  expect(verdicts(LOW, HIGH, 'lower')).toEqual(['worse']);
  expect(verdicts(HIGH, LOW, 'higher')).toEqual(['worse']);
  expect(verdicts(LOW, LOW.toReversed(), 'higher')).toEqual(['same']);
  expect(verdicts(LOW.slice(2), HIGH.slice(2), 'higher')).toEqual(['too few samples']);
});

test('figures that only one of the two has are named, not compared', () => {
  const { figures, onlyBefore, onlyAfter } = compareResults(
    result([series('bulk', 'one', 'a', LOW), series('bulk', 'one', 'empty', [])]),
    result([series('bulk', 'one', 'b', LOW), series('bulk', 'one', 'empty', LOW)]),
  );
  expect(figures).toEqual([]);
  expect(onlyBefore).toEqual(['bulk / one / a / throughput']);
  expect(onlyAfter).toEqual(['bulk / one / b / throughput', 'bulk / one / empty / throughput']);
});

test('runs on different machines, and quick ones, are warned of', () => {
  const one = result([]);
  const other = result([], {
    machine: { ...one.machine, kernel: '7.0' },
    effort: { ...one.effort, quick: true },
  });
  const { warnings } = compareResults(one, other);
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toContain('kernel');
});

test('the text has a line a figure, and the sums', () => {
  const text = describeComparison(
    compareResults(
      result([series('bulk', 'one', 'suture-1', LOW)]),
      result([series('bulk', 'one', 'suture-1', HIGH)]),
    ),
  );
  expect(text).toContain(
    'bulk / one / suture-1 / throughput  10 -> 20 Gbit/s  +100.0 %  better (p',
  );
  expect(text).toContain('1 better, 0 worse, 0 the same');
});
