// Either end of a connection whose pause is measured.
//
//   node peer.ts serve PORT
//   node peer.ts KIND HOST PORT      until its standard input ends
//
// Who receives prints one line of JSON at the end: what came, and the silences in it. The client prints
// `ready` as soon as the stream flows.
import { createConnection, createServer, type Socket } from 'node:net';
import { type Silence, Timeline } from '../../src/demo/timeline.ts';
import { monotonic } from '../../src/lab/event.ts';
import { KINDS, type Kind } from './kinds.ts';
import { isPattern, patternAt } from './pattern.ts';

/** What a receiver prints. */
export interface Received {
  readonly bytes: number;
  /** Chunks that were not what had been sent. */
  readonly wrong: number;
  /** What ended it but a FIN. */
  readonly error?: string;
  /** Those of at least `NOTABLE_MS`, in milliseconds of CLOCK_MONOTONIC. */
  readonly silences: readonly Silence[];
}

const NOTABLE_MS = 3;
/** A client that has closed its side hears the rest of the stream for at most this time. */
const LINGER_MS = 2_000;
const HEAD_END = '\r\n\r\n';
const RESPONSE = `HTTP/1.1 200 OK${HEAD_END}`;

/** Sends the stream, chunk by chunk, until the socket closes. */
class Sender {
  readonly #socket: Socket;
  readonly #kind: Kind;
  #offset = 0;

  constructor(socket: Socket, kind: Kind) {
    this.#socket = socket;
    this.#kind = kind;
    socket.setNoDelay(true);
  }

  chunk(): boolean {
    const { chunk } = this.#kind;
    const bytes = patternAt(this.#offset, chunk);
    this.#offset += chunk;
    return this.#socket.write(bytes);
  }

  start(): void {
    if (this.#kind.restMs > 0) {
      const timer = setInterval(() => this.chunk(), this.#kind.restMs);
      this.#socket.on('close', () => clearInterval(timer));
      return;
    }
    const fill = (): void => {
      let room = true;
      while (room && this.#socket.writable) room = this.chunk();
    };
    this.#socket.on('drain', fill);
    fill();
  }
}

/** Takes the stream, and prints what came of it when the socket closes. */
class Receiver {
  readonly #timeline = new Timeline(monotonic());
  readonly #skip: number;
  #offset = 0;
  #wrong = 0;

  /** @param skip bytes before the stream */
  constructor(socket: Socket, skip: number) {
    this.#skip = skip;
    let error: string | undefined;
    socket.on('error', (fault: NodeJS.ErrnoException) => {
      error = fault.code ?? fault.message;
    });
    socket.on('close', () => {
      const received: Received = {
        bytes: this.#timeline.bytes,
        wrong: this.#wrong,
        ...(error === undefined ? {} : { error }),
        silences: this.#timeline.silences(NOTABLE_MS),
      };
      process.stdout.write(`${JSON.stringify(received)}\n`);
    });
  }

  take(bytes: Buffer): void {
    const late = Math.max(0, this.#skip - this.#offset);
    const stream = bytes.subarray(late);
    if (!isPattern(stream, Math.max(0, this.#offset - this.#skip))) this.#wrong++;
    this.#offset += bytes.length;
    this.#timeline.add(monotonic(), stream.length);
  }

  get bytes(): number {
    return this.#timeline.bytes;
  }
}

function serve(port: number): void {
  createServer((socket) => {
    let head = '';
    const onHead = (data: Buffer): void => {
      head += data.toString('latin1');
      const end = head.indexOf(HEAD_END);
      if (end < 0) return;
      const kind = KINDS.find(({ name }) => head.startsWith(`POST /${name} `));
      if (kind === undefined) {
        socket.destroy();
        return;
      }
      socket.off('data', onHead);
      answer(socket, kind, Buffer.from(head.slice(end + HEAD_END.length), 'latin1'));
    };
    socket.on('data', onHead);
    socket.on('error', () => {});
  }).listen(port);
}

function answer(socket: Socket, kind: Kind, early: Buffer): void {
  socket.write(RESPONSE);
  if (kind.upload) {
    const receiver = new Receiver(socket, 0);
    if (early.length > 0) receiver.take(early);
    socket.on('data', (data) => receiver.take(data));
    return;
  }
  const sender = new Sender(socket, kind);
  if (!kind.asked) sender.start();
  // Whoever asks says a byte for each chunk.
  socket.on('data', (data) => {
    if (kind.asked) for (let byte = 0; byte < data.length; byte++) sender.chunk();
  });
}

function ask(kind: Kind, host: string, port: number): void {
  const socket = createConnection({ host, port, noDelay: true });
  socket.write(
    `POST /${kind.name} HTTP/1.1\r\nHost: gap\r\nContent-Length: 1000000000000${HEAD_END}`,
  );
  process.stdin.resume();
  process.stdin.on('end', () => {
    socket.end();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  });
  socket.on('error', () => {});
  if (kind.upload) {
    socket.once('data', () => {
      process.stdout.write('ready\n');
      new Sender(socket, kind).start();
    });
    return;
  }
  const receiver = new Receiver(socket, RESPONSE.length);
  let asked = 0;
  let told = false;
  socket.on('data', (data) => {
    receiver.take(data);
    if (!told) process.stdout.write('ready\n');
    told = true;
    if (kind.asked && socket.writable && receiver.bytes === asked * kind.chunk) {
      asked++;
      socket.write('?');
    }
  });
}

const [what, ...where] = process.argv.slice(2);
const kind = KINDS.find(({ name }) => name === what);
if (what === 'serve') serve(Number(where[0]));
else if (kind === undefined) throw new Error(`no kind of traffic is called ${what}`);
else ask(kind, where[0], Number(where[1]));
