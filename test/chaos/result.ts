// What a run has come to.
import type { Deed, Harm } from './faults.ts';
import { HARMS } from './faults.ts';
import type { Ended, Silence } from './news.ts';

export interface ChaosResult {
  readonly topology: string;
  readonly seed: number;
  readonly seconds: number;
  readonly requests: number;
  /** Payload that was checked. */
  readonly bytes: number;
  /** Exchanges that erred, were reset, hung or had other bytes than they should; those of wrk as it counts them. */
  readonly failures: number;
  /** Connections that the clients' kernels saw reset, refused or given up. */
  readonly resets: number;
  readonly wrongBytes: number;
  readonly kills: number;
  readonly pauses: number;
  readonly linkDowns: number;
  readonly restarts: number;
  readonly drains: number;
  /**
   * Of each harm the longest silence that a stream noticed of it, in milliseconds; 0 where none was longer than
   * `SILENCE_MS`. `null` when nobody was harmed.
   */
  readonly gapMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
  /** What else is not as it should be: a member that does not come back, something left over at the end. */
  readonly problems: readonly string[];
  /** Exchanges by kind, and how many of them failed. */
  readonly kinds: Readonly<Record<string, readonly [done: number, failed: number]>>;
}

/** A silence that began this long after a harm still is of its making, in milliseconds. */
const AFTERWARDS_MS = 400;

/** All that happened in a run, in the order in which it was heard of. */
export class Story {
  readonly deeds: Deed[] = [];
  readonly silences: Silence[] = [];
  readonly failed: Ended[] = [];
  readonly kinds: Record<string, [done: number, failed: number]> = {};
  requests = 0;
  bytes = 0;

  ended(news: Ended): void {
    this.kinds[news.kind] ??= [0, 0];
    const kind = this.kinds[news.kind];
    if (news.fault !== undefined) {
      kind[1] += news.failures ?? 1;
      this.failed.push(news);
      return;
    }
    kind[0]++;
    this.requests += news.requests;
    this.bytes += news.bytes;
  }

  get failures(): number {
    return this.failed.reduce((sum, { failures = 1 }) => sum + failures, 0);
  }

  count(harm: Harm): number {
    return this.deeds.filter((deed) => deed.harm === harm).length;
  }

  /** Of each harm the longest silence that overlaps its beginning. */
  get gaps(): number[] {
    return this.deeds
      .filter(({ harm }) => harm !== undefined)
      .map(({ at }) =>
        Math.max(
          0,
          ...this.silences
            .filter(({ from, to }) => to >= at && from <= at + AFTERWARDS_MS)
            .map(({ from, to }) => to - from),
        ),
      );
  }

  /** What went wrong, each with what was done before it; times are seconds after `start`. */
  lines(start: number): string[] {
    const time = (at: number): string => `${((at - start) / 1_000).toFixed(3).padStart(8)} s`;
    const wrong = this.failed.map((news) => ({
      at: news.to,
      text: `${time(news.to)}  FAILED ${news.kind}, begun at ${time(news.from).trim()}: ${news.fault}`,
    }));
    const done = this.deeds
      .filter(({ at }) => this.failed.some(({ from, to }) => at > from - 3_000 && at <= to))
      .map(({ at, verb, member }) => ({ at, text: `${time(at)}  ${verb} ${member}` }));
    return [...wrong, ...done].sort((one, other) => one.at - other.at).map(({ text }) => text);
  }
}

export function quantiles(values: readonly number[]): ChaosResult['gapMs'] {
  if (values.length === 0) return null;
  const sorted = values.toSorted((one, other) => one - other);
  const at = (part: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

export const isClean = (result: ChaosResult): boolean =>
  result.failures + result.resets + result.wrongBytes + result.problems.length === 0;

/** Harms by the names that results have for them. */
export function countsOf(
  story: Story,
): Pick<ChaosResult, 'kills' | 'pauses' | 'linkDowns' | 'restarts' | 'drains'> {
  const [kills, pauses, linkDowns, restarts, drains] = HARMS.map((harm) => story.count(harm));
  return { kills, pauses, linkDowns, restarts, drains };
}
