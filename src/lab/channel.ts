/** Lines of JSON over a stream: how a lab's owner and its supervisor talk. */
import type { Readable } from 'node:stream';

/** Longest line handed on; the rest of a longer one is dropped. */
const LINE_LIMIT = 64 * 1024;

/** Calls `onLine` for each line of `stream`, without its end. Memory is bounded by `limit` characters. */
export function readLines(
  stream: Readable,
  onLine: (line: string) => void,
  limit: number = LINE_LIMIT,
): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = chunk.split('\n');
    lines[0] = rest + lines[0];
    rest = (lines.pop() ?? '').slice(0, limit);
    for (const line of lines) onLine(line.slice(0, limit));
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}
