import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { writeContent } from '../../src/demo/content.ts';
import { parseMoment, someMoment } from '../../src/demo/moment.ts';
import { formatCount, formatSize, parseSize } from '../../src/demo/size.ts';
import { seededRandom } from '../../src/env/random.ts';

const folder = mkdtempSync(join(tmpdir(), 'suture-demo-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ['1024', 1024],
  ['8k', 8 * 1024],
  ['256MiB', 256 * 2 ** 20],
  ['256 mb', 256 * 2 ** 20],
  ['1.5G', 1.5 * 2 ** 30],
  ['', undefined],
  ['-1', undefined],
  ['1T', undefined],
  ['M', undefined],
  ['1e9', undefined],
  ['12MiBs', undefined],
])('the size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test('sizes as people read them', () => {
  expect([1, 1023, 1024, 256 * 2 ** 20, 1.5 * 2 ** 30].map(formatSize)).toEqual([
    '1 bytes',
    '1023 bytes',
    '1 KiB',
    '256 MiB',
    '1.5 GiB',
  ]);
  expect(formatCount(268_435_456)).toBe('268,435,456');
});

test.each([
  ['40%', { fraction: 0.4 }],
  ['0%', { fraction: 0 }],
  ['99.9 %', { fraction: 0.999 }],
  ['100%', undefined],
  ['2s', { ms: 2000 }],
  ['0.5s', { ms: 500 }],
  ['800ms', { ms: 800 }],
  ['61s', undefined],
  ['2', undefined],
  ['-2s', undefined],
  ['half', undefined],
])('the moment %s', (text, moment) => {
  const parsed = parseMoment(text);
  if (moment === undefined || parsed === undefined) expect(parsed).toBe(moment);
  else
    for (const [key, value] of Object.entries(moment))
      expect(parsed).toEqual({ [key]: expect.closeTo(value) });
});

test('a moment from a seed is in the middle, and the same again', () => {
  for (let seed = 0; seed < 100; seed++) {
    const moment = someMoment(seededRandom(seed));
    expect(moment).toEqual(someMoment(seededRandom(seed)));
    expect('fraction' in moment && moment.fraction).toBeGreaterThanOrEqual(0.3);
    expect('fraction' in moment && moment.fraction).toBeLessThan(0.6);
  }
});

test('content is as long as asked for, repeats with its seed, and its digest is right', async () => {
  const size = 2 * 2 ** 20 + 17;
  const write = (name: string, seed: number) => writeContent(join(folder, name), size, seed);
  const [first, again, other] = [await write('a', 1), await write('b', 1), await write('c', 2)];
  const bytes = readFileSync(join(folder, 'a'));
  expect(bytes.length).toBe(size);
  expect(first).toBe(createHash('sha256').update(bytes).digest('hex'));
  expect(again).toBe(first);
  expect(other).not.toBe(first);
  // No block repeats another.
  expect(bytes.subarray(0, 2 ** 20).equals(bytes.subarray(2 ** 20, 2 ** 21))).toBe(false);
});

test('writing stops when it is told to', async () => {
  const reason = new Error('stop');
  const writing = writeContent(join(folder, 'd'), 2 ** 30, 1, AbortSignal.abort(reason));
  await expect(writing).rejects.toBe(reason);
});
