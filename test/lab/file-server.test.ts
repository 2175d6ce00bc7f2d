import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFileServer, parseRange } from '../../src/lab/file-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'suture-files-'));
const server = createFileServer(join(folder, '.'));
const content = 'abcdefghij';
let base: string;

beforeAll(async () => {
  writeFileSync(join(folder, 'ten'), content);
  writeFileSync(join(folder, 'none'), '');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

test.each([
  [undefined, undefined],
  ['bytes=0-', { start: 0, end: 9 }],
  ['bytes=3-5', { start: 3, end: 5 }],
  ['bytes=3-99', { start: 3, end: 9 }],
  ['bytes=-4', { start: 6, end: 9 }],
  ['bytes=-40', { start: 0, end: 9 }],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=5-3', undefined],
  ['bytes=-', undefined],
  ['bytes=0-1,3-4', undefined],
  ['lines=0-1', undefined],
])('the range %s of ten bytes is %o', (header, range) => {
  expect(parseRange(header, 10)).toEqual(range);
});

test('a file is sent whole, with its length and a tag', async () => {
  const response = await fetch(`${base}/ten?query`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-length')).toBe('10');
  expect(await response.text()).toBe(content);
});

test('a range is sent while the tag is right, all when it is not', async () => {
  const etag = (await fetch(`${base}/ten`)).headers.get('etag') ?? '';
  const range = { range: 'bytes=2-4' };
  const part = await fetch(`${base}/ten`, { headers: { ...range, 'if-range': etag } });
  expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 2-4/10']);
  expect(await part.text()).toBe('cde');
  const whole = await fetch(`${base}/ten`, { headers: { ...range, 'if-range': '"other"' } });
  expect([whole.status, await whole.text()]).toEqual([200, content]);
});

test('HEAD has no body, an empty file is sent, other methods and paths are refused', async () => {
  const head = await fetch(`${base}/ten`, { method: 'HEAD' });
  expect([head.headers.get('content-length'), await head.text()]).toEqual(['10', '']);
  expect(await (await fetch(`${base}/none`)).text()).toBe('');
  expect((await fetch(`${base}/ten`, { method: 'DELETE' })).status).toBe(405);
  expect((await fetch(`${base}/absent`)).status).toBe(404);
  expect((await fetch(`${base}/`)).status).toBe(404);
  expect((await fetch(`${base}/..%2f..%2fetc%2fpasswd`)).status).toBe(404);
  expect((await fetch(`${base}/%zz`)).status).toBe(404);
});
