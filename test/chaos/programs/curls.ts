// curl as a client: what it fetches is hashed here, what it uploads is made here.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { chunksOf, digestOf } from '../../e2e/content.ts';
import { HOST, PATIENCE_MS, WrongBytes } from '../../e2e/programs/line.ts';

/** Fails when a second a byte is too much for so long. */
const PATIENCE = ['--speed-limit', '1', '--speed-time', String(PATIENCE_MS / 1_000)];

/** Bytes a second. */
const RATE = 4_000_000;

type Curl = ChildProcessByStdio<Writable, Readable, Readable>;

function curl(path: string, ...options: readonly string[]): Curl {
  // The port on the standard error finds it in captures.
  const port = ['--write-out', '%{stderr}port %{local_port}'];
  const common = ['-sS', '--fail', ...PATIENCE, '--limit-rate', String(RATE), ...port];
  const argv = [...common, ...options, `http://${HOST}${path}`];
  return spawn('curl', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Waits for its end. @throws Error with what it says when it ends otherwise than well. */
async function done(child: Curl): Promise<string> {
  const closed = once(child, 'close');
  const said = (await text(child.stderr)).replaceAll('\n', ' ');
  const [code] = (await closed) as [number];
  if (code !== 0) throw new Error(`curl ended with ${code}: ${said}`);
  return said;
}

/** Downloads `path`, whose bytes have the hash `sha256`; returns how many they were. */
export async function curlDownload(path: string, sha256: string, length: number): Promise<number> {
  const child = curl(path);
  child.stdin.end();
  const ended = done(child);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const said = await ended;
  if (bytes !== length || hash.digest('hex') !== sha256) {
    throw new WrongBytes(`${bytes} bytes of ${length}, or others than they should be; ${said}`);
  }
  return bytes;
}

/** Uploads `length` bytes of the stream `seed`; the answer is their hash. */
export async function curlUpload(seed: number, length: number): Promise<number> {
  const child = curl('/hash', '--request', 'POST', '--upload-file', '-');
  const ended = done(child);
  const answer = text(child.stdout);
  // A curl that fails closes its input, and says why itself.
  await pipeline(chunksOf(seed, length), child.stdin).catch(() => {});
  const said = await ended;
  if ((await answer).trim() !== `${digestOf(seed, length)} ${length}`) {
    throw new WrongBytes(`the server hashed ${await answer}; ${said}`);
  }
  return length;
}
