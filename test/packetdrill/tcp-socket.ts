// A BSD socket over a connection or a listener of the stack.
import type { Connection, ConnectionHandler } from '../../src/tcp/connection.ts';
import type { TcpError } from '../../src/tcp/errors.ts';
import type { Listener } from '../../src/tcp/listener.ts';
import { ERRORS } from './constants.ts';

export const POLLIN = 1;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 0x10;
export const POLLRDHUP = 0x2000;
const POLLRDNORM = 0x40;
const POLLWRNORM = 0x100;

/** Options that are kept until there is a connection, and inherited by the sockets of a listener. */
export type Options = Map<string, number>;

export class TcpSocket implements ConnectionHandler {
  nonBlocking = false;
  /** The port that `bind` named; 0 for one that the stack chooses. */
  port: number | undefined;
  connection: Connection | undefined;
  listener: Listener | undefined;
  /** Connections that nobody has accepted yet, of a listening socket. */
  readonly waiting: TcpSocket[] = [];
  readonly options: Options;
  /** The handshake is complete. */
  established = false;
  /** The connection is over, whatever the reason. */
  ended = false;
  /** The peer's FIN has come. */
  peerDone = false;
  readShut = false;
  writeShut = false;
  /** The error that the next call gets, as a number; 0 for none. */
  error = 0;

  constructor(options: Options = new Map()) {
    this.options = options;
  }

  onConnect(): void {
    this.established = true;
  }

  onEnd(): void {
    this.peerDone = true;
  }

  onClose(_connection: Connection, error: TcpError | undefined): void {
    this.ended = true;
    if (error !== undefined) this.error = ERRORS[error.code] ?? ERRORS.ECONNRESET;
  }

  /** Bytes that can be read now. */
  get readable(): number {
    return this.connection?.receiveBuffer.length ?? 0;
  }

  /** Bytes that a write may add now. */
  get room(): number {
    const limit = this.options.get('SO_SNDBUF') ?? Number.POSITIVE_INFINITY;
    return Math.max(0, limit - (this.connection?.sendBuffer.length ?? 0));
  }

  /** Takes the pending error, which is reported once. */
  takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  /** What `poll` would say. */
  get events(): number {
    if (this.listener !== undefined) return this.waiting.length > 0 ? POLLIN | POLLRDNORM : 0;
    if (this.connection === undefined) return POLLOUT | POLLWRNORM | POLLHUP;
    let events = this.error !== 0 ? POLLERR : 0;
    const readDone = this.peerDone || this.ended || this.readShut;
    const writeDone = this.writeShut || this.ended;
    if (readDone && writeDone) events |= POLLHUP;
    if (readDone) events |= POLLRDHUP;
    if (this.readable > 0 || readDone) events |= POLLIN | POLLRDNORM;
    if (!this.established && !this.ended) return events;
    if (this.room > 0 || writeDone) events |= POLLOUT | POLLWRNORM;
    return events;
  }
}
