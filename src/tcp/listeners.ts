// Who takes connections to which address and port.
import { type Address, endpointKey } from '../ip/address.ts';
import { TcpError } from './errors.ts';
import type { ListenEndpoint, Listener } from './listener.ts';
import type { Ports } from './ports.ts';

export class Listeners {
  readonly #bound = new Map<number | string, Listener>();
  /** Those that listen on every address, by port. */
  readonly #wild = new Map<number, Listener>();

  /** The listener that a segment to this address and port is for: the one that names the address comes first. */
  find(address: Address, port: number): Listener | undefined {
    return this.#bound.get(endpointKey(address, port)) ?? this.#wild.get(port);
  }

  /**
   * Where a listener may be: as asked, or with a free port for port 0.
   * @throws TcpError when somebody listens there already
   */
  place(local: ListenEndpoint, ports: Ports): ListenEndpoint {
    if (local.port === 0) {
      const port = ports.any((candidate) => !this.#isTaken({ ...local, port: candidate }));
      if (port === undefined) throw new TcpError('EADDRINUSE', 'every port is listened on');
      return { ...local, port };
    }
    if (this.#isTaken(local)) {
      throw new TcpError('EADDRINUSE', `port ${local.port} is listened on already`);
    }
    return local;
  }

  add(listener: Listener): void {
    const { address, port } = listener.options.local;
    if (address === undefined) this.#wild.set(port, listener);
    else this.#bound.set(endpointKey(address, port), listener);
  }

  delete(listener: Listener): void {
    const { address, port } = listener.options.local;
    if (address === undefined) this.#wild.delete(port);
    else this.#bound.delete(endpointKey(address, port));
  }

  #isTaken({ address, port }: ListenEndpoint): boolean {
    return address === undefined
      ? this.#wild.has(port)
      : this.#bound.has(endpointKey(address, port));
  }
}
