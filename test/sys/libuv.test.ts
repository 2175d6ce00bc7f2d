import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import * as libc from '../../src/sys/libc.ts';
import { readiness } from '../../src/sys/libuv.ts';

const LONG = 20_000;
const byte = new Uint8Array(new ArrayBuffer(64));
const write = (fd: number): number => libc.write(fd, libc.addressOf(byte), 1);
const read = (fd: number): number => libc.read(fd, libc.addressOf(byte), 1);

/** A pipe with a name, open for both ends. */
function pipe(): number {
  const folder = mkdtempSync(join(tmpdir(), 'suture-pipe-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  return libc.open(path, libc.O_RDWR | libc.O_NONBLOCK | libc.O_CLOEXEC);
}

test('what can be read ends the wait, again and again', async () => {
  const fd = pipe();
  const wait = readiness(fd);
  for (let round = 0; round < 3; round++) {
    const ready = wait.within(LONG);
    write(fd);
    expect(await ready).toBe(true);
    // It is still there.
    expect(await wait.within(LONG)).toBe(true);
    expect(read(fd)).toBe(1);
    expect(await wait.within(1)).toBe(false);
  }
  wait.close(() => libc.close(fd));
});

test('of two descriptors each ends its own wait', async () => {
  const [first, second] = [pipe(), pipe()];
  const waits = [readiness(first), readiness(second)];
  const ended: string[] = [];
  const both = waits.map(async (wait, index) => {
    const ready = await wait.within(LONG);
    ended.push(`${index} ${ready}`);
    if (index === 1) write(first);
  });
  write(second);
  await Promise.all(both);
  expect(ended).toEqual(['1 true', '0 true']);
  waits.forEach((wait, index) => {
    wait.close(() => libc.close([first, second][index]));
  });
});

test('closing ends the wait, and lets the descriptor go', async () => {
  const fd = pipe();
  const wait = readiness(fd);
  const ready = wait.within(LONG);
  let gone = false;
  wait.close(() => {
    gone = true;
  });
  expect(await ready).toBe(false);
  expect(gone).toBe(true);
  // The number may be given out again, and waited for.
  const again = readiness(fd);
  write(fd);
  expect(await again.within(LONG)).toBe(true);
  again.close(() => libc.close(fd));
});

test('what cannot be waited for is refused', () => {
  const fd = libc.memoryFile('suture-test', 1);
  expect(() => readiness(fd)).toThrow('uv_poll_init');
  libc.close(fd);
});

test('a worker waits, too, and may end at any time', async () => {
  const fd = pipe();
  const module = join(import.meta.dirname, '../../src/sys/libuv.ts');
  const program = `
    const { readiness } = await import(${JSON.stringify(module)});
    const { parentPort, workerData } = await import('node:worker_threads');
    const wait = readiness(workerData);
    parentPort.postMessage(await wait.within(${LONG}));
    await wait.within(${LONG});`;
  const worker = new Worker(`(async () => {${program}})()`, { eval: true, workerData: fd });
  const message = new Promise((resolve) => worker.once('message', resolve));
  write(fd);
  expect(await message).toBe(true);
  read(fd);
  write(fd);
  await worker.terminate();
  libc.close(fd);
});
