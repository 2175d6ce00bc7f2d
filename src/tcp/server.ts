// Listening as Node does it: a server that emits its connections as streams.
import { EventEmitter } from 'node:events';
import { type Endpoint, formatAddress } from '../ip/address.ts';
import type { Listener, ListenOptions } from './listener.ts';
import { TcpSocket, type TcpSocketOptions } from './socket.ts';
import type { TcpStack } from './stack.ts';

export interface TcpServerEvents {
  connection: [TcpSocket];
  listening: [];
  close: [];
}

/**
 * In the shape of `net.Server`. To serve HTTP over it:
 * `server.on('connection', (socket) => httpServer.emit('connection', socket))`.
 */
export class TcpServer extends EventEmitter<TcpServerEvents> {
  readonly #stack: TcpStack;
  readonly #options: TcpSocketOptions;
  readonly #sockets = new Set<TcpSocket>();
  #listener: Listener | undefined;

  constructor(stack: TcpStack, options: TcpSocketOptions = {}) {
    super();
    this.#stack = stack;
    this.#options = options;
  }

  get listening(): boolean {
    return this.#listener !== undefined;
  }

  /** @throws TcpError when somebody listens there already */
  listen(local: Endpoint, options: Omit<ListenOptions, 'local' | 'accept'> = {}): this {
    this.#listener = this.#stack.listen({
      ...options,
      local,
      accept: (connection) => {
        const socket = new TcpSocket(this.#options).attach(connection);
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        this.emit('connection', socket);
        return socket;
      },
    });
    this.emit('listening');
    return this;
  }

  address(): { address: string; port: number; family: string } | undefined {
    const local = this.#listener?.options.local;
    if (local === undefined) return undefined;
    return { address: formatAddress(local.address), port: local.port, family: 'IPv4' };
  }

  /** Takes no more connections; those that exist go on. */
  close(): this {
    this.#listener?.close();
    this.#listener = undefined;
    this.emit('close');
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
