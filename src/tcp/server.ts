// Listening as Node does it: a server that emits its connections as streams.
import { EventEmitter } from 'node:events';
import { Roster } from '../env/roster.ts';
import { formatAddress, isIpv6 } from '../ip/address.ts';
import type { ListenEndpoint, Listener, ListenOptions } from './listener.ts';
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
  readonly #sockets = new Roster<{ readonly socket: TcpSocket; place: number }>();
  #listener: Listener | undefined;

  constructor(stack: TcpStack, options: TcpSocketOptions = {}) {
    super();
    this.#stack = stack;
    this.#options = options;
  }

  get listening(): boolean {
    return this.#listener !== undefined;
  }

  /**
   * Listens at an address and port; without an address, on every address that is ours, of either family. The
   * connections begin with the `settings` of this server, unless `options` has others.
   * @throws TcpError when somebody listens there already
   */
  listen(local: ListenEndpoint, options: Omit<ListenOptions, 'local' | 'accept'> = {}): this {
    this.#listener = this.#stack.listen({
      settings: this.#options.settings,
      ...options,
      local,
      accept: (connection) => {
        const socket = new TcpSocket(this.#options).attach(connection);
        const seat = { socket, place: -1 };
        this.#sockets.add(seat);
        socket.once('close', () => {
          this.#sockets.delete(seat);
          this.#ended();
        });
        this.emit('connection', socket);
        return socket;
      },
    });
    queueMicrotask(() => this.emit('listening'));
    return this;
  }

  address(): { address: string; port: number; family: string } | undefined {
    const local = this.#listener?.options.local;
    if (local === undefined) return undefined;
    const { address, port } = local;
    if (address === undefined) return { address: '::', port, family: 'IPv6' };
    return { address: formatAddress(address), port, family: isIpv6(address) ? 'IPv6' : 'IPv4' };
  }

  /** Takes no more connections; `close` comes when those that exist have ended. */
  close(listener?: () => void): this {
    if (listener !== undefined) this.once('close', listener);
    this.#listener?.close();
    this.#listener = undefined;
    if (this.#sockets.size === 0) queueMicrotask(() => this.emit('close'));
    return this;
  }

  /** Closes, and destroys what is still connected. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.once('close', resolve));
    this.close();
    for (const { socket } of this.#sockets.list()) socket.destroy();
    await closed;
  }

  #ended(): void {
    if (this.#listener === undefined && this.#sockets.size === 0) this.emit('close');
  }
}
