// Results made up for tests.
import type { Result, Series } from '../../bench/harness/result.ts';

export const series = (
  suite: string,
  what: string,
  contestant: string,
  samples: readonly number[],
  more: Partial<Series> = {},
): Series => ({
  ...{ suite, case: what, contestant, metric: 'throughput', unit: 'Gbit/s', better: 'higher' },
  samples: [...samples],
  ...more,
});

export const result = (all: readonly Series[], more: Partial<Result> = {}): Result => ({
  version: 1,
  startedAt: '2026-01-02T03:04:05.678Z',
  endedAt: '2026-01-02T03:14:05.678Z',
  command: 'suture bench run',
  effort: { repeat: 5, seconds: 2, quick: false },
  machine: {
    ...{
      processor: 'A processor',
      processors: 2,
      memory: 2 ** 34,
      kernel: '6.1',
      architecture: 'x64',
    },
    ...{ scheduling: 'SCHED_OTHER 0', load: { before: 0, after: 1 } },
  },
  versions: { suture: '0.1.0', node: 'v24.0.0', haproxy: 'HAProxy version 2.6' },
  commands: {},
  series: [...all],
  failures: [],
  skipped: [],
  ...more,
});
