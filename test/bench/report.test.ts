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
  expect(markdown).toContain(
    '![bulk: throughput, 1 connection, to the client](benchmarks/bulk-throughput.svg)',
  );
  expect(markdown).not.toContain('## rate');
  expect([...plots.keys()]).toEqual(['bulk-throughput.svg']);
  const svg = plots.get('bulk-throughput.svg') ?? '';
  expect(svg).toMatch(/^<svg /);
  for (const word of ['suture-1', 'haproxy-tcp', 'Gbit/s']) expect(svg).toContain(word);
});

test('of each case the newest result counts', () => {
  const old = result([...bulk, series('rate', 'x', 'direct', [5])]);
  const fresh = result([series('bulk', ONE, 'suture-1', [30])], {
    startedAt: '2026-02-02T03:04:05.678Z',
  });
  const { markdown } = makeReport([old, fresh], SUITES, 'benchmarks');
  expect(markdown).toContain('| suture-1 | 30 (1 sample) |');
  expect(markdown).not.toContain('haproxy-tcp | 10');
  expect(markdown).toContain('## rate');
  expect(markdown).toContain('| bulk | ');
  const eight = result([series('bulk', '8 connections', 'suture-1', [50])], {
    startedAt: '2026-02-02T03:05:05.678Z',
  });
  const both = makeReport([old, fresh, eight], SUITES, 'benchmarks').markdown;
  expect(both).toContain('| suture-1 | 30 (1 sample) |');
  expect(both).toContain('| suture-1 | 50 (1 sample) |');
  expect(both).toContain(`| bulk (${ONE}) | `);
  expect(both).toContain('| bulk (8 connections) | ');
});

test('cases with other contestants have a picture of their own', () => {
  const http = series('bulk', 'by HTTP', 'haproxy-http', [5]);
  const { plots } = makeReport([result([...bulk, http])], SUITES, 'benchmarks');
  expect([...plots.keys()]).toEqual(['bulk-throughput.svg', 'bulk-throughput-2.svg']);
});

test('figures of different units are not drawn on one axis', () => {
  const [gigabyte, connection] = ['s/GB', 'us/connection'].map((unit) =>
    series('cpu', unit, 'suture-1', [5], { metric: 'process', unit }),
  );
  const { plots } = makeReport([result([gigabyte, connection])], SUITES, 'benchmarks');
  expect([...plots.keys()]).toEqual(['cpu-process.svg', 'cpu-process-2.svg']);
});

test('the parts of a gap have a row and a meaning each, and one picture of every sample', () => {
  const kill = (metric: string, contestant: string, samples: number[]) =>
    series('failover', 'kill, light streams', contestant, samples, { metric, unit: 'ms' });
  const metrics = ['gap: requests', 'detection', 'adoption', 'retransmission: requests'];
  const all = metrics.flatMap((metric) => [
    kill(metric, 'suture-1', [20, 30, 40]),
    kill(metric, 'suture-sprayed', [0, 10, 20]),
  ]);
  const resets = series('failover', 'kill, light streams', 'suture-1', [0, 2, 1], {
    ...{ metric: 'resets', unit: 'connections', summed: true },
  });
  const { markdown, plots } = makeReport([result([...all, resets])], SUITES, 'benchmarks');
  expect(markdown).toContain('| | suture-1 | suture-sprayed | what it is |');
  expect(markdown).toContain(
    '| adoption, ms | 30 [20, 40] | 10 [0, 20] | from then until it has announced them |',
  );
  expect(markdown).toContain('| resets, connections | 3 in 3 | - |');
  expect([...plots.keys()]).toEqual(['failover-kill-light-streams.svg']);
  const svg = plots.values().next().value ?? '';
  for (const word of [...metrics, 'suture-sprayed', 'at the left edge']) {
    expect(svg).toContain(word);
  }
});

test('what failed is told', () => {
  const failures = [{ suite: 'bulk', case: ONE, contestant: 'nginx-stream', message: 'no answer' }];
  const { markdown } = makeReport([result(bulk, { failures })], SUITES, 'benchmarks');
  expect(markdown).toContain('1 turns failed: nginx-stream: no answer.');
});
