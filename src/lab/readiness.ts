/** Whether a process of the lab has begun to serve. Runs within the lab. */
import { readFileSync } from 'node:fs';
import { run } from './run.ts';
import type { Ready } from './topology.ts';

/** The state of a listening socket in /proc/net/tcp (proc(5); TCP_LISTEN of the kernel). */
const LISTEN = '0A';
/** Longest wait for one answer to an HTTP check. */
const HTTP_TIMEOUT_SECONDS = '2';

/** Whether `check` succeeds now, for the process `pid` in the network namespace `namespace`. */
export async function isReady(check: Ready, pid: number, namespace: string): Promise<boolean> {
  if ('tcp' in check) return listens(pid, check.tcp);
  const url = new URL(check.http);
  const port = url.port === '' ? 80 : Number(url.port);
  // A look at the socket table costs nothing; only then a client is started.
  return listens(pid, port) && (await answers(namespace, check.http));
}

/** The process's view of its namespace's sockets spares a connection, which it would have to serve. */
function listens(pid: number, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['tcp', 'tcp6'].some((table) =>
    lines(`/proc/${pid}/net/${table}`).some((line) => {
      const [, local, , state] = line.trim().split(/\s+/);
      return state === LISTEN && local.endsWith(suffix);
    }),
  );
}

async function answers(namespace: string, url: string): Promise<boolean> {
  const curl = ['curl', '--silent', '--output', '/dev/null', '--noproxy', '*'];
  const options = ['--write-out', '%{http_code}', '--max-time', HTTP_TIMEOUT_SECONDS];
  const { stdout } = await run(['ip', 'netns', 'exec', namespace, ...curl, ...options, url]);
  return stdout.startsWith('2');
}

function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}
