import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { allocateHuge } from '../../src/sys/huge-pages.ts';
import { addressOf } from '../../src/sys/libc.ts';

const HUGE_PAGE = 2 ** 21;
const hasHugePages = existsSync('/sys/kernel/mm/transparent_hugepage/enabled');
if (!hasHugePages) console.warn('skipped: huge pages: the kernel has none that are transparent');

/** What the kernel was told about the mapping that holds an address (proc(5), VmFlags of smaps). */
function flagsOf(address: number): string {
  let isIt = false;
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range) {
      isIt = Number.parseInt(range[1], 16) <= address && address < Number.parseInt(range[2], 16);
    } else if (isIt && line.startsWith('VmFlags:')) return line;
  }
  throw new Error(`nothing is mapped at ${address}`);
}

test.skipIf(!hasHugePages)('large memory is zeroed, and the kernel may use huge pages', () => {
  const bytes = new Uint8Array(allocateHuge(4 * HUGE_PAGE));
  expect(bytes.length).toBe(4 * HUGE_PAGE);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  expect(flagsOf(addressOf(bytes) + 2 * HUGE_PAGE)).toMatch(/ hg( |$)/);
});

test('small memory is ordinary', () => {
  expect(allocateHuge(4_096).byteLength).toBe(4_096);
});
