// A backend of the tests: HTTP on port 80, plain TCP on others.
//
//   GET /bytes/SEED/LENGTH          that stream; `?pace=MS&chunk=BYTES` a chunk every so often,
//                                   `?delay=MS` after a while, `?close` ends the connection
//   POST /hash                      the SHA-256 of the body and its length
//   port 25: speaks first, then echoes lines     port 26: echoes what it is told, and closes when told
//   port 27: says 100,000 bytes of stream 27, closes its side, and reports what it is told on port 28
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { chunksOf } from '../content.ts';

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.destroy());
});
server.keepAliveTimeout = 60_000;
// Not in the types: a client that has closed its side still gets its answer.
Object.assign(server, { httpAllowHalfOpen: true });
server.listen(80);

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://backend');
  const option = (name: string): number => Number(url.searchParams.get(name) ?? 0);
  if (option('delay') > 0) await sleep(option('delay'));
  if (url.searchParams.has('close')) response.setHeader('Connection', 'close');
  if (request.method === 'POST') {
    const hash = createHash('sha256');
    let length = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      hash.update(chunk);
      length += chunk.length;
    }
    send(response, Buffer.from(`${hash.digest('hex')} ${length}\n`));
    return;
  }
  const match = /\/bytes\/(\d+)\/(\d+)$/.exec(url.pathname);
  if (match === null) {
    send(response, Buffer.from('ok\n'));
    return;
  }
  const [seed, length] = match.slice(1).map(Number);
  response.setHeader('Content-Length', length);
  for (const chunk of chunksOf(seed, length, option('chunk') || undefined)) {
    if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve));
    if (option('pace') > 0) await sleep(option('pace'));
  }
  response.end();
}

function send(response: ServerResponse, body: Buffer): void {
  response.setHeader('Content-Length', body.length);
  response.end(body);
}

createTcpServer((socket) => {
  socket.on('error', () => {});
  socket.write('220 ready\n');
  socket.pipe(socket);
}).listen(25);

createTcpServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  const hash = createHash('sha256');
  let length = 0;
  socket.on('data', (data) => {
    hash.update(data);
    length += data.length;
  });
  // The client has closed its side, and still gets an answer.
  socket.on('end', () => socket.end(`${hash.digest('hex')} ${length}\n`));
}).listen(26);

let told = '';
createTcpServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  for (const chunk of chunksOf(27, 100_000)) socket.write(chunk);
  socket.end();
  const hash = createHash('sha256');
  socket.on('data', (data) => hash.update(data));
  socket.on('end', () => {
    told = hash.digest('hex');
  });
}).listen(27);

createServer((_, response) => send(response, Buffer.from(told))).listen(28);
