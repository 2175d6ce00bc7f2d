// The system below a script: takes its calls one after another, of which one may wait.
import { type Call, Descriptors, type Handler, type Outcome } from './calls.ts';
import { CONNECTION_CALLS } from './calls-connection.ts';
import { IO_CALLS } from './calls-io.ts';
import { OPTION_CALLS } from './calls-options.ts';
import { POLL_CALLS } from './calls-poll.ts';
import { ERRORS, evaluate } from './constants.ts';
import type { CallSpec } from './script.ts';
import { TcpSocket } from './tcp-socket.ts';
import { ScriptError, Unsupported } from './verdict.ts';
import type { World } from './world.ts';

const CALLS: Readonly<Record<string, Handler>> = {
  ...CONNECTION_CALLS,
  ...IO_CALLS,
  ...OPTION_CALLS,
  ...POLL_CALLS,
};

export class System {
  readonly descriptors = new Descriptors();
  readonly #world: World;
  /** The call that waits, and the outcome of the last one that has waited. */
  #waiting: Call | undefined;
  #onDone: (endedAt: number) => void = () => {};

  constructor(world: World) {
    this.#world = world;
    world.onStep = () => this.#progress();
  }

  /** The line of the call that waits; undefined if none does. */
  get waitingLine(): number | undefined {
    return this.#waiting?.line;
  }

  /**
   * Makes a call and checks its result.
   * @param done is told when a call ends that has had to wait
   */
  call(spec: CallSpec, line: number, done: (endedAt: number) => void): void {
    const world = this.#world;
    const handler = CALLS[spec.name];
    if (handler === undefined) throw new Unsupported(line, `system call ${spec.name}`);
    const call: Call = {
      spec,
      line,
      world,
      descriptors: this.descriptors,
      startedAt: world.now,
      deadline: Number.POSITIVE_INFINITY,
      done: 0,
      begun: false,
    };
    const outcome = handler(call);
    if (outcome !== 'blocked') {
      check(call, outcome);
      if (spec.until !== undefined) done(world.now);
      return;
    }
    if (spec.until === undefined) throw new ScriptError(line, `${spec.name} would block`);
    this.#waiting = call;
    this.#onDone = done;
    world.wakeAt = call.deadline;
  }

  /** A socket for the connection that the script writes, as long as its handshake is under way. */
  halfOpen(world: World): TcpSocket | undefined {
    for (const connection of world.host.tcp.connections()) {
      if (connection.remote.port !== world.flow.remotePort) continue;
      const socket = new TcpSocket();
      socket.connection = connection;
      return socket;
    }
    return undefined;
  }

  /** Tries the waiting call again. */
  #progress(): void {
    const call = this.#waiting;
    if (call === undefined) return;
    const outcome = CALLS[call.spec.name]?.(call) ?? 'blocked';
    if (outcome === 'blocked') return;
    this.#waiting = undefined;
    this.#world.wakeAt = Number.POSITIVE_INFINITY;
    check(call, outcome);
    this.#onDone(this.#world.now);
  }
}

/** @throws ScriptError if a call has ended otherwise than the script says */
function check({ spec, line }: Call, outcome: Exclude<Outcome, 'blocked'>): void {
  const got = outcome.error === undefined ? `${outcome.value}` : `-1 ${outcome.error}`;
  const { result, error } = spec;
  const wrong = (expected: string): never => {
    throw new ScriptError(line, `${spec.name} returned ${got}, expected ${expected}`);
  };
  if (result.kind === 'any' && error === undefined) return;
  if (error !== undefined) {
    const same = outcome.error !== undefined && ERRORS[error] === ERRORS[outcome.error];
    if (ERRORS[error] === undefined) throw new Unsupported(line, `error ${error}`);
    if (!same) wrong(`-1 ${error}`);
    return;
  }
  const expected = evaluate(result, line);
  if (outcome.error !== undefined || outcome.value !== expected) wrong(String(expected));
}
