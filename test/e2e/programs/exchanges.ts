// What clients say and what they must hear, in every phase that a connection has.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../../src/env/random.ts';
import { chunksOf, digestOf } from '../content.ts';
import { Line, type OnWait, WrongBytes } from './line.ts';

/** What exchanges need to know of those who begin them. */
export interface Party {
  /** A uint32 that no exchange had before: the name of a stream of its own. */
  nextSeed(): number;
  readonly random: Random;
  /** How many milliseconds a long exchange must still go on. */
  rest(): number;
  /** Told of the waits of those whose server never rests. */
  readonly onWait?: OnWait | undefined;
}

export const get = (seed: number, length: number, query = ''): string =>
  `GET /bytes/${seed}/${length}${query} HTTP/1.1\r\nHost: x\r\n\r\n`;

export async function takeResponse(line: Line, seed: number, length: number): Promise<void> {
  const head = await line.until('\r\n\r\n');
  if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(`answered ${head.split('\r\n', 1)[0]}`);
  const hash = createHash('sha256');
  await line.take(length, (bytes) => hash.update(bytes));
  if (hash.digest('hex') !== digestOf(seed, length)) throw new WrongBytes('wrong bytes');
}

/** Exchanges that last; each calls `started` when it is under way and returns the bytes that passed. */
export const longExchanges = (
  party: Party,
): Record<string, (started: () => void) => Promise<number>> => ({
  async download(started) {
    const seed = party.nextSeed();
    const chunks = Math.ceil(party.rest() / 20);
    const line = new Line(80, { onWait: party.onWait });
    await line.write(get(seed, chunks * 20_000, '?pace=20&chunk=20000&close'));
    started();
    await takeResponse(line, seed, chunks * 20_000);
    await line.close();
    return chunks * 20_000;
  },
  async upload(started) {
    const seed = party.nextSeed();
    const chunks = Math.ceil(party.rest() / 20);
    const length = chunks * 20_000;
    const line = new Line(80);
    await line.write(`POST /hash?close HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
    started();
    for (const chunk of chunksOf(seed, length, 20_000)) {
      await line.write(chunk);
      await sleep(20);
    }
    await line.until('\r\n\r\n');
    const answer = await line.until('\n');
    if (answer !== `${digestOf(seed, length)} ${length}`) throw new WrongBytes(`hashed ${answer}`);
    await line.close();
    return length;
  },
  async 'head in halves'(started) {
    const seed = party.nextSeed();
    const line = new Line(80, { noDelay: false });
    const text = get(seed, 5_000, '?close');
    await line.write(text.slice(0, 15));
    started();
    await sleep(1_000);
    await line.write(text.slice(15));
    await takeResponse(line, seed, 5_000);
    await line.close();
    return 5_000;
  },
  async 'head in pieces'(started) {
    const seed = party.nextSeed();
    const line = new Line(80, { noDelay: false });
    const text = get(seed, 5_000, '?close');
    started();
    for (let at = 0; at < text.length; at += 4) {
      await line.write(text.slice(at, at + 4));
      await sleep(100);
    }
    await takeResponse(line, seed, 5_000);
    await line.close();
    return 5_000;
  },
  async 'late answer'(started) {
    const seed = party.nextSeed();
    const line = new Line(80);
    await line.write(get(seed, 5_000, '?delay=1200&close'));
    started();
    await takeResponse(line, seed, 5_000);
    await line.close();
    return 5_000;
  },
  async 'idle keep-alive'(started) {
    const line = new Line(80);
    for (let turn = 0; turn < 2; turn++) {
      const seed = party.nextSeed();
      await line.write(get(seed, 5_000));
      await takeResponse(line, seed, 5_000);
      started();
      await sleep(1_500);
    }
    const seed = party.nextSeed();
    await line.write(get(seed, 5_000, '?close'));
    await takeResponse(line, seed, 5_000);
    await line.close();
    return 15_000;
  },
  async 'plain talk'(started) {
    const line = new Line(25, { onWait: party.onWait });
    if ((await line.until('\n')) !== '220 ready') throw new Error('no greeting');
    started();
    let bytes = 0;
    for (let turn = 0; party.rest() > 0; turn++) {
      await line.write(`hello ${turn}\n`);
      const echo = await line.until('\n');
      if (echo !== `hello ${turn}`) throw new WrongBytes(`echoed ${echo}`);
      bytes += 2 * echo.length;
      await sleep(30);
    }
    await line.close();
    return bytes;
  },
  async 'half-closed'(started) {
    const seed = party.nextSeed();
    const line = new Line(26);
    for (const chunk of chunksOf(seed, 20_000)) await line.write(chunk);
    started();
    await sleep(1_100);
    line.socket.end();
    const answer = await line.until('\n');
    if (answer !== `${digestOf(seed, 20_000)} 20000`) throw new WrongBytes(`hashed ${answer}`);
    await line.end();
    return 20_000;
  },
});

/** Exchanges of a moment; each returns the bytes that passed. */
export const shortExchanges = (party: Party): Record<string, () => Promise<number>> => ({
  async get() {
    const seed = party.nextSeed();
    const length = party.random.uint32() % 30_000;
    const line = new Line(80);
    await line.write(get(seed, length, '?close'));
    await takeResponse(line, seed, length);
    await line.close();
    return length;
  },
  async post() {
    const seed = party.nextSeed();
    const length = party.random.uint32() % 30_000;
    const line = new Line(80);
    await line.write(`POST /hash?close HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
    for (const chunk of chunksOf(seed, length)) await line.write(chunk);
    await line.until('\r\n\r\n');
    if ((await line.until('\n')) !== `${digestOf(seed, length)} ${length}`)
      throw new WrongBytes('wrong hash');
    await line.close();
    return length;
  },
  async tell() {
    const seed = party.nextSeed();
    const line = new Line(26);
    for (const chunk of chunksOf(seed, 3_000)) await line.write(chunk);
    line.socket.end();
    if ((await line.until('\n')) !== `${digestOf(seed, 3_000)} 3000`)
      throw new WrongBytes('wrong hash');
    await line.end();
    return 3_000;
  },
});
