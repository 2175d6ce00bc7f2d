/** Whether all went right, and the figures: what `--json` prints. */
import type { FaultVerb } from '../lab/event.ts';
import type { DownloadEnd } from './download.ts';
import type { Notice } from './takeover.ts';
import type { TcpCounters } from './tcp-counters.ts';
import { lengthOf, type Silence, type Timeline } from './timeline.ts';
import { tenths } from './words.ts';

/** Failures the demo inflicts on a proxy. */
export const HOWS = ['kill', 'pause', 'link-down'] as const satisfies readonly FaultVerb[];
export type How = (typeof HOWS)[number];

/** All that was observed. Times are milliseconds of CLOCK_MONOTONIC. */
export interface Facts {
  readonly how: How;
  readonly seed: number;
  /** Bytes of the file. */
  readonly size: number;
  readonly victim: string;
  readonly survivor: string;
  readonly expectedSha256: string;
  readonly timeline: Timeline;
  readonly end: DownloadEnd;
  readonly endedAt: number;
  /** When the proxy was hit; absent when the download ended before. */
  readonly failedAt?: number | undefined;
  readonly detected?: Notice | undefined;
  readonly adopted?: Notice | undefined;
  /** Whether the survivor had taken over before the failure. */
  readonly wasBefore: boolean;
  readonly gap?: Silence | undefined;
  /** Milliseconds between the failure and the gap's end in which the survivor did not run. */
  readonly stalledMs: number;
  /** What the client's kernel counted during the download. */
  readonly counted: TcpCounters;
}

/** Spans are in milliseconds; null for what did not happen. */
export interface DemoResult {
  readonly ok: boolean;
  /** Bytes that the client received. */
  readonly bytes: number;
  readonly sha256: string;
  readonly expectedSha256: string;
  /** The member that was hit, whatever hit it. */
  readonly killedMember: string;
  /** From the failure until the survivor suspected the member. */
  readonly detectedMs: number | null;
  /** From the failure until the survivor had announced the member's addresses. */
  readonly adoptedMs: number | null;
  /** From the failure until the first byte after the gap. */
  readonly resumedMs: number | null;
  /** The longest time without new bytes at the client around the failure. */
  readonly clientGapMs: number | null;
  /** How much of `resumedMs` the machine, being busy, did not let the survivor run. */
  readonly stalledMs: number;
  /** The longest time without new bytes before the failure. */
  readonly usualGapMs: number | null;
  /** Resets that the client's kernel received or sent. */
  readonly resets: number;
  /** Errors that the client reported. */
  readonly clientErrors: number;
  readonly clientExitCode: number;
  /** TCP connections that the client opened. */
  readonly connections: number;
  readonly how: How;
  readonly seed: number;
  /** Bytes of the file. */
  readonly size: number;
  /** When the member was hit, from the request on. */
  readonly killedAtMs: number | null;
  /** Bytes that the client had then. */
  readonly killedAtBytes: number | null;
  /** The whole download. */
  readonly durationMs: number;
  /** What is not right, one sentence each. */
  readonly problems: readonly string[];
}

/** Judges what was observed. */
export function judge(facts: Facts): DemoResult {
  const { timeline, failedAt, gap, end, counted } = facts;
  const problems = problemsOf(facts);
  const since = (at: number | undefined): number | null =>
    at === undefined || failedAt === undefined ? null : tenths(at - failedAt);
  const usual = timeline.usualSilence(failedAt ?? facts.endedAt);
  return {
    ok: problems.length === 0,
    bytes: timeline.bytes,
    sha256: end.sha256,
    expectedSha256: facts.expectedSha256,
    killedMember: facts.victim,
    detectedMs: since(facts.detected?.at),
    adoptedMs: since(facts.adopted?.at),
    resumedMs: since(gap?.to),
    clientGapMs: gap === undefined ? null : tenths(lengthOf(gap)),
    stalledMs: tenths(facts.stalledMs),
    usualGapMs: usual === undefined ? null : tenths(lengthOf(usual)),
    resets: counted.resets,
    clientErrors: end.code === 0 ? 0 : 1,
    clientExitCode: end.code,
    connections: counted.opened,
    how: facts.how,
    seed: facts.seed,
    size: facts.size,
    killedAtMs: failedAt === undefined ? null : tenths(failedAt - timeline.began),
    killedAtBytes: failedAt === undefined ? null : timeline.bytesAt(failedAt),
    durationMs: tenths(facts.endedAt - timeline.began),
    problems,
  };
}

function problemsOf(facts: Facts): string[] {
  const { timeline, end, size, counted, victim, survivor } = facts;
  const problems: string[] = [];
  if (facts.failedAt === undefined || facts.failedAt > facts.endedAt) {
    problems.push('the download ended before the proxy was hit; choose an earlier --kill-after');
  } else if (facts.wasBefore) {
    const why = 'this machine is too busy for its heartbeats, try again';
    problems.push(`proxy ${survivor} had taken over from ${victim} before it was hit: ${why}`);
  } else {
    if (facts.detected === undefined) problems.push(`proxy ${survivor} never suspected ${victim}`);
    if (facts.adopted === undefined) {
      problems.push(`proxy ${survivor} never took over the addresses of ${victim}`);
    }
  }
  if (end.code !== 0) problems.push(`curl ended with exit code ${end.code}: ${end.complaint}`);
  if (timeline.bytes !== size) {
    problems.push(`curl received ${timeline.bytes} of ${size} bytes`);
  } else if (end.sha256 !== facts.expectedSha256) {
    problems.push('curl received wrong bytes: the SHA-256 differs');
  }
  if (counted.resets !== 0) {
    problems.push(`the client's kernel counted ${counted.resets} reset or failed connections`);
  }
  if (counted.opened !== 1) {
    problems.push(`the client opened ${counted.opened} connections instead of 1`);
  }
  return problems;
}
