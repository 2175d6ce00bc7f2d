/** Amounts of bytes as people write and read them. */

const UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['k', 2 ** 10],
  ['m', 2 ** 20],
  ['g', 2 ** 30],
]);

/**
 * Reads `256MiB`, `256M`, `1.5g` or plain bytes: the units are powers of 1,024.
 * @returns whole bytes, or undefined for what is no size
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,3})?)\s*([kmg]?)(?:i?b)?$/i.exec(text.trim());
  const unit = UNITS.get(match?.[2].toLowerCase() ?? '');
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/** `256 MiB`, `1.5 GiB`. */
export function formatSize(bytes: number): string {
  for (const [unit, name] of [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ] as const) {
    if (bytes >= unit) return `${Number((bytes / unit).toFixed(1))} ${name}`;
  }
  return `${bytes} bytes`;
}

/** `268,435,456` */
export const formatCount = (count: number): string => count.toLocaleString('en-US');
