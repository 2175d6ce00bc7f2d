// Streams that pass while something fails, by our own programs (stream.ts).
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readLines } from '../../src/lab/channel.ts';
import type { Turn } from '../harness/suite.ts';
import type { KindName } from './kinds.ts';
import type { Watched } from './stream.ts';

const PROGRAM = join(import.meta.dirname, 'stream.ts');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
/** How long the streams may take until all flow, and to end. */
const READY_MS = 10_000;
/** The longest line: all silences of all streams. */
const LINE = 16 * 2 ** 20;

/** The command of the host that serves. */
export const streamServer = (port: number): string[] => [...NODE, PROGRAM, 'serve', String(port)];

export interface StreamOptions {
  readonly address: string;
  readonly port: number;
  readonly kinds: readonly KindName[];
  /** Whether new connections are opened beside them, one after the other. */
  readonly knock: boolean;
}

/**
 * Runs `work` while one stream of each kind passes.
 * @throws Error when the streams do not start, or the client does not end
 */
export async function whileStreaming(
  turn: Turn,
  { address, port, kinds, knock }: StreamOptions,
  work: () => Promise<void>,
): Promise<Watched> {
  const argv = ['watch', address, String(port), kinds.join(), ...(knock ? ['--knock'] : [])];
  turn.ran('client', ['node', 'bench/load/stream.ts', ...argv]);
  const client = turn.stage.lab.spawn('client', [...NODE, PROGRAM, ...argv], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = client;
  if (stdin === null || stdout === null) throw new Error('the client was started without pipes');
  const ready = Promise.withResolvers<void>();
  const heard = Promise.withResolvers<Watched>();
  const onLine = (line: string): void => {
    if (line === 'ready') ready.resolve();
    else heard.resolve(JSON.parse(line) as Watched);
  };
  readLines(stdout, onLine, LINE);
  try {
    await within(ready.promise, READY_MS, 'the streams did not start');
    await work();
    stdin.end();
    return await within(heard.promise, READY_MS, 'the client did not end');
  } finally {
    client.kill();
  }
}

/** @throws Error with the complaint when it takes longer than `ms` */
export async function within<T>(promise: Promise<T>, ms: number, complaint: string): Promise<T> {
  const late = new AbortController();
  try {
    return await Promise.race([
      promise,
      delay(ms, undefined, { signal: late.signal }).then(() =>
        Promise.reject(new Error(complaint)),
      ),
    ]);
  } finally {
    late.abort();
  }
}
