// Streams that a failure interrupts: the programs at either end of them.
//
//   node bench/load/stream.ts serve PORT
//   node bench/load/stream.ts watch ADDRESS PORT KIND,... [--knock]     until its standard input ends
//
// The client's first line names the kind (kinds.ts). To an upload the server says one byte, whereupon it begins, and
// at its end a line with what was received. The watcher keeps a connection of each kind; with --knock it also opens
// one after the other beside them, to see whether new ones are served. It prints `ready` once all streams flow, and at
// the end one object, see `Watched`. Times are milliseconds of CLOCK_MONOTONIC.
import { connect, createServer, type Socket } from 'node:net';
import { monotonic } from '../../src/lab/event.ts';
import { type Kind, type KindName, kindOf } from './kinds.ts';
import { type Received, Receiver, Sender } from './stream-ends.ts';

/** What a watcher prints. */
export interface Watched {
  readonly streams: readonly (Received & {
    readonly kind: KindName;
    /** What ended it before its time: an error's code, `end`, or `silent` when nothing comes any more. */
    readonly broken?: string;
  })[];
  /** When each new connection had its first byte. */
  readonly served: readonly number[];
  /** Connections, new ones too, that were reset or refused. */
  readonly resets: number;
  readonly endedAt: number;
}

/** A stream that is told to end and says nothing for so long is silent for good. */
const PATIENCE_MS = 2_000;
/** Between two new connections, and how long one may take. */
const PAUSE_MS = 10;
const TIMEOUT_MS = 100;
const RESETS: readonly string[] = ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'];

let resets = 0;
const onError = ({ code = '' }: NodeJS.ErrnoException): void => {
  if (RESETS.includes(code)) resets++;
};

function serve(port: number): void {
  createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    let head = '';
    const onHead = (data: Buffer): void => {
      head += data.toString('latin1');
      const end = head.indexOf('\n');
      if (end < 0) return;
      socket.off('data', onHead);
      answer(socket, kindOf(head.slice(0, end)), head.length - end - 1);
    };
    socket.on('data', onHead);
  }).listen({ port, backlog: 4_096 });
}

/** @param asked bytes that came with the head: questions */
function answer(socket: Socket, kind: Kind, asked: number): void {
  if (kind.upload) {
    const receiver = new Receiver();
    socket.on('data', (bytes) => receiver.take(bytes));
    socket.on('end', () => socket.end(`${JSON.stringify(receiver.report())}\n`));
    socket.write('!');
    return;
  }
  const sender = new Sender(socket, kind);
  socket.on('end', () => socket.end());
  const onQuestions = (count: number): void => {
    for (let question = 0; question < count; question++) sender.chunk();
  };
  socket.on('data', (bytes) => onQuestions(bytes.length));
  if (kind.asked) onQuestions(asked);
  else sender.start();
}

/** A stream, as the client sees it. */
class Stream {
  readonly #kind: Kind;
  readonly #socket: Socket;
  readonly #sender: Sender;
  readonly #receiver = new Receiver();
  /** Of an upload: what the server said. */
  #said = '';
  #broken: string | undefined;
  #ending = false;
  readonly #over = Promise.withResolvers<void>();

  constructor(kind: Kind, host: string, port: number, onFlowing: () => void) {
    this.#kind = kind;
    this.#socket = connect({ host, port, noDelay: true });
    this.#sender = new Sender(this.#socket, kind);
    this.#socket.write(`${kind.name}\n${kind.asked ? '?' : ''}`);
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      onError(error);
      this.#break(error.code ?? error.message);
    });
    this.#socket.on('close', () => this.#break('end'));
    this.#socket.once('data', () => {
      onFlowing();
      if (kind.upload) this.#sender.start();
    });
    this.#socket.on('data', (bytes) => this.#hear(bytes));
  }

  /** Ends it once it has gone on, or is known to be broken. */
  async end(): Promise<Watched['streams'][number]> {
    this.#ending = true;
    if (this.#kind.upload) {
      this.#sender.stop();
      this.#socket.end();
    }
    const timer = setTimeout(() => this.#break('silent'), PATIENCE_MS);
    await this.#over.promise;
    clearTimeout(timer);
    this.#socket.destroy();
    const report = this.#said.endsWith('\n')
      ? (JSON.parse(this.#said.slice(1)) as Received)
      : this.#receiver.report();
    const kind = this.#kind.name as KindName;
    return { ...report, kind, ...(this.#broken === undefined ? {} : { broken: this.#broken }) };
  }

  #hear(bytes: Buffer): void {
    if (this.#kind.upload) {
      this.#said += bytes.toString('latin1');
      if (this.#said.endsWith('\n')) this.#over.resolve();
      return;
    }
    this.#receiver.take(bytes);
    if (this.#ending) this.#over.resolve();
    const { asked, chunk, restMs } = this.#kind;
    if (asked && this.#receiver.bytes % chunk === 0) setTimeout(() => this.#ask(), restMs);
  }

  #ask(): void {
    if (this.#socket.writable) this.#socket.write('?');
  }

  /** It is broken, unless it has told all. */
  #break(how: string): void {
    if (!this.#said.endsWith('\n')) this.#broken ??= how;
    this.#over.resolve();
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
    socket.write('requests\n?');
    socket.once('data', () => done(true));
    socket.on('error', (error) => {
      onError(error);
      done(false);
    });
  });
}

async function watch(host: string, port: number, kinds: Kind[], knock: boolean): Promise<void> {
  let flowing = 0;
  const onFlowing = (): void => {
    if (++flowing === kinds.length) process.stdout.write('ready\n');
  };
  const streams = kinds.map((kind) => new Stream(kind, host, port, onFlowing));
  const served: number[] = [];
  let over = false;
  process.stdin.resume();
  process.stdin.on('end', async () => {
    over = true;
    const endedAt = monotonic();
    const ended = await Promise.all(streams.map((stream) => stream.end()));
    const watched: Watched = { streams: ended, served, resets, endedAt };
    process.stdout.write(`${JSON.stringify(watched)}\n`);
  });
  while (knock && !over) {
    if (await attempt(host, port)) served.push(monotonic());
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

const [what, ...rest] = process.argv.slice(2);
if (what === 'serve') serve(Number(rest[0]));
else {
  const [address, port, kinds, knock] = rest;
  await watch(address, Number(port), kinds.split(',').map(kindOf), knock === '--knock');
}
