import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import type * as main from '../../bench/harness/main.ts';
import { writeResult } from '../../bench/harness/result.ts';
import { SUITES } from '../../bench/suites/suites.ts';
import type { BenchHarness } from '../../src/cli/bench.ts';
import { run } from '../../src/cli/program.ts';
import type { Outcome } from '../../src/lab/run.ts';
import { result, series } from './results.ts';

/** The command line knows the harness by this interface alone. */
const isHarness = (module: typeof main): BenchHarness => module;

const folder = mkdtempSync(join(tmpdir(), 'suture-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `suture bench` within this process, since starting another takes longer than all else here. */
async function bench(...argv: string[]): Promise<Outcome> {
  const said = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      said[stream] += String(text);
      return true;
    }),
  );
  try {
    const code = await run(['bench', ...argv]);
    return { code, ...said };
  } finally {
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
  }
}

test('the harness is what the command line takes it for', async () => {
  const harness = isHarness(await import('../../bench/harness/main.ts'));
  expect(Object.keys(harness)).toEqual(
    expect.arrayContaining(['list', 'run', 'compare', 'report']),
  );
});

test('list names every suite and contestant, and how long they take', async () => {
  const { code, stdout } = await bench('list');
  expect(code).toBe(0);
  for (const { name } of SUITES) expect(stdout).toContain(`  ${name} `);
  for (const name of ['haproxy-splice', 'tap-loop', 'suture-3', 'suture-relay', '--quick']) {
    expect(stdout).toContain(name);
  }
});

test('every suite can say what it would do, in both efforts', () => {
  for (const quick of [false, true]) {
    for (const suite of SUITES) {
      const cases = suite.cases({ repeat: 1, seconds: 1, quick });
      expect(cases.length, suite.name).toBeGreaterThan(0);
      expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
      for (const { contestants, metrics } of cases) {
        expect(contestants.length * metrics.length, suite.name).toBeGreaterThan(0);
      }
    }
  }
});

test.each<[readonly string[], string]>([
  [['run', 'bluk'], 'suture bench run: there is no suite bluk; did you mean bulk? (suites: '],
  [
    ['run', 'bulk', '--only', 'blk'],
    "suture bench run: none of the suites has a case with 'blk' in its name\n",
  ],
  [['run', '--repeat', '0'], "suture bench run: option '--repeat <n>' argument '0' is invalid."],
  [['run', '--seconds', 'x'], "suture bench run: option '--seconds <n>' argument 'x' is invalid."],
  [['compare', 'a.json'], "suture bench compare: missing required argument 'b'"],
  [['compare', 'a.json', 'b.json'], 'suture bench compare: a.json: no such file\n'],
  [['report', 'none.json'], 'suture bench report: none.json: no such file\n'],
])('a mistake is one line and exit code 2: %s', async (argv, line) => {
  const { code, stdout, stderr } = await bench(...argv);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr.startsWith(line), stderr).toBe(true);
  expect(stderr.trimEnd()).not.toContain('\n');
});

test('compare ends with 1 when something got worse', async () => {
  const [good, bad] = ['good.json', 'bad.json'].map((name) => join(folder, name));
  writeResult(good, result([series('bulk', 'one', 'suture-1', [20, 21, 22, 23, 24])]));
  writeResult(bad, result([series('bulk', 'one', 'suture-1', [10, 11, 12, 13, 14])]));
  expect((await bench('compare', good, bad)).code).toBe(1);
  const { code, stdout } = await bench('compare', bad, good, '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout).figures[0].verdict).toBe('better');
});

test('report writes where it is told to, and touches nothing else there', async () => {
  const file = join(folder, 'result.json');
  writeResult(file, result([series('bulk', 'one', 'direct', [1, 2, 3])]));
  writeFileSync(join(folder, 'other.svg'), 'mine');
  const { code } = await bench('report', file, '--out', join(folder, 'figures.md'));
  expect(code).toBe(0);
  expect(readFileSync(join(folder, 'figures.md'), 'utf8')).toContain('figures/bulk-throughput.svg');
  expect(readFileSync(join(folder, 'figures/bulk-throughput.svg'), 'utf8')).toContain('<svg');
  expect(readFileSync(join(folder, 'other.svg'), 'utf8')).toBe('mine');
});
