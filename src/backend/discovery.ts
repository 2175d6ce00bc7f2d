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
  /** Those to ask, at the moment. */
  readonly pools: () => Iterable<Pool>;
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
  readonly #timers = new Map<Backend, Timer>();
  #runs = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** Asks every backend, now and again. Our sources must be ours from now on. */
  start(): void {
    this.#runs = true;
    this.update();
  }

  stop(): void {
    this.#runs = false;
    this.update();
  }

  /** The pools may have changed: new backends are asked at once, and those that are gone no more. */
  update(): void {
    const { stack, pools } = this.#options;
    const wanted = new Map<Backend, Pool>();
    if (this.#runs) {
      for (const pool of pools()) for (const backend of pool.backends) wanted.set(backend, pool);
    }
    for (const [backend, timer] of this.#timers) {
      if (wanted.has(backend)) continue;
      stack.timers.remove(timer);
      this.#timers.delete(backend);
    }
    for (const [backend, pool] of wanted) {
      if (this.#timers.has(backend)) continue;
      const timer = new Timer((now) => {
        this.#ask(pool, backend);
        stack.timers.set(timer, now + (backend.options === undefined ? AGAIN : REFRESH));
      });
      this.#timers.set(backend, timer);
      stack.timers.set(timer, stack.clock.now());
    }
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
