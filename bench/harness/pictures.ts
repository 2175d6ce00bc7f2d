// What of a suite's figures is drawn together, and how.
import { type Bars, bars, strips } from './plots.ts';
import type { Series } from './result.ts';
import { summarize } from './statistics.ts';
import type { Metric } from './suite.ts';
import { each } from './table.ts';

export interface Picture {
  /** Of the file, without its ending. */
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

/** A case's metrics as they are defined now, by case and name; a result may have others. */
export type MetricOf = (series: Series) => Metric | undefined;

/** @param series those of one suite */
export function picturesOf(series: readonly Series[], metricOf: MetricOf): Picture[] {
  const panels = new Map<string, Series[]>();
  for (const one of series) {
    const how = metricOf(one)?.picture;
    if (how === 'none') continue;
    const key =
      how === 'shared' ? one.case : `${one.metric}\n${one.unit}\n${companions(series, one)}`;
    panels.set(key, [...(panels.get(key) ?? []), one]);
  }
  const names = new Set<string>();
  return [...panels.values()].map((panel) => {
    const [first] = panel;
    const isShared = metricOf(first)?.picture === 'shared';
    const what = isShared ? first.case : first.metric;
    const cases = casesOf(panel);
    const title = `${first.suite}: ${what}${cases.length === 1 && !isShared ? `, ${cases[0]}` : ''}`;
    const svg = isShared ? stripsOf(title, panel) : bars(barsOf(title, panel));
    const name = unused(names, `${first.suite} ${what}`.replaceAll(/[^A-Za-z0-9]+/g, '-'));
    return { name, title, svg };
  });
}

/** Who else is in the case of a series: cases with the same contestants are drawn together. */
const companions = (all: readonly Series[], one: Series): string =>
  all
    .filter((other) => other.case === one.case && other.metric === one.metric)
    .map(({ contestant }) => contestant)
    .join();

function unused(names: Set<string>, wanted: string): string {
  let name = wanted;
  for (let number = 2; names.has(name); number++) name = `${wanted}-${number}`;
  names.add(name);
  return name;
}

const casesOf = (series: readonly Series[]): string[] => [
  ...new Set(series.map(({ case: what }) => what)),
];

function barsOf(title: string, series: readonly Series[]): Bars {
  const groups = each(series, 'contestant');
  return {
    ...{ title, unit: series[0].unit, groups },
    series: casesOf(series).map((what) => ({
      name: what,
      points: groups.map((contestant) => {
        const found = series.find((one) => one.case === what && one.contestant === contestant);
        if (found === undefined) return undefined;
        const { median, interval } = summarize(found.samples);
        return interval === undefined ? { value: median } : { value: median, interval };
      }),
    })),
  };
}

function stripsOf(title: string, series: readonly Series[]): string {
  const groups = each(series, 'metric');
  return strips({
    ...{ title, unit: series[0].unit, groups },
    series: each(series, 'contestant').map((contestant) => ({
      name: contestant,
      samples: groups.map(
        (metric) =>
          series.find((one) => one.metric === metric && one.contestant === contestant)?.samples ??
          [],
      ),
    })),
  });
}
