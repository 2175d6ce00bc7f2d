// Two results side by side: what differs by more than chance, and which way.
import { nameOf, type Result, type Series } from './result.ts';
import { type Difference, difference, FEWEST } from './statistics.ts';
import { figure } from './table.ts';

/** Of the figures that are the same, so many are called different by chance. */
const LEVEL = 0.05;

export type Verdict = 'better' | 'worse' | 'same' | 'too few samples';

export interface Compared extends Difference {
  /** Suite, case, contestant and metric. */
  readonly name: string;
  readonly unit: string;
  readonly verdict: Verdict;
}

export interface Comparison {
  readonly figures: readonly Compared[];
  /** Names that only one of the two has. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** What a reader should know of the two runs, one sentence each. */
  readonly warnings: readonly string[];
}

export function compareResults(before: Result, after: Result): Comparison {
  const old = new Map(measured(before).map((series) => [nameOf(series), series]));
  const fresh = new Map(measured(after).map((series) => [nameOf(series), series]));
  const figures: Compared[] = [];
  for (const [name, series] of fresh) {
    const base = old.get(name);
    if (base === undefined) continue;
    const found = difference(base.samples, series.samples);
    figures.push({ name, unit: series.unit, ...found, verdict: judge(found, series) });
  }
  return {
    figures,
    onlyBefore: [...old.keys()].filter((name) => !fresh.has(name)),
    onlyAfter: [...fresh.keys()].filter((name) => !old.has(name)),
    warnings: warningsOf(before, after),
  };
}

const measured = ({ series }: Result): readonly Series[] =>
  series.filter(({ samples }) => samples.length > 0);

function judge({ p, before, after }: Difference, { better }: Series): Verdict {
  if (p === undefined) return 'too few samples';
  if (p >= LEVEL || before === after) return 'same';
  return after > before === (better === 'higher') ? 'better' : 'worse';
}

function warningsOf(before: Result, after: Result): string[] {
  const differing = (['processor', 'processors', 'kernel', 'scheduling'] as const).filter(
    (what) => before.machine[what] !== after.machine[what],
  );
  return [
    ...(differing.length > 0
      ? [`the runs differ in ${differing.join(', ')}: differences may not be the code's`]
      : []),
    ...(before.effort.quick || after.effort.quick ? ['a quick result shows no figures'] : []),
  ];
}

export function describeComparison(comparison: Comparison): string {
  const { figures, onlyBefore, onlyAfter, warnings } = comparison;
  const width = Math.max(0, ...figures.map(({ name }) => name.length));
  const lines = figures.map(({ name, before, after, unit, ratio, p, verdict }) => {
    const change = `${ratio >= 1 ? '+' : ''}${((ratio - 1) * 100).toFixed(1)} %`;
    const values = `${figure(before)} -> ${figure(after)} ${unit}`;
    const sure = p === undefined ? `(fewer than ${FEWEST})` : `(p = ${p.toFixed(3)})`;
    return `${name.padEnd(width)}  ${values}  ${change}  ${verdict} ${sure}`;
  });
  const count = (verdict: Verdict): number =>
    figures.filter((each) => each.verdict === verdict).length;
  const tested = figures.length - count('too few samples');
  return [
    ...warnings.map((warning) => `note: ${warning}`),
    ...lines,
    ...(onlyBefore.length > 0 ? [`only in the first: ${onlyBefore.length} figures`] : []),
    ...(onlyAfter.length > 0 ? [`only in the second: ${onlyAfter.length} figures`] : []),
    `${count('better')} better, ${count('worse')} worse, ${count('same')} the same, ${count('too few samples')} with too ` +
      `few samples; of ${tested} tests some ${Math.round(tested * LEVEL)} differ by chance alone`,
    '',
  ].join('\n');
}
