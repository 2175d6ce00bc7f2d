import { expect, test } from 'vitest';
import { quantiles, Story } from './result.ts';

test('of each harm counts the longest silence that began until shortly after it', () => {
  const story = new Story();
  const silence = (from: number, to: number) =>
    story.silences.push({ type: 'silence', kind: 'x', from, to });
  story.deeds.push({ at: 1_000, member: 'a', verb: 'kill', harm: 'kill' });
  story.deeds.push({ at: 1_500, member: 'a', verb: 'restart' });
  story.deeds.push({ at: 9_000, member: 'b', verb: 'pause', harm: 'pause' });
  silence(0, 999);
  silence(990, 1_250);
  silence(1_010, 1_300);
  silence(1_401, 8_999);
  expect(story.gaps).toEqual([290, 0]);
  expect(quantiles(story.gaps)).toEqual({ p50: 290, p99: 290, max: 290 });
  expect(quantiles([])).toBeNull();
});

test('what failed is told with what was done before it', () => {
  const story = new Story();
  const about = { type: 'ended', kind: 'get', requests: 1, bytes: 10 } as const;
  story.deeds.push({ at: 1_000, member: 'b', verb: 'pause', harm: 'pause' });
  story.deeds.push({ at: 6_500, member: 'a', verb: 'kill', harm: 'kill' });
  story.ended({ ...about, from: 6_000, to: 6_100 });
  story.ended({ ...about, from: 6_400, to: 6_700, bytes: 0, fault: 'ECONNRESET' });
  story.ended({ ...about, from: 6_400, to: 6_800, bytes: 0, fault: 'errors', failures: 3 });
  expect(story).toMatchObject({ requests: 1, bytes: 10, failures: 4, kinds: { get: [1, 4] } });
  expect(story.lines(6_000)).toEqual([
    '   0.500 s  kill a',
    '   0.700 s  FAILED get, begun at 0.400 s: ECONNRESET',
    '   0.800 s  FAILED get, begun at 0.400 s: errors',
  ]);
});
