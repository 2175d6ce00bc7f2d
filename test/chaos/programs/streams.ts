// Clients that keep one connection for long: server-sent events, a WebSocket, requests in turn.
import { setTimeout as sleep } from 'node:timers/promises';
import { request, WebSocket } from 'undici';
import { below } from '../../../src/env/random.ts';
import { monotonic } from '../../../src/lab/event.ts';
import { chunksOf, digestOf } from '../../e2e/content.ts';
import { get, type Party, takeResponse } from '../../e2e/programs/exchanges.ts';
import { HOST, Line, PATIENCE_MS, WrongBytes } from '../../e2e/programs/line.ts';
import { EVENT_BYTES } from '../event-bytes.ts';

/** Milliseconds between two events, and between two messages. */
const PACE = 25;

/** What an exchange has done. */
export interface Tally {
  readonly requests: number;
  readonly bytes: number;
}

/** Server-sent events: every number once and in its turn, with its bytes. */
export async function serverSentEvents(party: Party): Promise<Tally> {
  const seed = party.nextSeed();
  const count = Math.ceil(party.rest() / PACE);
  const url = `http://${HOST}/events/${seed}/${count}?pace=${PACE}`;
  const timeouts = { headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS };
  const { statusCode, body } = await request(url, { reset: true, ...timeouts });
  if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
  const parts = chunksOf(seed, count * EVENT_BYTES, EVENT_BYTES);
  let number = 0;
  let pending = '';
  let since = monotonic();
  for await (const chunk of body as AsyncIterable<Buffer>) {
    const now = monotonic();
    party.onWait?.(since, now);
    pending += chunk.toString('latin1');
    for (let end = pending.indexOf('\n\n'); end >= 0; end = pending.indexOf('\n\n')) {
      const event = pending.slice(0, end);
      pending = pending.slice(end + 2);
      const data = (parts.next().value as Buffer | undefined)?.toString('hex');
      if (event !== `id: ${number}\ndata: ${data}`) {
        throw new WrongBytes(`event ${number} is ${event.slice(0, 60)}`);
      }
      number++;
    }
    since = now;
  }
  if (number !== count) throw new Error(`${number} events of ${count}`);
  return { requests: 1, bytes: 2 * count * EVENT_BYTES };
}

/** A WebSocket on which every message must come back as it was. */
export async function webSocketEcho(party: Party): Promise<Tally> {
  const socket = new WebSocket(`ws://${HOST}/echo`);
  socket.binaryType = 'arraybuffer';
  let wake = Promise.withResolvers<Buffer>();
  socket.addEventListener('message', ({ data }) => wake.resolve(Buffer.from(data as ArrayBuffer)));
  const closed = Promise.withResolvers<number>();
  socket.addEventListener('close', ({ code }) => closed.resolve(code));
  const broken = closed.promise.then((code) => {
    throw new Error(`closed with ${code}`);
  });
  broken.catch(() => {});
  const opened = new Promise((resolve) => socket.addEventListener('open', resolve));
  await within(Promise.race([opened, broken]), 'no handshake');
  let requests = 0;
  let bytes = 0;
  while (party.rest() > 0) {
    const seed = party.nextSeed();
    const [message] = chunksOf(seed, 1 + below(party.random, 8_000));
    const since = monotonic();
    wake = Promise.withResolvers<Buffer>();
    socket.send(message);
    const echo = await within(Promise.race([wake.promise, broken]), 'no echo');
    party.onWait?.(since, monotonic());
    if (!echo.equals(message)) throw new WrongBytes('another message came back');
    requests++;
    bytes += 2 * echo.length;
    await sleep(PACE);
  }
  socket.close(1_000);
  const code = await within(closed.promise, 'no close');
  if (code !== 1_000) throw new Error(`closed with ${code}`);
  return { requests, bytes };
}

/** Requests in turn on one connection, of either kind, with a think time between them. */
export async function keepAlive(party: Party): Promise<Tally> {
  const line = new Line(80, { onWait: party.onWait });
  let requests = 0;
  let bytes = 0;
  for (let last = false; !last; requests++) {
    last = party.rest() === 0;
    const query = last ? '?close' : '';
    const seed = party.nextSeed();
    const length = below(party.random, 20_000);
    if (below(party.random, 3) > 0) {
      await line.write(get(seed, length, query));
      await takeResponse(line, seed, length);
    } else {
      const head = `POST /hash${query} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
      await line.write(Buffer.concat([Buffer.from(head), ...chunksOf(seed, length)]));
      await line.until('\r\n\r\n');
      const answer = await line.until('\n');
      if (answer !== `${digestOf(seed, length)} ${length}`)
        throw new WrongBytes(`hashed ${answer}`);
    }
    bytes += length;
    await sleep(below(party.random, 60));
  }
  await line.close();
  return { requests, bytes };
}

async function within<T>(event: Promise<T>, missing: string): Promise<T> {
  const patience = new AbortController();
  const late = sleep(PATIENCE_MS, undefined, { signal: patience.signal }).then(
    () => {
      throw new Error(`silence: ${missing}`);
    },
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([event, late]);
  } finally {
    patience.abort();
  }
}
