// Where contestants play: a lab in which only those whose turn it is are awake.
import { readFileSync } from 'node:fs';
import type { FaultVerb, LabEvent } from '../../src/lab/event.ts';
import { Lab } from '../../src/lab/lab.ts';
import type { Outcome } from '../../src/lab/run.ts';
import type { TopologyInput } from '../../src/lab/topology.ts';

/** Clock ticks of /proc/PID/stat in a second (proc(5)): the kernel's USER_HZ, 100 on all our machines. */
const TICKS = 100;
/** Beyond the load itself, a command may take this long. */
const GRACE_SECONDS = 20;

export interface StageOptions {
  /** The topology, and where its relative paths start. Without one the stage has no lab. */
  readonly topology?: TopologyInput;
  readonly folder?: string;
  /** Processes that take processor time even when nothing is asked of them: asleep out of their turns. */
  readonly sleepers?: readonly string[];
  /** Called at the end. */
  readonly onClose?: () => void;
}

export class Stage implements AsyncDisposable {
  readonly #lab: Lab | undefined;
  readonly #asleep = new Set<string>();
  readonly #listeners: Set<(event: LabEvent) => void>;
  readonly #sleepers: readonly string[];
  readonly #onClose: () => void;

  private constructor(
    lab: Lab | undefined,
    listeners: Set<(event: LabEvent) => void>,
    { sleepers = [], onClose = () => {} }: StageOptions,
  ) {
    this.#lab = lab;
    this.#listeners = listeners;
    this.#sleepers = sleepers;
    this.#onClose = onClose;
  }

  static async open(options: StageOptions): Promise<Stage> {
    const { topology, folder, onClose } = options;
    const listeners = new Set<(event: LabEvent) => void>();
    if (topology === undefined) return new Stage(undefined, listeners, options);
    const onEvent = (event: LabEvent): void => {
      for (const listener of listeners) listener(event);
    };
    try {
      return new Stage(await Lab.up(topology, { folder, onEvent }), listeners, options);
    } catch (error) {
      onClose?.();
      throw error;
    }
  }

  get lab(): Lab {
    if (this.#lab === undefined) throw new Error('this stage has no lab');
    return this.#lab;
  }

  /** Calls `listener` with what happens in the lab, until what it returns is disposed of. */
  hear(listener: (event: LabEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Runs a command in a host to its end. @throws Error when it fails */
  async exec(host: string, argv: readonly string[], seconds = 0): Promise<string> {
    const { code, stdout, stderr }: Outcome = await this.lab.exec(host, argv, {
      timeoutMs: (seconds + GRACE_SECONDS) * 1_000,
    });
    if (code === 0) return stdout;
    const said = (stderr || stdout).trim().split('\n').slice(-3).join('; ');
    throw new Error(`${argv.join(' ')} in ${host} ended with ${code}: ${said}`);
  }

  async fail(verb: FaultVerb, target: string): Promise<number> {
    return this.lab.fail(verb, target);
  }

  /** Lets the processes of `names` run, and of the other sleepers none. True if one of them had slept. */
  async wake(names: readonly string[]): Promise<boolean> {
    // All that sleep do so together, so that no member misses another.
    const wanted = new Set(names);
    const toSleep = this.#sleepers.filter((name) => !wanted.has(name) && !this.#asleep.has(name));
    const toWake = names.filter((name) => this.#asleep.has(name));
    await Promise.all(toSleep.map((name) => this.lab.fail('pause', name)));
    for (const name of toSleep) this.#asleep.add(name);
    await Promise.all(toWake.map((name) => this.lab.fail('resume', name)));
    for (const name of toWake) this.#asleep.delete(name);
    return toWake.length > 0;
  }

  /** Process numbers, as the lab numbers them. @throws Error when one is not running */
  async pids(names: readonly string[]): Promise<number[]> {
    const { processes } = await this.lab.status();
    return names.map((name) => {
      const found = processes.find((process) => process.name === name);
      if (found === undefined || found.pid === 0) throw new Error(`${name} is not running`);
      return found.pid;
    });
  }

  /**
   * Processor time that the kernel has charged to processes so far, in seconds: their own and that of system
   * calls and whatever ran within them. What interrupts did on another processor's account is not in it.
   */
  processorSeconds(pids: readonly number[]): number {
    let ticks = 0;
    for (const pid of pids) {
      const text = readFileSync(this.lab.path(`/proc/${pid}/stat`), 'utf8');
      // The second field, the name, may hold spaces and parentheses.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    }
    return ticks / TICKS;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lab?.down();
    this.#onClose();
  }
}

/** Seconds that the whole machine's processors have been busy so far, whoever they worked for. */
export function busySeconds(): number {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS;
}
