// The file of a run: every sample, and what it takes to judge and repeat them.
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from '../../src/config/config-error.ts';

/** Raised whenever a reader of an earlier version would misread the file. */
const VERSION = 1;

const seriesSchema = z.strictObject({
  suite: z.string(),
  case: z.string(),
  contestant: z.string(),
  metric: z.string(),
  unit: z.string(),
  better: z.enum(['higher', 'lower']),
  /** Whether the sum of the samples counts, not their median. */
  summed: z.boolean().optional(),
  /** In the order in which they were taken. */
  samples: z.array(z.number()),
});

const failureSchema = z.strictObject({
  suite: z.string(),
  case: z.string(),
  contestant: z.string(),
  /** What went wrong, as it was said. */
  message: z.string(),
});

const resultSchema = z.strictObject({
  version: z.literal(VERSION, { error: `is not ${VERSION}: the file is of another version` }),
  /** UTC, ISO 8601. */
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  /** The command line. */
  command: z.string(),
  effort: z.strictObject({ repeat: z.number(), seconds: z.number(), quick: z.boolean() }),
  machine: z.strictObject({
    processor: z.string(),
    processors: z.number(),
    /** Bytes. */
    memory: z.number(),
    kernel: z.string(),
    architecture: z.string(),
    /** Scheduling policy and priority of the run, such as `SCHED_RR 10`. */
    scheduling: z.string(),
    /** Runnable processes on the average of the minute before, and of the last minute (getloadavg(3)). */
    load: z.strictObject({ before: z.number(), after: z.number() }),
  }),
  /** What the hypervisor took, share by turn that could be played again (stolen.ts). Absent before that was looked at. */
  stolen: z.strictObject({ again: z.number(), median: z.number(), most: z.number() }).optional(),
  /** By program. */
  versions: z.record(z.string(), z.string()),
  /** By suite, case and contestant, joined by ` / `: what was run in which host. */
  commands: z.record(z.string(), z.array(z.string())),
  series: z.array(seriesSchema),
  failures: z.array(failureSchema),
  /** Suites that this machine could not play, and why. */
  skipped: z.array(z.strictObject({ suite: z.string(), reason: z.string() })),
});

export type Result = z.infer<typeof resultSchema>;
export type Series = z.infer<typeof seriesSchema>;
export type Failure = z.infer<typeof failureSchema>;
export const RESULT_VERSION = VERSION;

/** @throws ConfigError that says what is wrong with the file, in one line */
export function readResult(path: string): Result {
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const what = missing ? 'no such file' : `not a result file (${(error as Error).message})`;
    throw new ConfigError(`${path}: ${what}`, { cause: error });
  }
  const parsed = resultSchema.safeParse(data);
  if (parsed.success) return parsed.data;
  const [{ path: field, message }] = parsed.error.issues;
  throw new ConfigError(`${path}: ${field.join('.') || 'the file'}: ${message}`);
}

export function writeResult(path: string, result: Result): void {
  writeFileSync(path, `${JSON.stringify(resultSchema.parse(result), null, 1)}\n`);
}

/** What identifies a series across results. */
export const nameOf = ({ suite, case: what, contestant, metric }: Series): string =>
  [suite, what, contestant, metric].join(' / ');
