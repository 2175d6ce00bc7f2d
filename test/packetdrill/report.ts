// Verdicts as people and programs read them.
import type { Result } from './verdict.ts';

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly unsupported: number;
  readonly results: readonly Result[];
}

export function summarize(results: readonly Result[]): Summary {
  const count = (verdict: Result['verdict']): number =>
    results.filter((result) => result.verdict === verdict).length;
  return {
    passed: count('passed'),
    failed: count('failed'),
    unsupported: count('unsupported'),
    results,
  };
}

/** One line: the verdict, and for what did not pass where and why. */
export function formatResult({ file, verdict, reason, line }: Result): string {
  const place = line > 0 ? `${file}:${line}` : file;
  return verdict === 'passed' ? `passed ${file}\n` : `${verdict} ${place}: ${reason}\n`;
}

export const formatSummary = ({ passed, failed, unsupported }: Summary): string =>
  `${passed} passed, ${failed} failed, ${unsupported} unsupported\n`;
