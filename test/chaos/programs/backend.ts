// A backend of server-sent events and of a WebSocket echo, on port 8081.
//
//   GET /events/SEED/COUNT?pace=MS   so many events, one every so often; each has its number and its part of the stream
//   WebSocket at /echo               says what it is told
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { chunksOf } from '../../e2e/content.ts';
import { EVENT_BYTES } from '../event-bytes.ts';

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://backend');
  const [seed, count] = (/^\/events\/(\d+)\/(\d+)$/.exec(url.pathname) ?? []).slice(1).map(Number);
  if (count === undefined) {
    response.writeHead(404).end();
    return;
  }
  const pace = Number(url.searchParams.get('pace') ?? 0);
  tell(response, seed, count, pace).catch(() => response.destroy());
});

async function tell(
  response: ServerResponse,
  seed: number,
  count: number,
  pace: number,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' });
  let number = 0;
  for (const part of chunksOf(seed, count * EVENT_BYTES, EVENT_BYTES)) {
    response.write(`id: ${number++}\ndata: ${part.toString('hex')}\n\n`);
    await sleep(pace);
  }
  response.end();
}

new WebSocketServer({ server, path: '/echo' }).on('connection', (socket: WebSocket) => {
  socket.on('error', () => {});
  socket.on('message', (data: RawData, binary: boolean) => socket.send(data, { binary }));
});
server.listen(8081);
