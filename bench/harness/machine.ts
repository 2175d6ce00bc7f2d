// What a run was measured on.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { withSystemPrograms } from '../../src/lab/find-program.ts';
import type { Result } from './result.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Programs of which a result names the version, and how each is asked. */
const PROGRAMS: readonly (readonly [name: string, ...argv: string[]])[] = [
  ['haproxy', 'haproxy', '-v'],
  ['nginx', 'nginx', '-v'],
  ['keepalived', 'keepalived', '--version'],
  ['wrk', 'wrk', '-v'],
  ['iperf3', 'iperf3', '--version'],
  ['iproute2', 'ip', '-V'],
];

/** Load averages are of the last minute. */
export const loadNow = (): number => Math.round(loadavg()[0] * 100) / 100;

export function describeMachine(loadBefore: number): Result['machine'] {
  const [{ model }] = cpus();
  return {
    processor: model.trim(),
    processors: cpus().length,
    memory: totalmem(),
    kernel: release(),
    architecture: arch(),
    scheduling: scheduling(),
    load: { before: loadBefore, after: loadNow() },
  };
}

export function versions(): Record<string, string> {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  const found: Record<string, string> = { suture: `${version}${commit()}`, node: process.version };
  for (const [name, ...argv] of PROGRAMS) {
    const text = said(argv);
    if (text !== undefined) found[name] = text;
  }
  return found;
}

/** The commit of the checkout, marked when files of it have changed since. */
function commit(): string {
  const git = (...argv: string[]): string =>
    execFileSync('git', ['-C', ROOT, ...argv], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ', changed';
    return ` (${git('rev-parse', '--short=12', 'HEAD').trim()}${changed})`;
  } catch {
    return '';
  }
}

/** The first line of what a program says of itself that has a version in it. */
function said([program, ...argv]: readonly string[]): string | undefined {
  const { stdout, stderr } = spawnSync(program, argv, {
    encoding: 'utf8',
    env: withSystemPrograms(),
  });
  const lines = `${stdout ?? ''}\n${stderr ?? ''}`.split('\n');
  return lines.find((line) => /\d+\.\d+|iproute2/.test(line))?.trim();
}

/** Linux's scheduling policies by number (sched(7)). */
const POLICIES: Readonly<Record<string, string>> = {
  ...{ 0: 'SCHED_OTHER', 1: 'SCHED_FIFO', 2: 'SCHED_RR', 3: 'SCHED_BATCH', 5: 'SCHED_IDLE' },
  6: 'SCHED_DEADLINE',
};

/** Policy and real-time priority of this process, such as `SCHED_OTHER 0` (proc_pid_stat(5), fields 40 and 41). */
export function scheduling(): string {
  const text = readFileSync('/proc/self/stat', 'utf8');
  // The second field, the name, may hold spaces and parentheses; the third follows it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return `${POLICIES[fields[38]] ?? `policy ${fields[38]}`} ${fields[37]}`;
}

/** Whether programs with such a scheduling keep the kernel's own threads from running. */
export const isRealTime = (what: string): boolean => /^SCHED_(RR|FIFO|DEADLINE)/.test(what);
