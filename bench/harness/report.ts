// Results as a document: docs/benchmarks.md and its plots.
import { CONTESTANTS } from '../contestants/contestants.ts';
import { standings } from './ahead.ts';
import { type Bars, bars, curves, distribution } from './plots.ts';
import type { Result, Series } from './result.ts';
import { summarize } from './statistics.ts';
import type { Suite } from './suite.ts';
import { figure, intervalOf, PEER, peerOf } from './table.ts';

export interface Report {
  readonly markdown: string;
  /** By file name: SVG. */
  readonly plots: ReadonlyMap<string, string>;
}

/** A suite's newest result. */
interface Source {
  readonly suite: Suite;
  readonly result: Result;
  readonly series: readonly Series[];
}

/**
 * @param results oldest first; of each suite the newest that has it is shown
 * @param folder where the plots are, as seen from the document
 */
export function makeReport(
  results: readonly Result[],
  suites: readonly Suite[],
  folder: string,
): Report {
  const sources = suites.flatMap((suite) => sourceOf(suite, results));
  const plots = new Map<string, string>();
  const sections = sources.map((source) => section(source, plots, folder));
  const all = sources.flatMap(({ series }) => series);
  const markdown = [
    '# Benchmarks',
    '',
    'Written by `suture bench report` from the files in `bench/results/`; do not edit.',
    '',
    ...machineSection(sources),
    ...cannotShow(sources),
    ...aheadSection(all),
    ...contestantSection(all),
    ...sections.flat(),
  ].join('\n');
  return { markdown, plots };
}

function sourceOf(suite: Suite, results: readonly Result[]): Source[] {
  for (const result of results.toReversed()) {
    const series = result.series.filter(
      (each) => each.suite === suite.name && each.samples.length > 0,
    );
    if (series.length > 0) return [{ suite, result, series }];
  }
  return [];
}

function machineSection(sources: readonly Source[]): string[] {
  const runs = [...new Set(sources.map(({ result }) => result))];
  const rows = runs.map(({ startedAt, machine, effort, command, versions }) => {
    const names = sources
      .filter(({ result }) => result.startedAt === startedAt)
      .map(({ suite }) => suite.name);
    const { processor, processors, kernel, scheduling, load } = machine;
    return `| ${startedAt.slice(0, 16).replace('T', ' ')} | ${names.join(', ')} | ${processors} x ${processor}, Linux ${kernel} | ${scheduling}; load ${load.before} before, ${load.after} after | ${versions.suture}, Node ${versions.node} | \`${command}\`, ${effort.repeat} rounds of ${effort.seconds} s |`;
  });
  const programs = Object.entries(runs.at(-1)?.versions ?? {})
    .filter(([name]) => name !== 'suture' && name !== 'node')
    .map(([, version]) => version.replace(/ - https?:.*| \(cJSON.*| \[epoll\].*/, ''));
  return [
    '## What was measured, and on what',
    '',
    '| when (UTC) | suites | machine | scheduling | Suture | how |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    `Beside it: ${programs.join('; ')}.`,
    '',
    'Figures are medians over the rounds; in brackets the interval in which the median lies with 95 % confidence (bootstrap). The ' +
      'contestants of a case play by turns within one run, after a round that only warms up, so that whatever else the ' +
      'machine does befalls them all. Every sample and every command line is in the result file.',
    '',
  ];
}

function cannotShow(sources: readonly Source[]): string[] {
  const processors = Math.min(...sources.map(({ result }) => result.machine.processors));
  return [
    '## What this machine cannot show',
    '',
    `- It has ${Number.isFinite(processors) ? processors : 'few'} processors for everyone: client, proxy, its peers, server, and the kernel's work for all of them. ` +
      'A figure is the throughput of the whole chain, not of the proxy alone; a proxy that takes less leaves more to ' +
      'the two ends. Peers that would have machines of their own take from the serving member here.',
    '- The network is a bridge and veth pairs in memory: no cable, no interrupt of a network card, no hardware offload. ' +
      'Segmentation offload lets trains of 64 KiB pass as one packet, for all contestants.',
    '- Latencies are those of a scheduler with more runnable programs than processors; tails above a few milliseconds are its own.',
    '- Other work on the machine disturbs the figures. Where the scheduling says `SCHED_RR`, all contestants ran with real-time priority.',
    '',
  ];
}

function aheadSection(series: readonly Series[]): string[] {
  const rows = standings(series).map(
    ({ figure: what, target, unit, ours, theirs, value, reached }) => {
      const measured =
        theirs === undefined
          ? `${figure(ours)} ${unit}`
          : `${figure(ours)} to ${figure(theirs)} ${unit}`;
      const ratio = theirs === undefined ? '' : `${value.median.toFixed(2)} ${intervalOf(value)}`;
      return `| ${what} | ${target} | ${measured} | ${ratio} | ${reached ? 'yes' : '**no**'} |`;
    },
  );
  if (rows.length === 0) return [];
  return [
    '## Where we want to be',
    '',
    'Ours is the TCP service with replication to one peer, if nothing else is said.',
    '',
    '| figure | target | measured | ratio | reached |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function contestantSection(series: readonly Series[]): string[] {
  const playing = new Set(series.map(({ contestant }) => contestant));
  const rows = CONTESTANTS.filter(({ name }) => playing.has(name)).map(
    ({ name, summary }) => `| ${name} | ${summary} |`,
  );
  if (rows.length === 0) return [];
  return [
    '## Contestants',
    '',
    'Their configurations, with the reason for each setting, are in [bench/contestants](../bench/contestants).',
    '',
    '| name | what it is |',
    '|---|---|',
    ...rows,
    '',
  ];
}

function section(
  { suite, series, result }: Source,
  plots: Map<string, string>,
  folder: string,
): string[] {
  const pictures = panelsOf(series).map((panel, index, all) => {
    const [{ metric }] = panel;
    const name = `${suite.name} ${metric}`.replaceAll(/[^A-Za-z0-9]+/g, '-');
    const before = all.slice(0, index).filter(([each]) => each.metric === metric).length;
    const file = `${name}${before === 0 ? '' : `-${before + 1}`}.svg`;
    plots.set(file, pictureOf(suite.name, metric, panel));
    return `![${suite.name}: ${metric}](${folder}/${file})`;
  });
  const failures = result.failures.filter((failure) => failure.suite === suite.name);
  return [
    `## ${suite.name}`,
    '',
    `*${suite.summary}.* ${suite.explanation}`,
    '',
    ...pictures,
    '',
    ...casesOf(series).flatMap((what) => tableOf(series.filter((each) => each.case === what))),
    ...(failures.length === 0
      ? []
      : [
          `${failures.length} turns failed: ${[...new Set(failures.map(({ contestant, message }) => `${contestant}: ${message}`))].join('; ')}.`,
          '',
        ]),
  ];
}

/** What goes into one picture: a metric of the cases that have the same contestants. */
function panelsOf(series: readonly Series[]): Series[][] {
  const panels = new Map<string, Series[]>();
  for (const what of casesOf(series)) {
    const own = series.filter((each) => each.case === what);
    for (const metric of new Set(own.map((each) => each.metric))) {
      const shown = own.filter((each) => each.metric === metric);
      const key = [metric, ...shown.map(({ contestant }) => contestant)].join();
      panels.set(key, [...(panels.get(key) ?? []), ...shown]);
    }
  }
  return [...panels.values()];
}

const casesOf = (series: readonly Series[]): string[] => [
  ...new Set(series.map(({ case: what }) => what)),
];

/** One case: a row a contestant, its metrics side by side. */
function tableOf(series: readonly Series[]): string[] {
  const metrics = [...new Set(series.map(({ metric }) => metric))];
  const contestants = [...new Set(series.map(({ contestant }) => contestant))];
  const peer = series.some(({ contestant }) => contestant === PEER);
  const heading = metrics.map((metric) => {
    const unit = series.find((each) => each.metric === metric)?.unit ?? '';
    return `${metric}, ${unit}${peer ? ` | x ${PEER}` : ''}`;
  });
  const rows = contestants.map((contestant) => {
    const cells = metrics.map((metric) => {
      const each = series.find((one) => one.contestant === contestant && one.metric === metric);
      return each === undefined ? (peer ? ' | ' : '') : cellOf(each, series, peer);
    });
    return `| ${contestant} | ${cells.join(' | ')} |`;
  });
  const columns = 1 + metrics.length * (peer ? 2 : 1);
  return [
    `**${series[0].case}**`,
    '',
    `| | ${heading.join(' | ')} |`,
    `|${'---|'.repeat(columns)}`,
    ...rows,
    '',
  ];
}

function cellOf(series: Series, all: readonly Series[], withPeer: boolean): string {
  const summary = summarize(series.samples);
  const shown = `${figure(summary.median)} ${intervalOf(summary)}`;
  if (!withPeer) return shown;
  const peer = peerOf(all, series);
  const ratio =
    peer === undefined ? '' : (summary.median / summarize(peer.samples).median).toFixed(2);
  return `${shown} | ${ratio}`;
}

/** From so many samples on, all of them are shown instead of their median. */
const MANY = 20;

function pictureOf(suite: string, metric: string, series: readonly Series[]): string {
  const { unit } = series[0];
  const cases = casesOf(series);
  const title = `${suite}: ${metric}${cases.length === 1 ? `, ${cases[0]}` : ''}`;
  if (series.every(({ samples }) => samples.length >= MANY)) {
    return curves({
      ...{ title, x: unit, y: 'percent of all' },
      series: series.map(({ case: what, contestant, samples }) => ({
        name: `${contestant}, ${what}`,
        points: distribution(samples),
        steps: true,
      })),
    });
  }
  return bars(barsOf(title, unit, series));
}

function barsOf(title: string, unit: string, series: readonly Series[]): Bars {
  const groups = [...new Set(series.map(({ contestant }) => contestant))];
  return {
    ...{ title, unit, groups },
    series: casesOf(series).map((what) => ({
      name: what,
      points: groups.map((contestant) => {
        const each = series.find((one) => one.case === what && one.contestant === contestant);
        if (each === undefined) return undefined;
        const { median, interval } = summarize(each.samples);
        return interval === undefined ? { value: median } : { value: median, interval };
      }),
    })),
  };
}
