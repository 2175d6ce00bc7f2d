/** A testbed of network namespaces, built from a topology and gone with the process that built it. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { join } from 'node:path';
import { readLines } from './channel.ts';
import { ask } from './control-client.ts';
import type { LabStatus } from './control-server.ts';
import type { FaultVerb, LabEvent } from './event.ts';
import { EventLog } from './event-log.ts';
import { withSystemPrograms } from './find-program.ts';
import { enterArgv, supervisorArgv } from './isolation.ts';
import { LabError } from './lab-error.ts';
import { CODE, type Plan } from './plan.ts';
import { planOf } from './planner.ts';
import { type Outcome, type RunOptions, run } from './run.ts';
import { claim, record, release, socketPath } from './state.ts';
import { loadTopology, parseTopology, type TopologyInput } from './topology.ts';

export interface LabOptions {
  /** The lab's name; one of its own, made from the topology's, when absent. */
  readonly name?: string | undefined;
  /** Where relative paths of a topology that is not a file start; the working folder when absent. */
  readonly folder?: string | undefined;
  /** Called for every event from the first on, before `up` resolves. */
  readonly onEvent?: ((event: LabEvent) => void) | undefined;
  /** Ends the lab, also while it is being built. */
  readonly signal?: AbortSignal | undefined;
}

/** How long a lab may take to end by itself before it is killed. */
const DOWN_MS = 5000;
/** Lines of complaint kept from the programs that make the namespaces. */
const COMPLAINTS = 5;

let made = 0;

export class Lab implements AsyncDisposable {
  readonly name: string;
  /** The process whose namespaces are the lab's, as other processes of the machine number it. */
  readonly pid: number;
  /** All that happened: processes' output and states, faults. */
  readonly events: AsyncIterable<LabEvent>;
  /** Resolves when the lab has ended, for whatever reason, and nothing of it is left. */
  readonly ended: Promise<void>;
  /** Where its control socket is; removed with it. */
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #nodes: ReadonlySet<string>;

  private constructor(plan: Plan, child: ChildProcess, folder: string, log: EventLog) {
    this.name = plan.name;
    this.pid = child.pid ?? 0;
    this.events = log;
    this.#child = child;
    this.folder = folder;
    this.#nodes = new Set([...plan.hosts, ...plan.switches, ...plan.taps.map((tap) => tap.proxy)]);
    this.ended = new Promise((resolve) => {
      child.once('close', () => {
        release(folder);
        log.end();
        resolve();
      });
    });
  }

  /**
   * Builds a lab and waits until all its processes are ready and its checks hold.
   * @throws ConfigError for a topology that cannot be used, LabError when the lab cannot be built.
   */
  static async up(source: string | TopologyInput, options: LabOptions = {}): Promise<Lab> {
    const loaded =
      typeof source === 'string'
        ? loadTopology(source)
        : parseTopology(source, options.folder ?? process.cwd());
    const name = options.name ?? `${loaded.topology.name}-${process.pid}-${++made}`;
    const plan: Plan = { ...planOf(loaded), name };
    options.signal?.throwIfAborted();
    const folder = claim(name, loaded.file);
    try {
      return await Lab.#start(plan, folder, options);
    } catch (error) {
      release(folder);
      throw error;
    }
  }

  static async #start(plan: Plan, folder: string, options: LabOptions): Promise<Lab> {
    const argv = supervisorArgv(folder, join(import.meta.dirname, `supervisor${CODE}`));
    // A session of its own: a terminal's Ctrl-C is for the owner, who then ends the lab in order.
    const child = spawn(argv[0], argv.slice(1), {
      stdio: 'pipe',
      detached: true,
      env: withSystemPrograms(),
    });
    const log = new EventLog();
    const complaints: string[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<Lab>();
    let lab: Lab | undefined;
    let failure: string | undefined;

    child.on('error', (error) =>
      reject(new LabError(`${argv[0]}: ${error.message}; see: suture doctor`)),
    );
    child.stdin.on('error', () => {});
    child.stdin.write(`${JSON.stringify(plan)}\n`);
    readLines(child.stderr, (line) => {
      if (complaints.length < COMPLAINTS && line.trim() !== '') complaints.push(line.trim());
    });
    readLines(child.stdout, (line) => {
      const event = JSON.parse(line) as LabEvent;
      if (lab === undefined) {
        // Only now is `unshare` in the new namespaces, and others may enter through it.
        record(folder, child.pid ?? 0);
        lab = new Lab(plan, child, folder, log);
      }
      log.add(event);
      options.onEvent?.(event);
      if (event.type !== 'lab') return;
      if (event.state === 'ready') resolve(lab);
      failure ??= event.error;
    });
    child.once('close', () => {
      const reason = options.signal?.aborted ? 'was ended while it was being built' : failure;
      reject(new LabError(`lab ${plan.name}: ${reason ?? notMade(complaints)}`));
    });
    options.signal?.addEventListener('abort', () => void end(child), { once: true });
    return promise;
  }

  /** Runs a command in a host to its end. @throws LabError when there is no such host. */
  async exec(host: string, argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const { cwd: folder, ...rest } = options;
    return run(enterArgv(this.pid, this.#node(host), argv, { folder }), rest);
  }

  /**
   * Starts a command in a host. A signal sent to the child ends it: the command itself then gets
   * SIGTERM, whatever the signal was. Its `cwd` is seen from within the lab.
   */
  spawn(host: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const { cwd, ...rest } = options;
    const folder = cwd === undefined ? undefined : String(cwd);
    const within = { folder, deathSignal: 'TERM' } as const;
    const [program, ...args] = enterArgv(this.pid, this.#node(host), argv, within);
    return spawn(program, args, { ...rest, env: withSystemPrograms(rest.env) });
  }

  /**
   * Inflicts a failure on a proxy, a host, `HOST/PROCESS` or `HOST:INTERFACE`, or cures it. Resolves
   * with the moment it was done, in milliseconds of CLOCK_MONOTONIC, the clock of `process.hrtime`.
   * @throws LabError when there is no such target.
   */
  async fail(verb: FaultVerb, target: string): Promise<number> {
    const answer = await ask(socketPath(this.folder), 'POST', '/fail', { verb, target });
    return (answer as { readonly at: number }).at;
  }

  async status(): Promise<LabStatus> {
    return (await ask(socketPath(this.folder), 'GET', '/status')) as LabStatus;
  }

  /** A path of the lab as processes outside it can open it, such as that of `SERVED_FOLDER`. */
  path(inside: string): string {
    return `/proc/${this.pid}/root${inside}`;
  }

  /** Ends the lab; resolves when nothing is left of it. */
  async down(): Promise<void> {
    await end(this.#child);
    await this.ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }

  #node(name: string): string {
    if (this.#nodes.has(name)) return name;
    throw new LabError(`there is no host ${name}; there is: ${[...this.#nodes].join(', ')}`);
  }
}

/** Asks the supervisor to end, then kills it. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.stdin?.end();
  const killer = setTimeout(() => child.kill('SIGKILL'), DOWN_MS);
  await gone;
  clearTimeout(killer);
}

function notMade(complaints: readonly string[]): string {
  const said = complaints.join('; ') || 'it ended without a word';
  return `its namespaces could not be made (${said}); see: suture doctor`;
}
