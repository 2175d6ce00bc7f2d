import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { withSystemPrograms } from './find-program.ts';

/** What a command did. */
export interface Outcome {
  /** Its exit code; 128 plus the signal's number when a signal ended it, as a shell has it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array | undefined;
  /** Longest run in milliseconds; then it is killed and the promise rejects. */
  readonly timeoutMs?: number | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly cwd?: string | undefined;
}

/** Bytes of output kept of each stream; a command that writes more is killed. */
const OUTPUT_LIMIT = 64 * 1024 * 1024;

/**
 * Runs a command to its end and collects what it writes.
 * @throws Error when it cannot be started, runs too long or writes too much.
 */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { stdin, timeoutMs = 60_000, env, cwd } = options;
  const child = spawn(argv[0], argv.slice(1), {
    stdio: 'pipe',
    env: withSystemPrograms(env),
    cwd,
  });
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  let fault: Error | undefined;
  const stop = (reason: string): void => {
    fault ??= new Error(`${argv.join(' ')}: ${reason}`);
    child.kill('SIGKILL');
  };
  const timer = setTimeout(() => stop(`not done after ${timeoutMs} ms`), timeoutMs);
  const stdout = collect(child.stdout, () => stop('too much output'));
  const stderr = collect(child.stderr, () => stop('too much output'));
  child.on('error', (error) => {
    clearTimeout(timer);
    reject(error);
  });
  child.on('close', () => {
    clearTimeout(timer);
    if (fault !== undefined) reject(fault);
    else resolve({ code: exitCode(child), stdout: stdout(), stderr: stderr() });
  });
  // A command that does not read its input may end before it is written.
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  return promise;
}

/** The exit code of a child that has ended, as a shell has it. */
export function exitCode({ exitCode, signalCode }: ChildProcess): number {
  return exitCode ?? 128 + (signalCode === null ? 0 : constants.signals[signalCode]);
}

function collect(stream: Readable, tooMuch: () => void): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > OUTPUT_LIMIT) tooMuch();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
