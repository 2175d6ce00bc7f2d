// Asking backends for their TCP options before clients are offered any: a splice can only keep to what
// both ends agreed on.
import { type Micros, SECOND } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import { type Address, addressLength } from '../ip/address.ts';
import { TcpError } from '../tcp/errors.ts';
import type { TcpStack } from '../tcp/stack.ts';
import type { Backend, Pool } from './pool.ts';

/** A backend that has not answered is asked again after this. */
const AGAIN: Micros = SECOND;
/** One that has is asked now and then, since it may have been replaced. */
const REFRESH: Micros = 60 * SECOND;

export interface DiscoveryOptions {
  readonly stack: TcpStack;
  readonly pools: Iterable<Pool>;
  /** Ours; the first of a backend's family is the one to ask it from. */
  readonly sources: readonly Address[];
  /** True if nothing beyond the stack holds this source port towards a backend. */
  readonly isFree: (
    source: Address,
    port: number,
    backend: Address,
    backendPort: number,
  ) => boolean;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #timers: Timer[] = [];

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    const { stack, pools } = options;
    for (const pool of pools) {
      for (const backend of pool.backends) {
        const timer = new Timer((now) => {
          this.#ask(pool, backend);
          stack.timers.set(timer, now + (backend.options === undefined ? AGAIN : REFRESH));
        });
        this.#timers.push(timer);
      }
    }
  }

  /** Asks every backend, now and again. Our sources must be ours from now on. */
  start(): void {
    const { stack } = this.#options;
    for (const timer of this.#timers) stack.timers.set(timer, stack.clock.now());
  }

  stop(): void {
    for (const timer of this.#timers) this.#options.stack.timers.remove(timer);
  }

  #ask(pool: Pool, backend: Backend): void {
    const { stack, sources, isFree } = this.#options;
    const { endpoint } = backend;
    const length = addressLength(endpoint.address);
    const source = sources.find((address) => addressLength(address) === length);
    if (source === undefined) return;
    try {
      const connection = stack.connect({
        remote: endpoint,
        local: source,
        isFree: (port) => isFree(source, port, endpoint.address, endpoint.port),
        handler: {
          onConnect: ({ negotiated }) => {
            stack.timers.remove(deadline);
            pool.learn(backend, {
              mss: negotiated.sendMss,
              windowScale: negotiated.scaling ? negotiated.sendScale : undefined,
              timestamps: negotiated.timestamps,
              sack: negotiated.sack,
            });
            connection.abort();
          },
          onClose: () => stack.timers.remove(deadline),
        },
      });
      const deadline = new Timer(() => connection.close());
      stack.timers.set(deadline, stack.clock.now() + AGAIN);
    } catch (error) {
      if (!(error instanceof TcpError)) throw error;
    }
  }
}
