/** Commands in a lab that another process holds, in the caller's terminal. */
import { spawn } from 'node:child_process';
import { ask } from '../../lab/control-client.ts';
import type { LabStatus } from '../../lab/control-server.ts';
import { withSystemPrograms } from '../../lab/find-program.ts';
import { enterArgv } from '../../lab/isolation.ts';
import { LabError } from '../../lab/lab-error.ts';
import { exitCode } from '../../lab/run.ts';
import { findLab, socketPath } from '../../lab/state.ts';

/** A lab that can be entered. */
export interface OpenLab {
  readonly pid: number;
  readonly status: LabStatus;
}

/** @throws LabError when there is no such lab, or it is still being made. */
export async function openLab(name: string | undefined): Promise<OpenLab> {
  const { folder, state } = findLab(name);
  if (state.lab === undefined) {
    throw new LabError(`lab ${state.name} is still being built; see: suture lab status`);
  }
  const status = (await ask(socketPath(folder), 'GET', '/status')) as LabStatus;
  return { pid: state.lab.pid, status };
}

/**
 * Runs `argv` in a network namespace of the lab with the caller's input, output, terminal and working
 * folder; resolves with its exit code.
 */
export function runInTerminal(pid: number, node: string, argv: readonly string[]): Promise<number> {
  const options = { folder: process.cwd(), terminal: true };
  const [program, ...args] = enterArgv(pid, node, argv, options);
  const child = spawn(program, args, { stdio: 'inherit', env: withSystemPrograms() });
  // A terminal sends these to all who are in the foreground; they are for the command to handle.
  for (const signal of ['SIGINT', 'SIGQUIT']) process.on(signal, () => {});
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => resolve(exitCode(child)));
  });
}
