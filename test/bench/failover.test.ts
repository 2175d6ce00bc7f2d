import { expect, test } from 'vitest';
import type { Watched } from '../../bench/load/stream.ts';
import { samplesOf } from '../../bench/suites/failover.ts';

const stream = (more: Partial<Watched['streams'][number]>): Watched['streams'][number] => ({
  bytes: 1_000_000,
  silences: [],
  lastAt: 4_000,
  ...more,
});

test('the gap is the longest silence that outlasts the failure, of each stream that goes on', () => {
  const silences = [
    { from: 100, to: 900 },
    { from: 990, to: 1_250 },
    { from: 1_300, to: 1_350 },
  ];
  const watched = { streams: [stream({ silences }), stream({})], served: [], endedAt: 4_000 };
  expect(samplesOf(watched, 1_000)).toMatchObject({ gap: [260, 0], 'broken connections': 0 });
});

test('a stream that ended, was reset, or stays silent is broken and has no gap', () => {
  const streams = [
    stream({ broken: 'ECONNRESET' }),
    stream({ broken: 'end' }),
    stream({ lastAt: 1_000 }),
    stream({}),
  ];
  expect(samplesOf({ streams, served: [], endedAt: 4_000 }, 1_000)).toMatchObject({
    gap: [0],
    'broken connections': 75,
  });
});

test('the outage is the longest time without a new connection, also if none comes any more', () => {
  const outage = (served: number[]): unknown =>
    samplesOf({ streams: [stream({})], served, endedAt: 4_000 }, 1_000)[
      'outage for new connections'
    ];
  expect(outage([500, 1_010, 1_400, 1_420, 3_900])).toBe(2_480);
  expect(outage([500, 990])).toBe(3_000);
  expect(outage([500, 1_300, 2_000, 2_700, 3_400])).toBe(700);
});
