// A connection as a Node stream, in the shape of `net.Socket`, so that what runs over Node's sockets runs
// over these: node:http, tls.connect({ socket }), ws, undici.
import { Duplex } from 'node:stream';
import { MILLISECOND, NEVER } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import { type Address, type Endpoint, formatAddress, isIpv6 } from '../ip/address.ts';
import type { Connection, ConnectionHandler } from './connection.ts';
import { TcpError } from './errors.ts';
import { type TcpInfo, tcpInfo } from './info.ts';
import type { TcpSettings } from './options.ts';
import type { ConnectOptions, TcpStack } from './stack.ts';

/** Milliseconds between keep-alive probes, and how many may go unanswered, as Node has them. */
const KEEPALIVE_INTERVAL = 1_000;
const KEEPALIVE_PROBES = 10;
/** Bytes that a writer may leave with us while the stack is short of memory. */
const SCARCE = 16_384;

type Done = (error?: Error | null) => void;

export interface TcpSocketOptions {
  /** Whether the writing side stays open when the peer has closed its own. */
  allowHalfOpen?: boolean;
  /** Options of the connection; `configure` sets them later. */
  settings?: TcpSettings | undefined;
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
  /** Why the connection ended, while bytes that came before are still to be read. */
  #failure: TcpError | undefined;
  #blocked: Done | undefined;
  #waiting: (() => void) | undefined;
  #idle: Timer | undefined;
  #sink: ((bytes: Uint8Array) => void) | undefined;

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

  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    return familyOf(this.#connection?.remote.address);
  }

  get localAddress(): string | undefined {
    return text(this.#connection?.local);
  }

  get localPort(): number | undefined {
    return this.#connection?.local.port;
  }

  get localFamily(): 'IPv4' | 'IPv6' | undefined {
    return familyOf(this.#connection?.local.address);
  }

  /** Node's name for what the socket may do now. */
  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable && this.writable) return 'open';
    if (this.readable) return 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  address(): {
    address: string | undefined;
    port: number | undefined;
    family: string | undefined;
  } {
    return { address: this.localAddress, port: this.localPort, family: this.localFamily };
  }

  /** What TCP_INFO tells of the connection; undefined before there is one. */
  info(): TcpInfo | undefined {
    return this.#connection === undefined ? undefined : tcpInfo(this.#connection);
  }

  /**
   * Sets options of the connection.
   * @throws TcpError EINVAL for a value out of range
   */
  configure(settings: TcpSettings): this {
    this.#connection?.configure(settings);
    return this;
  }

  /**
   * Passes what arrives to `sink` from now on, instead of emitting it as `data`. The bytes are good during the
   * call only: their memory is used again, which spares a fast receiver the garbage. `end` comes as ever.
   */
  consume(sink: (bytes: Uint8Array) => void): this {
    this.#sink = (bytes) => {
      this.bytesRead += bytes.length;
      sink(bytes);
    };
    this.resume();
    this.#pull();
    return this;
  }

  setNoDelay(noDelay = true): this {
    return this.configure({ noDelay });
  }

  /** Only full segments leave until this is over (TCP_CORK). `cork` of a stream gathers writes instead. */
  setCork(cork = true): this {
    return this.configure({ cork });
  }

  /** @param delay milliseconds without traffic before the first probe */
  setKeepAlive(enable = false, delay = 7_200_000): this {
    return this.configure({
      keepAlive: enable,
      keepAliveIdle: Math.max(delay, 1),
      keepAliveInterval: KEEPALIVE_INTERVAL,
      keepAliveProbes: KEEPALIVE_PROBES,
    });
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

  override read(size?: number): Buffer | string | null {
    const chunk = super.read(size);
    if (this.#failure !== undefined) process.nextTick(() => this.#fail());
    return chunk;
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
    connection.writeCopy(chunk);
    this.bytesWritten += chunk.length;
    this.#touch();
    if (connection.sendBuffer.length < sendLimit(connection)) done();
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
      if (connection.linger === 0) connection.abort();
      else if (this.writableFinished) connection.abandon('discard');
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
    if (this.#connection.sendBuffer.length >= sendLimit(this.#connection) / 2) return;
    this.#blocked = undefined;
    blocked();
  }

  onClose(_connection: Connection, error: TcpError | undefined): void {
    this.connecting = false;
    this.#ended = true;
    if (error !== undefined) {
      this.#failure = error;
      this.#fail();
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
    if (this.#sink !== undefined) connection.drain(this.#sink);
    while (this.#wanted) {
      const bytes = connection.read();
      if (bytes === undefined) break;
      this.bytesRead += bytes.length;
      // `push` may call `_read`, and thereby this, before it returns: its wish must not be lost.
      this.#wanted = false;
      if (this.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))) this.#wanted = true;
    }
    if (this.#failure !== undefined) this.#fail();
    else if (this.#ended && !this.#finished && connection.receiveBuffer.length === 0) {
      this.#finished = true;
      this.push(null);
    }
  }

  /** As with a socket of Linux, what came before an error is read before the error. */
  #fail(): void {
    if (this.destroyed || this.#failure === undefined) return;
    const unread = this.#connection?.receiveBuffer.length ?? 0;
    if (this.readableLength > 0 || unread > 0) {
      if (this.#wanted && unread > 0) this.#pull();
      return;
    }
    this.destroy(this.#failure);
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

/** Bytes that may wait to be acknowledged: fewer while all connections together hold too many. */
const sendLimit = ({ sendLimit: limit, stack }: Connection): number =>
  stack.memory.isUnderPressure ? Math.min(limit, SCARCE) : limit;

const familyOf = (address: Address | undefined): 'IPv4' | 'IPv6' | undefined =>
  address === undefined ? undefined : isIpv6(address) ? 'IPv6' : 'IPv4';

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
