// One connection of a client that checks what it hears.
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonic } from '../../../src/lab/event.ts';

/** The virtual address. */
export const HOST = '10.0.0.100';
/** Nothing may take longer than this without a byte. */
export const PATIENCE_MS = 30_000;

/** Other bytes than were said. */
export class WrongBytes extends Error {}

/** Told of every wait for bytes, in milliseconds of `monotonic`. */
export type OnWait = (from: number, to: number) => void;

export interface LineOptions {
  /** False for Nagle's algorithm. */
  readonly noDelay?: boolean;
  readonly onWait?: OnWait | undefined;
}

/** One connection: what was heard and is not yet taken, and how it ended. */
export class Line {
  readonly socket: Socket;
  readonly #onWait: OnWait | undefined;
  #heard = Buffer.alloc(0);
  #ended = false;
  #error: string | undefined;
  #port = 0;
  #wake = Promise.withResolvers<void>();

  constructor(port: number, { noDelay = true, onWait }: LineOptions = {}) {
    this.#onWait = onWait;
    this.socket = createConnection({ host: HOST, port, noDelay, allowHalfOpen: true });
    this.socket.on('connect', () => {
      this.#port = this.socket.localPort ?? 0;
    });
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
      if (this.#heard.length > 0) throw this.#fault(`${this.#heard.length} bytes too many`);
      await this.#more('no end');
    }
  }

  async write(bytes: Buffer | string): Promise<void> {
    if (this.#error !== undefined) throw this.#fault(this.#error);
    if (this.socket.write(bytes)) return;
    const drained = once(this.socket, 'drain').catch(() => {});
    await this.#patiently(Promise.race([drained, this.#wake.promise]), 'nothing is taken');
  }

  async close(): Promise<void> {
    this.socket.end();
    await this.end();
  }

  async #more(missing: string): Promise<void> {
    if (this.#error !== undefined) throw this.#fault(`${this.#error}: ${missing}`);
    if (this.#ended) throw this.#fault(`ended: ${missing}`);
    this.#wake = Promise.withResolvers();
    const since = monotonic();
    await this.#patiently(this.#wake.promise, missing);
    this.#onWait?.(since, monotonic());
  }

  async #patiently(event: Promise<unknown>, missing: string): Promise<void> {
    const patience = new AbortController();
    const late = sleep(PATIENCE_MS, 'late', { signal: patience.signal }).catch(() => 'woken');
    const outcome = await Promise.race([event, late]);
    patience.abort();
    if (outcome === 'late') throw this.#fault(`silence: ${missing}`);
  }

  /** The port finds it in captures. */
  #fault(text: string): Error {
    return new Error(`port ${this.#port}: ${text}`);
  }

  #notify(): void {
    this.#wake.resolve();
  }
}
