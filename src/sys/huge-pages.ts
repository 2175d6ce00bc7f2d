// Memory in pages of 2 MiB, for tables that are looked up all over.
import { addressOf, MADV_HUGEPAGE, madvise } from './libc.ts';

const HUGE_PAGE = 2 ** 21;

/**
 * Zeroed memory that the kernel may back by huge pages, as far as it is aligned to them (madvise(2),
 * MADV_HUGEPAGE): one entry of the processor's address cache then serves 512 times as much. They still come only when
 * they are first written. A kernel that has none, or none free, gives ordinary pages.
 * @param bytes of the buffer
 */
export function allocateHuge(bytes: number): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes);
  if (bytes < HUGE_PAGE) return buffer;
  const from = addressOf(new Uint8Array(buffer));
  const first = Math.ceil(from / HUGE_PAGE) * HUGE_PAGE;
  const length = Math.floor((from + bytes - first) / HUGE_PAGE) * HUGE_PAGE;
  if (length > 0) madvise(first, length, MADV_HUGEPAGE);
  return buffer;
}
