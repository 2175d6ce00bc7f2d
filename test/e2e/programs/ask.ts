// A client that asks for many streams on one connection, some of them at a time, and reports what it heard.
//
//   node ask.ts HOST REQUESTS LENGTH     asks for /bytes/1/LENGTH, /bytes/2/LENGTH, ...
//
// Prints one line of JSON: the responses, the SHA-256 of their bodies in turn, and how it ended.
import { createHash } from 'node:crypto';
import { createConnection } from 'node:net';

/** Requests without a response at a time. */
const AHEAD = 16;

const [host, requests, length] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const hash = createHash('sha256');
let asked = 0;
let answered = 0;
let waiting = Buffer.alloc(0);
const socket = createConnection({ host: String(host), port: 80, noDelay: true });

function ask(): void {
  while (asked < requests && asked < answered + AHEAD) {
    socket.write(`GET /bytes/${++asked}/${length} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  if (answered === requests) socket.end();
}

socket.on('connect', ask);
socket.on('data', (data) => {
  waiting = Buffer.concat([waiting, data]);
  for (;;) {
    const head = waiting.indexOf('\r\n\r\n') + 4;
    if (head < 4 || waiting.length < head + length) break;
    hash.update(waiting.subarray(head, head + length));
    waiting = waiting.subarray(head + length);
    answered++;
  }
  ask();
});
socket.on('error', (error: NodeJS.ErrnoException) => {
  console.error(error.code);
});
socket.on('close', () => {
  console.log(JSON.stringify({ answered, left: waiting.length, sha256: hash.digest('hex') }));
});
