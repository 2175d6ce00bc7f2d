/** A process of the lab: started, watched, made to fail. Runs within the lab. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { readLines } from './channel.ts';
import { type Happening, monotonic, type ProcessState } from './event.ts';
import { LabError } from './lab-error.ts';
import type { ProcessPlan } from './plan.ts';
import { isReady } from './readiness.ts';

/** Between two looks at whether a process is ready. */
const POLL_MS = 10;

/** A process as the status shows it. */
export interface ProcessStatus {
  readonly name: string;
  readonly namespace: string;
  readonly state: ProcessState;
  /** Within the lab's process namespace; of the last run when it has ended. */
  readonly pid: number;
  readonly code?: number;
  readonly signal?: string;
}

export class SupervisedProcess {
  readonly plan: ProcessPlan;
  readonly #emit: (event: Happening) => void;
  #child: ChildProcess | undefined;
  #state: ProcessState = 'ended';
  #lastLine = '';

  constructor(plan: ProcessPlan, emit: (event: Happening) => void) {
    this.plan = plan;
    this.#emit = emit;
  }

  get status(): ProcessStatus {
    const child = this.#child;
    return {
      name: this.plan.name,
      namespace: this.plan.namespace,
      state: this.#state,
      pid: child?.pid ?? 0,
      ...(child?.exitCode == null ? {} : { code: child.exitCode }),
      ...(child?.signalCode == null ? {} : { signal: child.signalCode }),
    };
  }

  get isRunning(): boolean {
    return this.#state !== 'ended';
  }

  /** Starts it and waits until it is ready. @throws LabError when it ends, or takes too long. */
  async start(): Promise<void> {
    const { name, namespace, argv, env, folder, files, folders, ready, readyTimeoutMs } = this.plan;
    for (const path of folders) mkdirSync(path, { recursive: true });
    for (const [path, content] of Object.entries(files)) writeFileSync(path, content);
    this.#lastLine = '';
    // Its own process group, so that a signal reaches what it has started too.
    const child = spawn('ip', ['netns', 'exec', namespace, ...argv], {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    readLines(child.stdout, (line) => this.#output('stdout', line));
    readLines(child.stderr, (line) => this.#output('stderr', line));
    child.on('exit', () => {
      if (this.#child === child) this.#change('ended');
    });
    await new Promise<void>((resolve, reject) => {
      child.on('spawn', resolve);
      child.on('error', reject);
    });
    this.#change('starting');
    const deadline = monotonic() + readyTimeoutMs;
    while (ready !== undefined && !(await isReady(ready, child.pid ?? 0, namespace))) {
      if (!this.isRunning) throw this.#failure(`${name} ended before it was ready`);
      if (monotonic() > deadline) {
        throw this.#failure(`${name} was not ready after ${readyTimeoutMs} ms`);
      }
      await delay(POLL_MS);
    }
    if (this.isRunning) this.#change('ready');
  }

  /** Sends a signal to the process and all it has started, and returns the moment (`monotonic`). */
  signal(signal: NodeJS.Signals): number {
    const pid = this.#child?.pid;
    const at = monotonic();
    if (pid !== undefined && this.isRunning && sent(-pid, signal)) return at;
    throw new LabError(`${this.plan.name} does not run; start it again with the verb restart`);
  }

  pause(): number {
    const at = this.signal('SIGSTOP');
    this.#change('paused');
    return at;
  }

  resume(): number {
    const at = this.signal('SIGCONT');
    this.#change('ready');
    return at;
  }

  /** Ends it: asked first, killed after `graceMs`. Resolves when it is gone. */
  async stop(graceMs: number): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const group = -(child.pid ?? 0);
    sent(group, 'SIGTERM');
    // A paused process gets the signal only when it goes on.
    sent(group, 'SIGCONT');
    const killer = setTimeout(() => sent(group, 'SIGKILL'), graceMs);
    await gone;
    clearTimeout(killer);
  }

  #output(stream: 'stdout' | 'stderr', line: string): void {
    if (line.trim() !== '') this.#lastLine = line;
    this.#emit({ type: 'output', process: this.plan.name, stream, line });
  }

  #change(state: ProcessState): void {
    this.#state = state;
    const { pid, code, signal } = this.status;
    this.#emit({
      type: 'process',
      process: this.plan.name,
      state,
      pid,
      ...(code === undefined ? {} : { code }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #failure(what: string): LabError {
    return new LabError(this.#lastLine === '' ? what : `${what}; it said last: ${this.#lastLine}`);
  }
}

/** Whether there was still someone to signal: a process may end before we hear of it. */
function sent(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
