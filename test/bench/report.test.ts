import { expect, test } from 'vitest';
import { standings } from '../../bench/harness/ahead.ts';
import { makeReport } from '../../bench/harness/report.ts';
import { SUITES } from '../../bench/suites/suites.ts';
import { result, series } from './results.ts';

const ONE = '1 connection, to the client';
const bulk = [
  series('bulk', ONE, 'haproxy-tcp', [10, 10, 10]),
  series('bulk', ONE, 'suture-1', [24, 25, 26]),
];

test('targets are held against the figures there are, and only those', () => {
  expect(standings([])).toEqual([]);
  const [standing, ...others] = standings(bulk);
  expect(others).toEqual([]);
  expect(standing).toMatchObject({
    figure: 'bulk, one connection, to the client',
    target: 'at least 2 x haproxy-tcp',
    ours: 25,
    theirs: 10,
    reached: true,
  });
  expect(standing.value.median).toBe(2.5);
  const worse = standings([bulk[0], series('bulk', ONE, 'suture-1', [19])]);
  expect(worse[0].reached).toBe(false);
});

test('the document shows medians, intervals, ratios and targets; plots are SVG', () => {
  const { markdown, plots } = makeReport([result(bulk)], SUITES, 'benchmarks');
  expect(markdown).toContain('| suture-1 | 25 [24, 26] | 2.50 |');
  expect(markdown).toContain(
    '| bulk, one connection, to the client | at least 2 x haproxy-tcp | 25 to 10 Gbit/s | 2.50 [2.4, 2.6] | yes |',
  );
  expect(markdown).toContain('![bulk: throughput](benchmarks/bulk-throughput.svg)');
  expect(markdown).not.toContain('## rate');
  expect([...plots.keys()]).toEqual(['bulk-throughput.svg']);
  const svg = plots.get('bulk-throughput.svg') ?? '';
  expect(svg).toMatch(/^<svg /);
  for (const word of ['suture-1', 'haproxy-tcp', 'Gbit/s']) expect(svg).toContain(word);
});

test('of each suite the newest result counts', () => {
  const old = result([...bulk, series('rate', 'x', 'direct', [5])]);
  const fresh = result([series('bulk', ONE, 'suture-1', [30])], {
    startedAt: '2026-02-02T03:04:05.678Z',
  });
  const { markdown } = makeReport([old, fresh], SUITES, 'benchmarks');
  expect(markdown).toContain('| suture-1 | 30 (1 sample) |');
  expect(markdown).not.toContain('haproxy-tcp | 10');
  expect(markdown).toContain('## rate');
});

test('cases with other contestants have a picture of their own', () => {
  const http = series('bulk', 'by HTTP', 'haproxy-http', [5]);
  const { plots } = makeReport([result([...bulk, http])], SUITES, 'benchmarks');
  expect([...plots.keys()]).toEqual(['bulk-throughput.svg', 'bulk-throughput-2.svg']);
});

test('many samples are shown one and all', () => {
  const gaps = Array.from({ length: 30 }, (_, index) => index);
  const failover = series('bulk', 'kill', 'suture', gaps, { metric: 'gap', unit: 'ms' });
  const { plots } = makeReport([result([failover])], SUITES, 'benchmarks');
  expect(plots.get('bulk-gap.svg')).toContain('percent of all');
});

test('what failed is told', () => {
  const failures = [{ suite: 'bulk', case: ONE, contestant: 'nginx-stream', message: 'no answer' }];
  const { markdown } = makeReport([result(bulk, { failures })], SUITES, 'benchmarks');
  expect(markdown).toContain('1 turns failed: nginx-stream: no answer.');
});
