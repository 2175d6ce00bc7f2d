// The two ends of a stream: who says its bytes, and who checks them and notes when they came.
import type { Socket } from 'node:net';
import { Timeline } from '../../src/demo/timeline.ts';
import { monotonic } from '../../src/lab/event.ts';
import type { Kind } from './kinds.ts';
import { patternAt, wrongBytes } from './pattern.ts';

/** What a receiver has to tell. Times are milliseconds of CLOCK_MONOTONIC. */
export interface Received {
  readonly bytes: number;
  /** Those that were not what had been sent. */
  readonly wrong: number;
  /** From one arrival to the next, those that are worth telling. */
  readonly silences: readonly (readonly [from: number, to: number])[];
}

/** Shorter silences are not worth telling. */
const NOTABLE_MS = 1;

/** Says the stream, chunk by chunk, until the socket ends. */
export class Sender {
  readonly #socket: Socket;
  readonly #kind: Kind;
  #offset = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, kind: Kind) {
    this.#socket = socket;
    this.#kind = kind;
    socket.on('close', () => this.stop());
  }

  /** One chunk; false when the socket has had enough for now. */
  chunk(): boolean {
    if (!this.#socket.writable) return false;
    const { chunk } = this.#kind;
    const bytes = patternAt(this.#offset, chunk);
    this.#offset += chunk;
    return this.#socket.write(bytes);
  }

  start(): void {
    const { restMs } = this.#kind;
    if (restMs > 0) {
      this.#timer = setInterval(() => this.chunk(), restMs);
      return;
    }
    const fill = (): void => {
      while (this.chunk());
    };
    this.#socket.on('drain', fill);
    fill();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

export class Receiver {
  readonly #timeline = new Timeline(monotonic());
  #wrong = 0;

  take(bytes: Buffer): void {
    this.#wrong += wrongBytes(bytes, this.bytes);
    this.#timeline.add(monotonic(), bytes.length);
  }

  get bytes(): number {
    return this.#timeline.bytes;
  }

  report(): Received {
    const silences = this.#timeline.silences(NOTABLE_MS).map(({ from, to }) => [from, to] as const);
    return { bytes: this.bytes, wrong: this.#wrong, silences };
  }
}
