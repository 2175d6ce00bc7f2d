// Streams that a failure interrupts: either end of them.
//
//   node bench/load/stream.ts serve PORT
//   node bench/load/stream.ts watch ADDRESS PORT STREAMS     until its standard input ends
//
// The server says 20 kB every 5 ms to whoever says anything. The watcher keeps STREAMS connections and, beside
// them, opens one after the other to see whether new ones are served. It prints `ready` once all streams flow,
// and at the end one object, see `Watched`. Times are milliseconds of CLOCK_MONOTONIC.
import { connect, createServer, type Socket } from 'node:net';
import { type Silence, Timeline } from '../../src/demo/timeline.ts';
import { monotonic } from '../../src/lab/event.ts';

/** What a watcher prints. */
export interface Watched {
  readonly streams: readonly {
    readonly bytes: number;
    /** All arrivals. */
    readonly silences: readonly Silence[];
    /** When the last byte came. */
    readonly lastAt: number;
    /** What ended it before its time: an error's code, or `end`. */
    readonly broken?: string;
  }[];
  /** When each new connection had its first byte. */
  readonly served: readonly number[];
  readonly endedAt: number;
}

const CHUNK = Buffer.alloc(20_000, 'suture ');
const EVERY_MS = 5;
/** Shorter ones are not worth telling. */
const NOTABLE_MS = 8;
/** Between two new connections, and how long one may take. */
const PAUSE_MS = 10;
const TIMEOUT_MS = 100;

function serve(port: number): void {
  createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(CHUNK);
      const timer = setInterval(() => {
        if (socket.writableLength < CHUNK.length) socket.write(CHUNK);
      }, EVERY_MS);
      socket.on('close', () => clearInterval(timer));
    });
    socket.resume();
  }).listen({ port, backlog: 4_096 });
}

class Stream {
  readonly silences: Silence[] = [];
  readonly timeline = new Timeline(monotonic());
  broken: string | undefined;
  readonly #socket: Socket;

  constructor(host: string, port: number, onFirst: () => void) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.write('?');
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.broken ??= error.code ?? error.message;
    });
    this.#socket.on('close', () => {
      this.broken ??= 'end';
    });
    this.#socket.once('data', onFirst);
    this.#socket.on('data', (bytes: Buffer) => {
      this.timeline.add(monotonic(), bytes.length);
      const { latest } = this.timeline;
      if (latest.to - latest.from >= NOTABLE_MS) this.silences.push(latest);
    });
  }

  end(): Watched['streams'][number] {
    const { broken, silences, timeline } = this;
    this.#socket.destroy();
    const { bytes, lastAt } = timeline;
    return { bytes, silences, lastAt, ...(broken === undefined ? {} : { broken }) };
  }
}

/** Resolves with whether a new connection was served. */
function attempt(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true });
    const done = (served: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(served);
    };
    const timer = setTimeout(() => done(false), TIMEOUT_MS);
    socket.write('?');
    socket.once('data', () => done(true));
    socket.on('error', () => done(false));
  });
}

async function watch(host: string, port: number, count: number): Promise<void> {
  let flowing = 0;
  const onFirst = (): void => {
    if (++flowing === count) process.stdout.write('ready\n');
  };
  const streams = Array.from({ length: count }, () => new Stream(host, port, onFirst));
  const served: number[] = [];
  let over = false;
  process.stdin.resume();
  process.stdin.on('end', () => {
    over = true;
    const watched: Watched = {
      streams: streams.map((stream) => stream.end()),
      served,
      endedAt: monotonic(),
    };
    process.stdout.write(`${JSON.stringify(watched)}\n`);
  });
  while (!over) {
    if (await attempt(host, port)) served.push(monotonic());
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

const [what, ...rest] = process.argv.slice(2);
if (what === 'serve') serve(Number(rest[0]));
else await watch(rest[0], Number(rest[1]), Number(rest[2]));
