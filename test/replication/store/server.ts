// A real server for tests: Debian's redis-server on a port of its own, which keeps nothing on disk.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../../src/lab/find-program.ts';

const program = findProgram('redis-server') ?? findProgram('valkey-server');

/** False, and a reason is printed, where tests must be skipped. */
export const hasServer = program !== undefined;
if (!hasServer) console.warn('skipped: tests with redis-server, which is not installed');

const running = new Set<ChildProcess>();
const folders: string[] = [];

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export function startServer(port: number, ...more: string[]): ChildProcess {
  const folder = mkdtempSync(join(tmpdir(), 'suture-store-'));
  folders.push(folder);
  const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const server = spawn(program ?? '', ['--port', String(port), ...settings, ...more], {
    stdio: 'ignore',
  });
  running.add(server);
  return server;
}

export async function kill(server: ChildProcess): Promise<void> {
  running.delete(server);
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, 'exit');
  server.kill('SIGKILL');
  await exited;
}

/** Kills all that were started, and removes what they had. */
export async function killAll(): Promise<void> {
  for (const server of [...running]) await kill(server);
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}
