// A result as text: medians, how sure they are, and each as a share of a peer's.
import type { Result, Series } from './result.ts';
import { type Summary, summarize } from './statistics.ts';

/** Whom the others are compared with, where it takes part. */
export const PEER = 'haproxy-tcp';

export function tableOf({ series }: Result): string {
  const lines: string[] = [];
  let above = '';
  for (const each of series) {
    const heading = `${each.suite}: ${each.case}, ${each.metric} in ${each.unit}`;
    if (heading !== above) lines.push(...(above === '' ? [] : ['']), heading);
    above = heading;
    lines.push(rowOf(each, peerOf(series, each)));
  }
  return `${lines.join('\n')}\n`;
}

function rowOf(series: Series, peer: Series | undefined): string {
  if (series.samples.length === 0) return `  ${series.contestant.padEnd(16)} nothing`;
  const summary = summarize(series.samples);
  const ratio =
    peer === undefined || peer === series || peer.samples.length === 0
      ? ''
      : `  ${(summary.median / summarize(peer.samples).median).toFixed(2)} x ${peer.contestant}`;
  const shown = `${figure(summary.median).padStart(9)} ${intervalOf(summary).padEnd(20)}`;
  return `  ${series.contestant.padEnd(16)}${shown}${ratio}`.trimEnd();
}

/** The same figure of the one whom others are compared with. */
export function peerOf(all: readonly Series[], series: Series): Series | undefined {
  return all.find(
    (other) =>
      other.contestant === PEER &&
      other.suite === series.suite &&
      other.case === series.case &&
      other.metric === series.metric,
  );
}

/** `[1.02, 1.10]`, or how many samples there are where an interval would say nothing. */
export function intervalOf({ interval, count }: Summary): string {
  if (interval === undefined) return count === 1 ? '(1 sample)' : `(${count} samples)`;
  return `[${figure(interval[0])}, ${figure(interval[1])}]`;
}

/** Three or four digits that mean something: `12.4`, `1,234`, `0.0123`. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString('en-US');
  return Number(value.toPrecision(3)).toString();
}
