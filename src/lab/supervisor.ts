/**
 * The lab itself: the program that runs within its namespaces.
 *
 *     node supervisor.ts FOLDER
 *
 * The first line of its standard input is the plan; the end of the input ends the lab. Its standard
 * output is the lab's events, one a line. FOLDER gets the control socket.
 */

import { buildNetwork } from './build.ts';
import { readLines } from './channel.ts';
import { createControlServer, type LabStatus } from './control-server.ts';
import { type FaultVerb, type Happening, type LabState, monotonic } from './event.ts';
import { inflict } from './faults.ts';
import type { CheckPlan, Plan } from './plan.ts';
import { run } from './run.ts';
import { socketPath } from './state.ts';
import { SupervisedProcess } from './supervised.ts';

/** How long the processes may take to end by themselves when the lab goes down. */
const GRACE_MS = 500;
/** Longest line of input: a plan of thousands of hosts. */
const PLAN_LIMIT = 64 * 1024 * 1024;

class Supervisor {
  readonly #plan: Plan;
  readonly #processes: readonly SupervisedProcess[];
  #state: LabState = 'building';

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#processes = plan.processes.map((process) => new SupervisedProcess(process, emit));
  }

  async up(folder: string): Promise<void> {
    this.#change('building');
    try {
      const server = createControlServer({
        status: () => this.#status(),
        fail: (verb, target) => this.#fail(verb, target),
        check: () => this.#check(),
        down: () => void this.down(),
      });
      await new Promise<void>((resolve, reject) => {
        server.on('error', reject);
        server.listen(socketPath(folder), resolve);
      });
      await buildNetwork(this.#plan);
      this.#change('starting');
      await this.#startAll();
      const problems = await this.#check();
      if (problems.length > 0) throw new Error(problems.join('; '));
      this.#change('ready');
    } catch (error) {
      this.#change('failed', error instanceof Error ? error.message : String(error));
      await this.down();
    }
  }

  async down(): Promise<void> {
    if (this.#state === 'stopping') return;
    this.#change('stopping');
    await Promise.all(this.#processes.map((process) => process.stop(GRACE_MS)));
    // The first process of the namespace ends after this one, and the kernel removes the rest.
    process.exit(0);
  }

  /** All hosts and proxies side by side, the processes of one host one after another. */
  async #startAll(): Promise<void> {
    const chains = new Map<string, SupervisedProcess[]>();
    for (const process of this.#processes) {
      const { namespace } = process.plan;
      chains.set(namespace, [...(chains.get(namespace) ?? []), process]);
    }
    await Promise.all(
      [...chains.values()].map(async (chain) => {
        for (const process of chain) await process.start();
      }),
    );
  }

  async #fail(verb: FaultVerb, target: string): Promise<number> {
    const at = await inflict(verb, target, this.#plan, this.#processes);
    emit({ type: 'fault', verb, target }, at);
    return at;
  }

  async #check(): Promise<string[]> {
    const results = await Promise.all(this.#plan.checks.map(checked));
    return results.filter((problem) => problem !== undefined);
  }

  #status(): LabStatus {
    const { name, hosts, switches, cables, taps } = this.#plan;
    const processes = this.#processes.map(({ status }) => status);
    return { name, state: this.#state, hosts, switches, cables, taps, processes };
  }

  #change(state: LabState, error?: string): void {
    this.#state = state;
    emit({ type: 'lab', state, ...(error === undefined ? {} : { error }) });
  }
}

/** Runs a check once. Resolves with what is wrong, if anything is. */
async function checked({ host, argv, exit, output }: CheckPlan): Promise<string | undefined> {
  const { code, stdout, stderr } = await run(['ip', 'netns', 'exec', host, ...argv]);
  const what = `check on ${host}: ${argv.join(' ')}`;
  if (code !== exit) return `${what}: exit code ${code} instead of ${exit}: ${stderr.trim()}`;
  if (output === undefined || new RegExp(output).test(stdout)) return undefined;
  return `${what}: its output does not match ${output}`;
}

function emit(event: Happening, at: number = monotonic()): void {
  process.stdout.write(`${JSON.stringify({ at, ...event })}\n`);
}

let supervisor: Supervisor | undefined;
// Without its owner, who reads the events, the lab ends.
process.stdout.on('error', () => process.exit(1));
process.stdin.on('end', () => (supervisor === undefined ? process.exit(1) : supervisor.down()));
readLines(process.stdin, start, PLAN_LIMIT);

function start(line: string): void {
  if (supervisor !== undefined) return;
  supervisor = new Supervisor(JSON.parse(line) as Plan);
  void supervisor.up(process.argv[2]);
}
