// A connection as a Node stream, in the shape of `net.Socket`, so that what runs over Node's sockets runs
// over these: node:http, tls.connect({ socket }), ws, undici.
import { Duplex } from 'node:stream';
import { MILLISECOND, NEVER, SECOND } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import { type Endpoint, formatAddress } from '../ip/address.ts';
import type { Connection, ConnectionHandler } from './connection.ts';
import { TcpError } from './errors.ts';
import type { ConnectOptions, TcpStack } from './stack.ts';

/** Pause between keep-alive probes, and how many may go unanswered, as Node has them. */
const KEEPALIVE_INTERVAL = SECOND;
const KEEPALIVE_ATTEMPTS = 10;

/** Bytes that may wait to be acknowledged before a writer has to wait too. */
const SEND_LIMIT = 1_048_576;

type Done = (error?: Error | null) => void;

export interface TcpSocketOptions {
  /** Whether the writing side stays open when the peer has closed its own. */
  allowHalfOpen?: boolean;
}

export class TcpSocket extends Duplex implements ConnectionHandler {
  /** True until the handshake is complete. */
  connecting: boolean;
  bytesRead = 0;
  bytesWritten = 0;
  timeout = 0;
  #connection: Connection | undefined;
  /** The stream has asked for bytes and not yet got enough. */
  #wanted = false;
  /** The peer has closed its side, and the stream knows it. */
  #ended = false;
  #finished = false;
  #blocked: Done | undefined;
  #waiting: (() => void) | undefined;
  #idle: Timer | undefined;

  constructor({ allowHalfOpen = false }: TcpSocketOptions = {}) {
    super({ allowHalfOpen, highWaterMark: 65_536, emitClose: true });
    this.connecting = true;
  }

  /** Takes a connection over: the result is to become its handler. */
  attach(connection: Connection): this {
    this.#connection = connection;
    this.connecting = connection.state === 'syn-sent';
    return this;
  }

  /** The connection below, for its state and options. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  get remoteAddress(): string | undefined {
    return text(this.#connection?.remote);
  }

  get remotePort(): number | undefined {
    return this.#connection?.remote.port;
  }

  get remoteFamily(): string {
    return 'IPv4';
  }

  get localAddress(): string | undefined {
    return text(this.#connection?.local);
  }

  get localPort(): number | undefined {
    return this.#connection?.local.port;
  }

  /** Node's name for what the socket may do now. */
  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable && this.writable) return 'open';
    if (this.readable) return 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  address(): { address: string | undefined; port: number | undefined; family: string } {
    return { address: this.localAddress, port: this.localPort, family: 'IPv4' };
  }

  setNoDelay(noDelay = true): this {
    if (this.#connection !== undefined) {
      this.#connection.snd.noDelay = noDelay;
      if (noDelay && this.#connection.state !== 'closed') this.#connection.flush();
    }
    return this;
  }

  /** @param delay milliseconds without traffic before the first probe */
  setKeepAlive(enable = false, delay = 7_200_000): this {
    const connection = this.#connection;
    if (connection === undefined) return this;
    connection.keepalive.interval = KEEPALIVE_INTERVAL;
    connection.keepalive.attempts = KEEPALIVE_ATTEMPTS;
    connection.setKeepalive(enable ? Math.max(delay, 1) * MILLISECOND : undefined);
    return this;
  }

  /** Emits `timeout` after `milliseconds` without traffic; 0 switches it off. */
  setTimeout(milliseconds: number, listener?: () => void): this {
    this.timeout = milliseconds;
    if (listener !== undefined) {
      if (milliseconds > 0) this.once('timeout', listener);
      else this.removeListener('timeout', listener);
    }
    this.#touch();
    return this;
  }

  /** The event loop is kept alive by the host that runs, not by its sockets. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  /** Ends both sides once what is written has left. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Resets the connection. */
  resetAndDestroy(): this {
    if (this.#connection !== undefined) {
      this.#connection.handler = {};
      this.#connection.abort();
    }
    return this.destroy();
  }

  override _read(): void {
    this.#wanted = true;
    this.#pull();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: Done): void {
    if (this.connecting) {
      this.#waiting = () => this._write(chunk, encoding, done);
      return;
    }
    const connection = this.#connection;
    if (connection === undefined || connection.state === 'closed' || connection.snd.finQueued) {
      done(new TcpError('EPIPE', 'this side of the connection is closed'));
      return;
    }
    // A stream's writer may use its buffer again after `done`, while a lost segment is sent from ours.
    connection.write(Uint8Array.prototype.slice.call(chunk));
    this.bytesWritten += chunk.length;
    this.#touch();
    if (connection.sendBuffer.length < SEND_LIMIT) done();
    else this.#blocked = done;
  }

  override _final(done: Done): void {
    if (this.connecting) {
      this.#waiting = () => this._final(done);
      return;
    }
    this.#connection?.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const connection = this.#connection;
    if (this.#idle !== undefined) connection?.stack.timers.remove(this.#idle);
    if (connection !== undefined) {
      connection.handler = {};
      if (this.writableFinished) connection.abandon('discard');
      else if (this.#cutsOff(connection)) connection.abort();
      else connection.abandon('reset');
    }
    this.#blocked = undefined;
    this.#waiting = undefined;
    done(error);
  }

  /** Closes as `destroySoon` does, and waits for it. */
  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return;
    const closed = new Promise<void>((resolve) => this.once('close', () => resolve()));
    this.destroySoon();
    await closed;
  }

  /** True if an orderly close would hide that bytes were lost, in the one direction or the other. */
  #cutsOff(connection: Connection): boolean {
    const unwritten = this.writableLength > 0;
    const unread = this.readableLength > 0 || connection.receiveBuffer.length > 0;
    return this.connecting || unwritten || unread;
  }

  onConnect(): void {
    this.connecting = false;
    this.#touch();
    this.emit('connect');
    this.emit('ready');
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
    this.#pull();
  }

  onReadable(): void {
    this.#touch();
    this.#pull();
  }

  onEnd(): void {
    this.#ended = true;
    this.#pull();
  }

  onAcknowledged(): void {
    this.#touch();
    const blocked = this.#blocked;
    if (blocked === undefined || this.#connection === undefined) return;
    if (this.#connection.sendBuffer.length >= SEND_LIMIT / 2) return;
    this.#blocked = undefined;
    blocked();
  }

  onClose(_connection: Connection, error: TcpError | undefined): void {
    this.connecting = false;
    this.#ended = true;
    if (error !== undefined) {
      this.destroy(error);
      return;
    }
    this.#pull();
    const blocked = this.#blocked;
    this.#blocked = undefined;
    blocked?.();
  }

  #pull(): void {
    const connection = this.#connection;
    if (connection === undefined || this.destroyed) return;
    while (this.#wanted) {
      const bytes = connection.read();
      if (bytes === undefined) break;
      this.bytesRead += bytes.length;
      // `push` may call `_read`, and thereby this, before it returns: its wish must not be lost.
      this.#wanted = false;
      if (this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))) this.#wanted = true;
    }
    if (this.#ended && !this.#finished && connection.receiveBuffer.length === 0) {
      this.#finished = true;
      this.push(null);
    }
  }

  #touch(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.timeout <= 0) {
      if (this.#idle !== undefined) connection.stack.timers.set(this.#idle, NEVER);
      return;
    }
    this.#idle ??= new Timer(() => this.emit('timeout'));
    const at = connection.stack.clock.now() + this.timeout * MILLISECOND;
    connection.stack.timers.set(this.#idle, at);
  }
}

const text = (endpoint: Endpoint | undefined): string | undefined =>
  endpoint === undefined ? undefined : formatAddress(endpoint.address);

/**
 * Opens a connection as a stream.
 * @throws TcpError when no port is free
 */
export function connectSocket(
  stack: TcpStack,
  options: Omit<ConnectOptions, 'handler'> & TcpSocketOptions,
): TcpSocket {
  const socket = new TcpSocket(options);
  return socket.attach(stack.connect({ ...options, handler: socket }));
}
