import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readResult, writeResult } from '../../bench/harness/result.ts';
import { result, series } from './results.ts';

const folder = mkdtempSync(join(tmpdir(), 'suture-result-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'result.json');

test('a result is read as it was written', () => {
  const written = result([series('bulk', 'one', 'direct', [1, 2, 3])]);
  writeResult(file, written);
  expect(readResult(file)).toEqual(written);
});

test.each<[string, unknown, string]>([
  ['another version', { ...result([]), version: 2 }, 'version: is not 1'],
  ['no series', { ...result([]), series: undefined }, 'series: '],
  [
    'a sample that is no number',
    result([series('bulk', 'one', 'direct', ['fast' as unknown as number])]),
    'series.0.samples.0: ',
  ],
  ['a field that nobody knows', { ...result([]), mood: 'good' }, 'the file: '],
])('a file with %s is refused in one line that says where', (_, content, what) => {
  writeFileSync(file, JSON.stringify(content));
  expect(() => readResult(file)).toThrow(`${file}: ${what}`);
  expect(() => readResult(file)).toThrow(/^[^\n]*$/);
});

test('so are a file that is not there and one that is not JSON', () => {
  expect(() => readResult(join(folder, 'none.json'))).toThrow('none.json: no such file');
  writeFileSync(file, 'not JSON');
  expect(() => readResult(file)).toThrow('not a result file');
});
