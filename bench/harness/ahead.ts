// Where our figures should be, and where they are.
import type { Series } from './result.ts';
import { ratio, type Summary, summarize } from './statistics.ts';

/** A figure of ours, beside another's or by itself, and what it should at least or at most be. */
interface Target {
  readonly figure: string;
  readonly suite: string;
  /** How the case's name begins. */
  readonly case: string;
  readonly metric: string;
  readonly ours: string;
  /** Whose figure it is measured by; absent for a figure that stands by itself. */
  readonly theirs?: string;
  readonly least?: number;
  readonly most?: number;
}

export interface Standing {
  readonly figure: string;
  /** `at least 2.0 x haproxy-tcp` */
  readonly target: string;
  readonly unit: string;
  /** Median of ours. */
  readonly ours: number;
  readonly theirs?: number;
  /** Of the medians, or our figure itself; with its interval. */
  readonly value: Summary;
  readonly reached: boolean;
}

const TO = '1 connection, to the client';
const FROM = '1 connection, from the client';
const both = (target: Omit<Target, 'case' | 'figure' | 'metric'>, figure: string): Target[] => [
  { ...target, figure: `${figure}, to the client`, case: TO, metric: 'throughput' },
  { ...target, figure: `${figure}, from the client`, case: FROM, metric: 'throughput' },
];
const bulk = { suite: 'bulk', ours: 'suture-1' };
const each = { case: 'a connection for each request of 1 KB', metric: 'requests' };

const TARGETS: readonly Target[] = [
  ...both({ ...bulk, theirs: 'haproxy-tcp', least: 2 }, 'bulk, one connection'),
  ...both({ ...bulk, theirs: 'nginx-stream', least: 1.3 }, 'bulk, one connection'),
  ...both({ ...bulk, theirs: 'tap-loop', least: 0.85 }, 'bulk, one connection'),
  ...['haproxy-tcp', 'nginx-stream'].map((theirs, index) => ({
    ...{ figure: 'new connections', suite: 'rate', ours: 'suture-1', theirs, ...each },
    least: [1.1, 1.2][index],
  })),
  {
    ...{ figure: 'requests over 64 connections that stay', suite: 'keepalive', case: '64 ' },
    ...{ metric: 'requests', ours: 'suture-1', theirs: 'haproxy-tcp', least: 1.25 },
  },
  {
    ...{ figure: 'p50 at one connection', suite: 'latency', case: '1 connection', metric: 'p50' },
    ...{ ours: 'suture-1', theirs: 'haproxy-tcp', most: 1 },
  },
  ...both(
    { suite: 'splice-vs-relay', ours: 'suture-1', theirs: 'suture-relay', least: 3 },
    'splice over relay, bulk',
  ),
  {
    // Of the headers, not the whole fast path with the lookup, which stands beside it in the suite.
    ...{ figure: 'rewrite, 1 million flows, one core', suite: 'table', case: 'one core' },
    ...{ metric: 'rewrite alone', ours: '1,000,000 flows', least: 12 },
  },
  {
    ...{ figure: 'memory a spliced connection, 1 million', suite: 'table', case: 'one core' },
    ...{ metric: 'size', ours: '1,000,000 flows', most: 160 },
  },
  {
    ...{ figure: 'replication to one peer, bulk', suite: 'replication', case: 'bulk' },
    ...{ metric: 'throughput', ours: 'suture-1', theirs: 'suture-0', least: 0.99 },
  },
  {
    ...{ figure: 'replication to one peer, new connections', suite: 'replication', ...each },
    ...{ ours: 'suture-1', theirs: 'suture-0', least: 0.9 },
  },
];

/** The targets of which there are figures. */
export function standings(series: readonly Series[]): Standing[] {
  return TARGETS.flatMap((target): Standing[] => {
    const { figure, ours, theirs, least, most } = target;
    const own = find(series, target, ours);
    const peer = theirs === undefined ? undefined : find(series, target, theirs);
    if (own === undefined || (theirs !== undefined && peer === undefined)) return [];
    const value = peer === undefined ? summarize(own.samples) : ratio(own.samples, peer.samples);
    const bound = least === undefined ? `at most ${most}` : `at least ${least}`;
    return [
      {
        figure,
        target: theirs === undefined ? `${bound} ${own.unit}` : `${bound} x ${theirs}`,
        unit: own.unit,
        ours: summarize(own.samples).median,
        ...(peer === undefined ? {} : { theirs: summarize(peer.samples).median }),
        value,
        reached: least === undefined ? value.median <= (most ?? 0) : value.median >= least,
      },
    ];
  });
}

function find(
  series: readonly Series[],
  { suite, case: what, metric }: Target,
  contestant: string,
): Series | undefined {
  return series.find(
    (each) =>
      each.suite === suite &&
      each.case.startsWith(what) &&
      each.metric === metric &&
      each.contestant === contestant &&
      each.samples.length > 0,
  );
}
