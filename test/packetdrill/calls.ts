// System calls: what each is given, how it may end, and which exist.
import type { Micros } from '../../src/env/clock.ts';
import { evaluate } from './constants.ts';
import type { CallSpec, Expression } from './script.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { ScriptError, Unsupported } from './verdict.ts';
import type { World } from './world.ts';

/** A call's result, or that it waits. */
export type Outcome = { readonly value: number; readonly error?: string } | 'blocked';

export interface Epoll {
  /** Interest by descriptor. */
  readonly interest: Map<number, { events: number; reported: number; data: number }>;
}

export type Descriptor = TcpSocket | Epoll;

export class Descriptors {
  readonly #open = new Map<number, Descriptor>();

  /** The lowest free number, as Unix has it; 0 to 2 are taken. */
  add(descriptor: Descriptor): number {
    let fd = 3;
    while (this.#open.has(fd)) fd++;
    this.#open.set(fd, descriptor);
    return fd;
  }

  get(fd: number): Descriptor | undefined {
    return this.#open.get(fd);
  }

  remove(fd: number): void {
    this.#open.delete(fd);
    for (const other of this.#open.values()) if ('interest' in other) other.interest.delete(fd);
  }

  *sockets(): IterableIterator<[number, TcpSocket]> {
    for (const [fd, descriptor] of this.#open) {
      if (!('interest' in descriptor)) yield [fd, descriptor];
    }
  }
}

/** One call under way. It is tried again whenever something has happened, until it no longer waits. */
export interface Call {
  readonly spec: CallSpec;
  readonly line: number;
  readonly world: World;
  readonly descriptors: Descriptors;
  readonly startedAt: Micros;
  /** When a call with a time limit gives up waiting. */
  deadline: Micros;
  /** Bytes that it has taken or handed out so far. */
  done: number;
  /** What it has begun need not be begun again. */
  begun: boolean;
}

export type Handler = (call: Call) => Outcome;

export const ok = (value = 0): Outcome => ({ value });
export const fail = (error: string): Outcome => ({ value: -1, error });

/** The argument at `index`. @throws ScriptError if there is none */
export function argument({ spec, line }: Call, index: number): Expression {
  const found = spec.arguments[index];
  if (found === undefined) {
    throw new ScriptError(line, `${spec.name} needs at least ${index + 1} arguments`);
  }
  return found;
}

export const numberAt = (call: Call, index: number): number =>
  evaluate(argument(call, index), call.line);

/** The number at `index`, or `otherwise` where the script leaves it open or out. */
export function optionalNumberAt(call: Call, index: number, otherwise: number): number {
  const found = call.spec.arguments[index];
  return found === undefined || found.kind === 'any' ? otherwise : evaluate(found, call.line);
}

/** The socket that the first argument names; an outcome if it names none. */
export function socketOf(call: Call): TcpSocket | Outcome {
  const descriptor = call.descriptors.get(numberAt(call, 0));
  if (descriptor === undefined) return fail('EBADF');
  return 'interest' in descriptor ? fail('ENOTSOCK') : descriptor;
}

export const isSocket = (found: TcpSocket | Outcome): found is TcpSocket =>
  found !== 'blocked' && 'waiting' in found;

/** The fields of a struct. @throws ScriptError if the expression is none */
export function fieldsOf(expression: Expression, line: number): ReadonlyMap<string, Expression> {
  if (expression.kind === 'struct') return expression.fields;
  const [only] = expression.kind === 'list' ? expression.items : [];
  if (only?.kind === 'struct') return only.fields;
  throw new ScriptError(line, 'a struct in braces expected');
}

/** @throws ScriptError if the script states another value than the call gave */
export function expectValue(
  what: string,
  expected: Expression | undefined,
  actual: number,
  line: number,
): void {
  if (expected === undefined || expected.kind === 'any') return;
  const wanted = evaluate(expected, line);
  if (wanted !== actual) throw new ScriptError(line, `${what}: ${wanted} expected, not ${actual}`);
}

export function unsupported({ line }: Call, what: string): never {
  throw new Unsupported(line, what);
}
