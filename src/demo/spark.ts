/** A throughput over time in one line of text. */

const LEVELS = '▁▂▃▄▅▆▇█';

/**
 * One character a value, the higher the larger; the lowest is for nothing at all.
 * @param full the value that fills a character; larger ones do too
 */
export function spark(values: readonly number[], full: number): string {
  return values
    .map((value) => {
      if (value <= 0) return LEVELS[0];
      const level = Math.ceil((value / full) * (LEVELS.length - 1));
      return LEVELS[Math.min(Math.max(level, 1), LEVELS.length - 1)];
    })
    .join('');
}

/** `filled` of `width` characters of a bar. */
export function bar(fraction: number, width: number): string {
  const filled = Math.round(Math.min(Math.max(fraction, 0), 1) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}
