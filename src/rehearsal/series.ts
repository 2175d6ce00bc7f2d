// Many seeds, shared among processes, and what they came to together.
import { fork } from 'node:child_process';
import { type Outcome, rehearse } from './rehearsal.ts';

/** What seeds came to together. */
export interface Total {
  seeds: number;
  /** The outcomes of those that failed. */
  readonly failed: Outcome[];
  events: number;
  /** Virtual seconds. */
  seconds: number;
  talks: number;
  bytes: number;
  torn: number;
  unheard: number;
  refused: number;
  /** How many faults of each kind there were. */
  readonly faults: Record<string, number>;
  add(outcome: Outcome): void;
}

export function totalOf(): Total {
  return {
    seeds: 0,
    failed: [],
    events: 0,
    seconds: 0,
    talks: 0,
    bytes: 0,
    torn: 0,
    unheard: 0,
    refused: 0,
    faults: {},
    add(outcome) {
      this.seeds++;
      if (outcome.violation !== undefined) this.failed.push(outcome);
      this.events += outcome.events;
      this.seconds += outcome.micros / 1e6;
      this.talks += outcome.talks;
      this.bytes += outcome.bytes;
      this.torn += outcome.torn;
      this.unheard += outcome.unheard;
      this.refused += outcome.refused;
      for (const [kind, count] of Object.entries(outcome.faults)) {
        this.faults[kind] = (this.faults[kind] ?? 0) + count;
      }
    },
  };
}

/** One line that says what a seed that failed met, and how to see it again. */
export const replayOf = ({ seed, violation }: Outcome): string =>
  `seed ${seed}: ${violation?.what.split('\n')[0]}; again: suture sim --seed ${seed} --trace`;

/** What all came to, in one line. */
export function countsText(total: Total, realSeconds: number): string {
  const { seeds, failed, talks, bytes, events, seconds, torn, unheard, refused, faults } = total;
  const struck = Object.entries(faults).map(([kind, count]) => `${count} ${kind}`);
  return (
    `${seeds} seeds, ${failed.length} failed: ${talks} connections, ${(bytes / 1e6).toFixed(1)} MB, ` +
    `${(seconds / 60).toFixed(1)} virtual minutes, ${events} events in ${realSeconds.toFixed(1)} s; ` +
    `faults: ${struck.join(', ') || 'none'}; ${torn} torn, ${unheard} not greeted, ${refused} refused`
  );
}

/** Seeds that a process is given at a time. */
const BATCH = 10;

/**
 * Runs `count` seeds from `first` on, `jobs` at a time; `done` is told of each.
 * @throws Error if a process ends before its time
 */
export async function rehearseAll(
  first: number,
  count: number,
  jobs: number,
  done: (outcome: Outcome) => void,
): Promise<void> {
  if (jobs <= 1) {
    for (let seed = first; seed < first + count; seed++) done(rehearse(seed));
    return;
  }
  let next = first;
  const end = first + count;
  const batch = (): [number, number] | undefined => {
    if (next >= end) return undefined;
    const from = next;
    next = Math.min(next + BATCH, end);
    return [from, next];
  };
  await Promise.all(Array.from({ length: Math.min(jobs, count) }, () => employ(batch, done)));
}

/** Has one process run batches until none is left. */
function employ(
  batch: () => [number, number] | undefined,
  done: (outcome: Outcome) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = fork(new URL(`./series-worker.${extension}`, import.meta.url));
    const give = (): void => {
      const range = batch();
      if (range === undefined) worker.disconnect();
      else worker.send(range);
    };
    worker.on('message', (message: Outcome | 'ready') => {
      if (message === 'ready') give();
      else done(message);
    });
    worker.on('error', reject);
    worker.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`a process of the simulator ended with ${code ?? signal}`));
    });
  });
}
