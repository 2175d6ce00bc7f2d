// A connection as a Node stream, in the shape of `net.Socket`, so that what runs over Node's sockets runs
// over these: node:http, tls.connect({ socket }), ws, undici.
import { Duplex } from 'node:stream';
import { MILLISECOND, NEVER } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import { type Endpoint, formatAddress } from '../ip/address.ts';
import type { Connection, ConnectionHandler } from './connection.ts';
import type { TcpError } from './errors.ts';
import type { ConnectOptions, TcpStack } from './stack.ts';

/** Bytes that may wait to be acknowledged before a writer has to wait too. */
const SEND_LIMIT = 1_048_576;

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
  #flowing = false;
  #ended = false;
  #blocked: (() => void) | undefined;
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
    this.#connection?.setKeepalive(enable ? delay * MILLISECOND : undefined);
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
    this.#connection?.abort();
    return this.destroy();
  }

  override _read(): void {
    this.#flowing = true;
    this.#pull();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.connecting) {
      this.#waiting = () => this._write(chunk, _encoding, done);
      return;
    }
    const connection = this.#connection;
    if (connection === undefined || connection.state === 'closed') {
      done();
      return;
    }
    // A stream's writer may use its buffer again after `done`, while a lost segment is sent from ours.
    connection.write(Uint8Array.prototype.slice.call(chunk));
    this.bytesWritten += chunk.length;
    this.#touch();
    if (connection.sendBuffer.length < SEND_LIMIT) done();
    else this.#blocked = done;
  }

  override _final(done: () => void): void {
    if (this.connecting) {
      this.#waiting = () => this._final(done);
      return;
    }
    if (this.#connection?.state !== 'closed') this.#connection?.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const connection = this.#connection;
    if (this.#idle !== undefined) connection?.stack.timers.remove(this.#idle);
    if (connection !== undefined) {
      // What was not read, or not to be written any more, makes this an abort; else the FIN goes its way.
      const orderly = this.writableFinished && this.#ended && error === null;
      connection.handler = {};
      if (!orderly && connection.state !== 'closed' && connection.state !== 'time-wait') {
        if (this.writableFinished && error === null) drainAndForget(connection);
        else connection.abort();
      }
    }
    this.#blocked = undefined;
    this.#waiting = undefined;
    done(error);
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
    while (this.#flowing) {
      const bytes = connection.read();
      if (bytes === undefined) break;
      this.bytesRead += bytes.length;
      this.#flowing = this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    }
    if (this.#ended && connection.receiveBuffer.length === 0 && !this.readableEnded) {
      if (this.#flowing) {
        this.#flowing = false;
        this.push(null);
      }
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

/** The user is gone, but the FIN was promised: what still arrives is thrown away. */
function drainAndForget(connection: Connection): void {
  const drain = () => {
    while (connection.read() !== undefined);
  };
  connection.handler = { onReadable: drain };
  drain();
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
