// Results as a document: docs/benchmarks.md and its plots.
import { CONTESTANTS } from '../contestants/contestants.ts';
import { standings } from './ahead.ts';
import { isRealTime } from './machine.ts';
import { type MetricOf, picturesOf } from './pictures.ts';
import type { Result, Series } from './result.ts';
import { ratio } from './statistics.ts';
import { DISTURBED } from './stolen.ts';
import type { Suite } from './suite.ts';
import { each, figure, hasManyMetrics, intervalOf, PEER, peerOf, shown } from './table.ts';

export interface Report {
  readonly markdown: string;
  /** By file name: SVG. */
  readonly plots: ReadonlyMap<string, string>;
}

/** The cases of a suite of which one result is the newest that has played them. */
interface Source {
  readonly suite: Suite;
  readonly result: Result;
  readonly cases: readonly string[];
}

/**
 * @param results oldest first; each case is shown from the newest that has it
 * @param folder where the plots are, as seen from the document
 */
export function makeReport(
  results: readonly Result[],
  suites: readonly Suite[],
  folder: string,
): Report {
  const bySuite = suites
    .map((suite) => sourcesOf(suite, results))
    .filter((sources) => sources.length > 0);
  const plots = new Map<string, string>();
  const sections = bySuite.map((sources) => section(sources, plots, folder));
  const sources = bySuite.flat();
  const all = sources.flatMap(seriesOf);
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

function sourcesOf(suite: Suite, results: readonly Result[]): Source[] {
  const taken = new Set<string>();
  const sources = results.toReversed().map((result): Source => {
    const played = [...result.series.filter(hasSamples), ...result.failures];
    const own = played.filter((one) => one.suite === suite.name);
    const cases = each(own, 'case').filter((what) => !taken.has(what));
    for (const what of cases) taken.add(what);
    return { suite, result, cases };
  });
  return sources.filter(({ cases }) => cases.length > 0).reverse();
}

const hasSamples = ({ samples }: Series): boolean => samples.length > 0;

const seriesOf = ({ suite, result, cases }: Source): Series[] =>
  result.series
    .filter(hasSamples)
    .filter((one) => one.suite === suite.name && cases.includes(one.case));

function machineSection(sources: readonly Source[]): string[] {
  const runs = [...new Set(sources.map(({ result }) => result))];
  const rows = runs.map(({ startedAt, machine, effort, command, versions, stolen }) => {
    const names = sources
      .filter(({ result }) => result.startedAt === startedAt)
      .map((source) => nameOf(source, sources));
    const { processor, processors, kernel, scheduling, load } = machine;
    return `| ${startedAt.slice(0, 16).replace('T', ' ')} | ${names.join(', ')} | ${processors} x ${processor}, Linux ${kernel} | ${scheduling}; load ${load.before} before, ${load.after} after${stolenText(stolen)} | ${versions.suture}, Node ${versions.node} | \`${command}\`, ${effort.repeat} rounds of ${effort.seconds} s${effort.quick ? '; **quick: it shows that all works, and no figures**' : ''} |`;
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
      "machine does befalls them all: ratios are medians of the rounds' ratios, and need not be those of the medians. Every sample and every command line is in the result file.",
    '',
  ];
}

function stolenText(stolen: Result['stolen']): string {
  if (stolen === undefined) return '';
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  return `; stolen of a turn ${percent(stolen.median)} (median), ${percent(stolen.most)} (most), ${stolen.again} tries more`;
}

/** The suite's name, and its cases if others of it are of another run. */
const nameOf = ({ suite, cases }: Source, all: readonly Source[]): string =>
  all.filter((other) => other.suite === suite).length === 1
    ? suite.name
    : `${suite.name} (${cases.join('; ')})`;

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
    '- Other work on the machine disturbs the figures: the load averages are above. A load of 1 or 2 after a run is the run itself.',
    '- A virtual machine shares its processors with others. Of what its hypervisor stole (`steal`) a chain of programs that wake each other suffers more than in proportion: ' +
      `a turn that lost more than ${DISTURBED * 100} % is played again, while that makes the run no longer than by a third, and the try that lost least counts. What was left is in the table.`,
    ...(sources.some(({ result }) => isRealTime(result.machine.scheduling))
      ? [
          '- Where the scheduling says `SCHED_RR`, the softirq work of TAPs starved beside programs with real-time priority: these figures are too low.',
        ]
      : []),
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
      const share = theirs === undefined ? '' : `${value.median.toFixed(2)} ${intervalOf(value)}`;
      return `| ${what} | ${target} | ${measured} | ${share} | ${reached ? 'yes' : '**no**'} |`;
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

function section(sources: readonly Source[], plots: Map<string, string>, folder: string): string[] {
  const [{ suite }] = sources;
  const series = sources.flatMap(seriesOf);
  const metricOf = metricsOf(sources);
  const pictures = picturesOf(series, metricOf).map(({ name, title, svg }) => {
    plots.set(`${name}.svg`, svg);
    return `![${title}](${folder}/${name}.svg)`;
  });
  const failures = sources.flatMap(({ result, cases }) =>
    result.failures.filter((one) => one.suite === suite.name && cases.includes(one.case)),
  );
  return [
    `## ${suite.name}`,
    '',
    `*${suite.summary}.* ${suite.explanation}`,
    '',
    ...pictures,
    '',
    ...each(series, 'case')
      .map((what) => series.filter((one) => one.case === what))
      .flatMap((own) => (hasManyMetrics(own) ? byMetric(own, metricOf) : byContestant(own))),
    ...(failures.length === 0
      ? []
      : [
          `${failures.length} turns failed: ${[...new Set(failures.map(({ contestant, message }) => `${contestant}: ${message}`))].join('; ')}.`,
          '',
        ]),
  ];
}

/** What the suite says of its metrics, today. */
function metricsOf(sources: readonly Source[]): MetricOf {
  const cases = sources.flatMap(({ suite, result }) => suite.cases(result.effort));
  return ({ case: what, metric }) =>
    cases.find(({ name }) => name === what)?.metrics.find(({ name }) => name === metric);
}

/** One case: a row a metric, its contestants side by side. */
function byMetric(series: readonly Series[], metricOf: MetricOf): string[] {
  const contestants = each(series, 'contestant');
  const rows = each(series, 'metric').map((metric) => {
    const own = series.filter((one) => one.metric === metric);
    const cells = contestants.map((name) => {
      const found = own.find(({ contestant }) => contestant === name);
      return found === undefined ? '-' : shown(found);
    });
    const meaning = metricOf(own[0])?.meaning ?? '';
    return `| ${metric}, ${own[0].unit} | ${cells.join(' | ')} | ${meaning} |`;
  });
  return [
    `**${series[0].case}**`,
    '',
    `| | ${contestants.join(' | ')} | what it is |`,
    `|${'---|'.repeat(contestants.length + 2)}`,
    ...rows,
    '',
  ];
}

/** One case: a row a contestant, its metrics side by side. */
function byContestant(series: readonly Series[]): string[] {
  const metrics = each(series, 'metric');
  const contestants = each(series, 'contestant');
  const peer = contestants.includes(PEER);
  const heading = metrics.map((metric) => {
    const unit = series.find((one) => one.metric === metric)?.unit ?? '';
    return `${metric}, ${unit}${peer ? ` | x ${PEER}` : ''}`;
  });
  const rows = contestants.map((contestant) => {
    const cells = metrics.map((metric) => {
      const found = series.find((one) => one.contestant === contestant && one.metric === metric);
      return found === undefined ? (peer ? ' | ' : '') : cellOf(found, series, peer);
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
  if (!withPeer) return shown(series);
  const peer = peerOf(all, series);
  const share = peer === undefined ? '' : ratio(series.samples, peer.samples).median.toFixed(2);
  return `${shown(series)} | ${share}`;
}
