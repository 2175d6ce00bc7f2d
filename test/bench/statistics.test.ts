import { expect, test } from 'vitest';
import { difference, quantile, ratio, summarize } from '../../bench/harness/statistics.ts';

test('a summary has the median, and an interval around it that narrows with the spread', () => {
  const wide = summarize([1, 5, 9, 13, 17]);
  const narrow = summarize([8.8, 8.9, 9, 9.1, 9.2]);
  expect([wide.median, narrow.median, wide.count]).toEqual([9, 9, 5]);
  const [low, high] = narrow.interval ?? [0, 0];
  expect(low).toBeGreaterThanOrEqual(8.8);
  expect(high).toBeLessThanOrEqual(9.2);
  expect(low).toBeLessThan(9);
  expect(high).toBeGreaterThan(9);
  const [lowest, highest] = wide.interval ?? [0, 0];
  expect(highest - lowest).toBeGreaterThan(high - low);
});

test('the same samples give the same interval every time', () => {
  const samples = [3, 1, 4, 1, 5, 9, 2, 6];
  expect(summarize(samples)).toEqual(summarize(samples));
});

test('two samples have no interval', () => {
  expect(summarize([1, 2])).toEqual({ count: 2, median: 1.5 });
});

test('quantiles do not depend on the order', () => {
  expect(quantile([5, 1, 4, 2, 3], 0.5)).toBe(3);
  expect(quantile([5, 1, 4, 2, 3], 1)).toBe(5);
});

test('a ratio is that of the rounds', () => {
  const found = ratio([20, 2, 22, 18, 4], [10, 1, 10, 10, 1]);
  expect(found).toMatchObject({ count: 5, median: 2 });
  expect(found.interval).toEqual([1.8, 4]);
});

test('or of the medians, if there are not as many of both, or nothing to divide by', () => {
  expect(ratio([20, 20, 20, 2], [10, 10, 10])).toMatchObject({ count: 3, median: 2 });
  expect(ratio([20, 20, 20], [10, 0, 10]).median).toBe(2);
});

test('a ratio of what varies a little', () => {
  const found = ratio([20, 21, 22, 19, 18], [10, 10, 10, 10, 10]);
  expect(found.median).toBe(2);
  expect(found.interval?.[0]).toBeGreaterThan(1.7);
  expect(found.interval?.[1]).toBeLessThan(2.3);
});

test('samples that never overlap differ, and those from one urn do not', () => {
  expect(difference([1, 2, 3, 4, 5], [11, 12, 13, 14, 15]).p).toBeLessThan(0.03);
  expect(difference([1, 5, 2, 4, 3], [3, 1, 5, 2, 4]).p).toBeGreaterThan(0.5);
});

test('too few samples are no proof', () => {
  expect(difference([1, 2, 3], [11, 12, 13])).toEqual({ before: 2, after: 12, ratio: 6 });
});
