// A result as text: medians, how sure they are, and each as a share of a peer's.
import type { Result, Series } from './result.ts';
import { ratio, type Summary, summarize } from './statistics.ts';

/** Whom the others are compared with, where it takes part. */
export const PEER = 'haproxy-tcp';

/** A case with more metrics has a row for each of them; others have one for each contestant. */
const FEW = 4;

export function tableOf({ series }: Result): string {
  const cases = [...new Set(series.map(({ suite, case: what }) => `${suite}: ${what}`))];
  return cases
    .map((name) => series.filter(({ suite, case: what }) => `${suite}: ${what}` === name))
    .map((own) => (hasManyMetrics(own) ? byMetric(own) : byContestant(own)))
    .join('\n');
}

/** @param series those of one case */
export const hasManyMetrics = (series: readonly Series[]): boolean =>
  new Set(series.map(({ metric }) => metric)).size > FEW;

/** What differs between them, each once, in their order. */
export const each = <Field extends 'case' | 'metric' | 'contestant'>(
  all: readonly Readonly<Record<Field, string>>[],
  field: Field,
): string[] => [...new Set(all.map((one) => one[field]))];

function byMetric(series: readonly Series[]): string {
  const contestants = each(series, 'contestant');
  const rows = each(series, 'metric').map((metric) => {
    const own = series.filter((one) => one.metric === metric);
    const cells = contestants.map((name) => {
      const found = own.find(({ contestant }) => contestant === name);
      return found === undefined ? '-' : shown(found);
    });
    return [`${metric}, ${own[0].unit}`, ...cells];
  });
  const [{ suite, case: what }] = series;
  return `${suite}: ${what}\n${columns([['', ...contestants], ...rows])}`;
}

function byContestant(series: readonly Series[]): string {
  return each(series, 'metric')
    .map((metric) => {
      const own = series.filter((one) => one.metric === metric);
      const rows = own.map((one) => [one.contestant, shown(one), shareOf(one, peerOf(own, one))]);
      const [{ suite, case: what, unit }] = own;
      return `${suite}: ${what}, ${metric} in ${unit}\n${columns(rows)}`;
    })
    .join('\n');
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] + 2)).join('')}`.trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** The median and how sure it is, or the sum. */
export function shown({ samples, summed }: Series): string {
  if (samples.length === 0) return '-';
  if (summed === true) return `${figure(sum(samples))} in ${samples.length}`;
  const summary = summarize(samples);
  return `${figure(summary.median)} ${intervalOf(summary)}`;
}

const sum = (samples: readonly number[]): number => samples.reduce((a, b) => a + b, 0);

function shareOf(series: Series, peer: Series | undefined): string {
  const isBeside = peer !== undefined && peer !== series && series.samples.length > 0;
  if (!isBeside || peer.samples.length === 0) return '';
  return `${ratio(series.samples, peer.samples).median.toFixed(2)} x ${peer.contestant}`;
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
