// A client that says what it is told, piece by piece, and reports what it heard: for what curl cannot say.
//
//   node talk.ts '{"host", "port", "noDelay", "steps": [{"say", "stream", "pause", "heard"}], "end", "linger"}'
//
// Prints one line of JSON: what was heard (its beginning, its length, the SHA-256 of all of it and of what
// follows the first empty line), and how it ended. One that takes too long is given up, and says how it stood.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { chunksOf } from '../content.ts';

export interface Talk {
  readonly host: string;
  readonly port: number;
  /** False for Nagle's algorithm. */
  readonly noDelay?: boolean;
  readonly steps: readonly {
    /** Text to say, and a stream of bytes after it: its seed and length. */
    readonly say?: string;
    readonly stream?: readonly [seed: number, length: number];
    /** Milliseconds to wait before; bytes to have heard before. */
    readonly pause?: number;
    readonly heard?: number;
  }[];
  /** `end`: closes its side after the last step; `reset`: aborts; else the server ends. */
  readonly end?: 'end' | 'reset';
}

export interface Heard {
  readonly text: string;
  readonly length: number;
  readonly sha256: string;
  readonly bodySha256: string;
  /** The server closed its side. */
  readonly ended: boolean;
  readonly error?: string;
}

/** In milliseconds: tests wait longer. */
const LONGEST = 20_000;

const talk = JSON.parse(process.argv[2]) as Talk;
const { host, port, noDelay = true, steps, end } = talk;
const hash = createHash('sha256');
const bodyHash = createHash('sha256');
let head: string | undefined = '';
let length = 0;
let text = '';
let ended = false;
let error: string | undefined;
const socket = createConnection({ host, port, noDelay, allowHalfOpen: true });
socket.on('data', (data) => {
  hash.update(data);
  length += data.length;
  if (head === undefined) bodyHash.update(data);
  else {
    head += data.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end >= 0) {
      bodyHash.update(head.slice(end + 4), 'latin1');
      head = undefined;
    }
  }
  if (text.length < 2_000) text += data.toString('latin1').slice(0, 2_000);
});
socket.on('end', () => {
  ended = true;
  if (end !== 'end') socket.end();
});
socket.on('error', (fault: NodeJS.ErrnoException) => {
  error = fault.code;
});
const closed = new Promise((resolve) => socket.once('close', resolve));
setTimeout(() => {
  const stood = `${socket.readyState}, port ${socket.localPort}, after ${LONGEST} ms`;
  socket.destroy(Object.assign(new Error(stood), { code: `stuck: ${stood}` }));
}, LONGEST).unref();
await once(socket, 'connect').catch(() => {});
for (const { say, stream, pause = 0, heard = 0 } of steps) {
  while (length < heard && !socket.destroyed && !ended) await sleep(1);
  if (pause > 0) await sleep(pause);
  if (socket.destroyed) break;
  if (say !== undefined) socket.write(say, 'latin1');
  for (const chunk of stream === undefined ? [] : chunksOf(...stream)) {
    if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), closed]);
  }
}
if (end === 'end') socket.end();
if (end === 'reset') socket.resetAndDestroy();
await closed;
const digests = { sha256: hash.digest('hex'), bodySha256: bodyHash.digest('hex') };
console.log(JSON.stringify({ text, length, ...digests, ended, error }));
