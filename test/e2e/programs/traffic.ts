// Clients of every kind at once, so that a failure finds connections in every phase: what each was answered is
// checked, and what went wrong is told.
//
//   node traffic.ts '{"seed", "forMs"}'
//
// Prints `ready` when its long exchanges are under way, and at the end a line of JSON.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../../src/env/random.ts';
import { chunksOf, digestOf } from '../content.ts';

export interface TrafficOptions {
  readonly seed: number;
  /** How long short exchanges are begun, and long ones last at least. */
  readonly forMs: number;
}

export interface TrafficReport {
  /** Exchanges by kind. */
  readonly done: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
  /** The longest that a download, whose server never rests, waited for its next bytes, in milliseconds. */
  readonly longestGapMs: number;
}

const HOST = '10.0.0.100';
/** Nothing may take longer than this without a byte. */
const PATIENCE_MS = 15_000;
const { seed: firstSeed, forMs } = JSON.parse(process.argv[2]) as TrafficOptions;
const random = seededRandom(firstSeed);
const start = performance.now();
const done: Record<string, number> = {};
const faults: string[] = [];
let longestGapMs = 0;
let seeds = firstSeed * 1_000_000;

/** One connection: what was heard and is not yet taken, and how it ended. */
class Line {
  readonly socket: Socket;
  longestWaitMs = 0;
  #heard = Buffer.alloc(0);
  #ended = false;
  #error: string | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(port: number, noDelay = true) {
    this.socket = createConnection({ host: HOST, port, noDelay, allowHalfOpen: true });
    this.socket.on('data', (data) => {
      this.#heard = Buffer.concat([this.#heard, data]);
      this.#notify();
    });
    this.socket.on('end', () => {
      this.#ended = true;
      this.#notify();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error.code ?? error.message;
      this.#notify();
    });
  }

  /** Exactly `length` bytes. */
  async take(length: number, visit: (bytes: Buffer) => void = () => {}): Promise<void> {
    let left = length;
    while (left > 0) {
      if (this.#heard.length === 0) await this.#more(`${left} of ${length} bytes are missing`);
      const bytes = this.#heard.subarray(0, left);
      this.#heard = this.#heard.subarray(bytes.length);
      left -= bytes.length;
      visit(bytes);
    }
  }

  /** What comes before the next `mark`. */
  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#heard.indexOf(mark);
      if (at >= 0) {
        const text = this.#heard.toString('latin1', 0, at);
        this.#heard = this.#heard.subarray(at + mark.length);
        return text;
      }
      await this.#more(`no ${JSON.stringify(mark)} after ${this.#heard.length} bytes`);
    }
  }

  /** The server's end, without a byte before it. */
  async end(): Promise<void> {
    while (!this.#ended) {
      if (this.#heard.length > 0) throw new Error(`${this.#heard.length} bytes too many`);
      await this.#more('no end');
    }
  }

  async write(bytes: Buffer | string): Promise<void> {
    if (this.#error !== undefined) throw new Error(this.#error);
    if (!this.socket.write(bytes))
      await Promise.race([once(this.socket, 'drain'), this.#wake.promise]);
  }

  async close(): Promise<void> {
    this.socket.end();
    await this.end();
  }

  async #more(missing: string): Promise<void> {
    if (this.#error !== undefined) throw new Error(`${this.#error}: ${missing}`);
    if (this.#ended) throw new Error(`ended: ${missing}`);
    this.#wake = Promise.withResolvers();
    const since = performance.now();
    const patience = new AbortController();
    const late = sleep(PATIENCE_MS, 'late', { signal: patience.signal }).catch(() => 'woken');
    const outcome = await Promise.race([this.#wake.promise, late]);
    patience.abort();
    this.longestWaitMs = Math.max(this.longestWaitMs, performance.now() - since);
    if (outcome === 'late') throw new Error(`silence: ${missing}`);
  }

  #notify(): void {
    this.#wake.resolve();
  }
}

const get = (seed: number, length: number, query = ''): string =>
  `GET /bytes/${seed}/${length}${query} HTTP/1.1\r\nHost: x\r\n\r\n`;

async function takeResponse(line: Line, seed: number, length: number): Promise<void> {
  const head = await line.until('\r\n\r\n');
  if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(`answered ${head.split('\r\n', 1)[0]}`);
  const hash = createHash('sha256');
  await line.take(length, (bytes) => hash.update(bytes));
  if (hash.digest('hex') !== digestOf(seed, length)) throw new Error('wrong bytes');
}

/** How long a long exchange must still go on. */
const rest = (): number => Math.max(0, forMs - (performance.now() - start));

const exchanges: Record<string, (started: () => void) => Promise<void>> = {
  async download(started) {
    const seed = ++seeds;
    const chunks = Math.ceil(rest() / 20);
    const line = new Line(80);
    await line.write(get(seed, chunks * 20_000, '?pace=20&chunk=20000&close'));
    started();
    await takeResponse(line, seed, chunks * 20_000);
    longestGapMs = Math.max(longestGapMs, line.longestWaitMs);
    await line.close();
  },
  async upload(started) {
    const seed = ++seeds;
    const chunks = Math.ceil(rest() / 20);
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
    if (answer !== `${digestOf(seed, length)} ${length}`) throw new Error(`hashed ${answer}`);
    await line.close();
  },
  async 'head in halves'(started) {
    const seed = ++seeds;
    const line = new Line(80, false);
    const text = get(seed, 5_000, '?close');
    await line.write(text.slice(0, 15));
    started();
    await sleep(1_000);
    await line.write(text.slice(15));
    await takeResponse(line, seed, 5_000);
    await line.close();
  },
  async 'head in pieces'(started) {
    const seed = ++seeds;
    const line = new Line(80, false);
    const text = get(seed, 5_000, '?close');
    started();
    for (let at = 0; at < text.length; at += 4) {
      await line.write(text.slice(at, at + 4));
      await sleep(100);
    }
    await takeResponse(line, seed, 5_000);
    await line.close();
  },
  async 'late answer'(started) {
    const seed = ++seeds;
    const line = new Line(80);
    await line.write(get(seed, 5_000, '?delay=1200&close'));
    started();
    await takeResponse(line, seed, 5_000);
    await line.close();
  },
  async 'idle keep-alive'(started) {
    const line = new Line(80);
    for (let turn = 0; turn < 2; turn++) {
      const seed = ++seeds;
      await line.write(get(seed, 5_000));
      await takeResponse(line, seed, 5_000);
      started();
      await sleep(1_500);
    }
    const seed = ++seeds;
    await line.write(get(seed, 5_000, '?close'));
    await takeResponse(line, seed, 5_000);
    await line.close();
  },
  async 'plain talk'(started) {
    const line = new Line(25);
    if ((await line.until('\n')) !== '220 ready') throw new Error('no greeting');
    started();
    for (let turn = 0; rest() > 0; turn++) {
      await line.write(`hello ${turn}\n`);
      const echo = await line.until('\n');
      if (echo !== `hello ${turn}`) throw new Error(`echoed ${echo}`);
      await sleep(30);
    }
    await line.close();
  },
  async 'half-closed'(started) {
    const seed = ++seeds;
    const line = new Line(26);
    for (const chunk of chunksOf(seed, 20_000)) await line.write(chunk);
    started();
    await sleep(1_100);
    line.socket.end();
    const answer = await line.until('\n');
    if (answer !== `${digestOf(seed, 20_000)} 20000`) throw new Error(`hashed ${answer}`);
    await line.end();
  },
};

const short: Record<string, () => Promise<void>> = {
  async get() {
    const seed = ++seeds;
    const length = random.uint32() % 30_000;
    const line = new Line(80);
    await line.write(get(seed, length, '?close'));
    await takeResponse(line, seed, length);
    await line.close();
  },
  async post() {
    const seed = ++seeds;
    const length = random.uint32() % 30_000;
    const line = new Line(80);
    await line.write(`POST /hash?close HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
    for (const chunk of chunksOf(seed, length)) await line.write(chunk);
    await line.until('\r\n\r\n');
    if ((await line.until('\n')) !== `${digestOf(seed, length)} ${length}`)
      throw new Error('wrong');
    await line.close();
  },
  async tell() {
    const seed = ++seeds;
    const line = new Line(26);
    for (const chunk of chunksOf(seed, 3_000)) await line.write(chunk);
    line.socket.end();
    if ((await line.until('\n')) !== `${digestOf(seed, 3_000)} 3000`) throw new Error('wrong');
    await line.end();
  },
};

async function attempt(kind: string, exchange: () => Promise<void>): Promise<void> {
  const since = Math.round(performance.now() - start);
  try {
    await exchange();
    done[kind] = (done[kind] ?? 0) + 1;
  } catch (error) {
    const now = Math.round(performance.now() - start);
    faults.push(`${kind} from ${since} to ${now} ms: ${(error as Error).message}`);
  }
}

const EACH = 3;
const WORKERS = 12;
const tasks: Promise<void>[] = [];
const under: Promise<void>[] = [];
for (const [kind, exchange] of Object.entries(exchanges)) {
  for (let index = 0; index < EACH; index++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    tasks.push(attempt(kind, () => exchange(resolve)).finally(resolve));
    under.push(promise);
  }
}
for (let worker = 0; worker < WORKERS; worker++) {
  tasks.push(
    (async () => {
      const kinds = Object.entries(short);
      for (let turn = worker; rest() > 0; turn++) {
        const [kind, exchange] = kinds[turn % kinds.length];
        await attempt(kind, exchange);
        await sleep(random.uint32() % 20);
      }
    })(),
  );
}
await Promise.all(under);
console.log('ready');
await Promise.all(tasks);
const report: TrafficReport = { done, faults, longestGapMs: Math.round(longestGapMs) };
console.log(JSON.stringify(report));
