/** How the demo's texts say things. */
import type { How } from './verdict.ts';

/** What is done to the proxy: in a title, as it happens, and as a mark. */
export const DEEDS: Readonly<
  Record<How, { readonly title: string; readonly done: string; readonly mark: string }>
> = {
  kill: { title: 'kill -9 of its proxy', done: 'is killed (SIGKILL)', mark: 'kill -9' },
  pause: { title: 'its proxy being frozen', done: 'is frozen (SIGSTOP)', mark: 'SIGSTOP' },
  'link-down': {
    title: 'its proxy being unplugged',
    done: 'is unplugged from the network',
    mark: 'unplugged',
  },
};

/** Characters of a SHA-256 that people are shown. */
export const DIGEST_SHOWN = 16;

/** Throughput is shown per so many milliseconds. */
export const SPAN_MS = 100;

/** ` 2.05 s` */
export const seconds = (milliseconds: number): string =>
  `${(milliseconds / 1000).toFixed(2)} s`.padStart(7);

/** `51 ms`, `0.4 ms` */
export const span = (milliseconds: number): string =>
  `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;

/** ` 42 %`, never rounded up. */
export const percentage = (fraction: number): string =>
  `${Math.floor(100 * Math.min(fraction, 1))} %`.padStart(5);

/** `  53.7 MB/s`, from bytes per millisecond. */
export const rate = (bytesPerMs: number): string =>
  `${(bytesPerMs / 1000).toFixed(1)} MB/s`.padStart(10);

/** `1 reset`, `2 resets` */
export const count = (number: number, noun: string): string =>
  `${number} ${noun}${number === 1 ? '' : 's'}`;

/** Rounded to a tenth: what a figure in milliseconds is good for. */
export const tenths = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;
