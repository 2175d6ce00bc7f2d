/** When in the download the proxy is hit. */
import type { Random } from '../env/random.ts';

/** After a part of the file (0 to below 1), or milliseconds after curl's start. */
export type Moment = { readonly fraction: number } | { readonly ms: number };

/** Milliseconds in a minute: later than this no download of the demo still runs. */
const LATEST_MS = 60_000;

/** Reads `40%`, `1.5s` or `800ms`; undefined for anything else. */
export function parseMoment(text: string): Moment | undefined {
  const match = /^(\d{1,6}(?:\.\d{1,3})?)\s*(%|s|ms)$/.exec(text.trim());
  if (match === null) return undefined;
  const number = Number(match[1]);
  if (match[2] === '%') return number < 100 ? { fraction: number / 100 } : undefined;
  const ms = match[2] === 's' ? number * 1000 : number;
  return ms <= LATEST_MS ? { ms } : undefined;
}

/** Somewhere in the middle: from 30 to 60 % of the file. */
export function someMoment(random: Random): Moment {
  return { fraction: 0.3 + (0.3 * random.uint32()) / 0x1_0000_0000 };
}
