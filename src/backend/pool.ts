/**
 * A group of servers that do the same work, which of them is asked next, and what is known of each.
 */
import type { Micros } from '../env/clock.ts';
import { type Endpoint, parseAddress } from '../ip/address.ts';

/** What a TCP answered in its SYN-ACK (RFC 9293, 3.7.1; RFC 7323; RFC 2018). */
export interface TcpOptions {
  /** Largest segment it takes, in bytes (536 when it did not say). */
  readonly mss: number;
  /** Its window scale shift (0 to 14); `undefined` if it does not scale. */
  readonly windowScale: number | undefined;
  readonly timestamps: boolean;
  readonly sack: boolean;
}

/** What a client may be offered, so that any backend of the pool can keep to it. */
export interface Offer {
  /** Smallest MSS of the backends. */
  readonly mss: number;
  readonly timestamps: boolean;
  readonly sack: boolean;
}

/** One server. Its counters only grow. */
export class Backend {
  /** As configured. */
  readonly address: string;
  readonly port: number;
  /** The same, parsed. */
  readonly endpoint: Endpoint;
  /** Connections that it accepted. */
  connections = 0;
  /** Connections that it refused (RST), or that an ICMP error ended. */
  refusals = 0;
  /** Connections that it did not answer in time. */
  timeouts = 0;
  /** Asked last before this time. */
  penaltyUntil: Micros = 0;
  /** Its TCP options; `undefined` until it has answered once. */
  options: TcpOptions | undefined;

  /** @throws RangeError if `address` is none */
  constructor(address: string, port: number) {
    const parsed = parseAddress(address);
    if (parsed === undefined) throw new RangeError(`${address} is no address`);
    this.endpoint = { address: parsed, port };
    this.address = address;
    this.port = port;
  }
}

export interface PoolSettings {
  readonly name: string;
  /** In the order in which they are asked. Not empty. */
  readonly backends: readonly { readonly address: string; readonly port: number }[];
  /** How long a backend that failed is asked last; 0 for not at all. */
  readonly penalty: Micros;
  /** The time, of a clock that does not go back. */
  readonly now: () => Micros;
}

export class Pool {
  readonly name: string;
  #backends: readonly Backend[] = [];
  #penalty: Micros = 0;
  readonly #now: () => Micros;
  /** Index of the backend whose turn it is. */
  #turn = 0;
  /** Computed when a backend's options change, not for each SYN. */
  #offer: Offer | undefined;

  constructor(settings: PoolSettings) {
    this.name = settings.name;
    this.#now = settings.now;
    this.configure(settings);
  }

  get backends(): readonly Backend[] {
    return this.#backends;
  }

  /** Other backends and another penalty from now on. What is known of a backend that stays is kept. */
  configure({ backends, penalty }: Pick<PoolSettings, 'backends' | 'penalty'>): void {
    const known = this.#backends;
    this.#backends = backends.map(
      ({ address, port }) =>
        known.find((backend) => backend.address === address && backend.port === port) ??
        new Backend(address, port),
    );
    this.#penalty = penalty;
    this.#turn %= backends.length;
    this.#offer = undefined;
  }

  /**
   * The backend to ask, in turns; `undefined` when each is in `tried`, those this connection has
   * asked in vain. One that failed lately comes after all others, so that it is asked when nothing
   * else is left. Of those that did not, one that `prefers` is true for comes first.
   */
  next(tried?: ReadonlySet<Backend>, prefers?: (backend: Backend) => boolean): Backend | undefined {
    const count = this.backends.length;
    const now = this.#now();
    const first = this.#turn;
    let other = -1;
    let last: Backend | undefined;
    for (let step = 0; step < count; step++) {
      const index = (first + step) % count;
      const backend = this.backends[index];
      if (tried?.has(backend)) continue;
      if (backend.penaltyUntil <= now) {
        if (prefers === undefined || prefers(backend)) return this.#take(index);
        if (other < 0) other = index;
        continue;
      }
      // Of those that failed, the one whose penalty ends first: its failure is the oldest.
      if (last === undefined || backend.penaltyUntil < last.penaltyUntil) last = backend;
    }
    return other < 0 ? last : this.#take(other);
  }

  #take(index: number): Backend {
    this.#turn = (index + 1) % this.backends.length;
    return this.backends[index];
  }

  /** `backend` accepted a connection. */
  connected(backend: Backend): void {
    backend.connections++;
    backend.penaltyUntil = 0;
  }

  /** `backend` answered a SYN that offered every option with these. */
  learn(backend: Backend, options: TcpOptions): void {
    if (!sameOptions(backend.options, options)) {
      backend.options = options;
      this.#offer = undefined;
    }
  }

  /** `backend` refused a connection. */
  refused(backend: Backend): void {
    backend.refusals++;
    backend.penaltyUntil = this.#now() + this.#penalty;
  }

  /** `backend` did not answer in time. */
  timedOut(backend: Backend): void {
    backend.timeouts++;
    backend.penaltyUntil = this.#now() + this.#penalty;
  }

  /**
   * What every backend known so far can do; `undefined` while none is known. A backend that turns
   * out to do less narrows what later clients are offered.
   */
  offer(): Offer | undefined {
    this.#offer ??= intersection(this.backends);
    return this.#offer;
  }
}

function intersection(backends: readonly Backend[]): Offer | undefined {
  let offer: Offer | undefined;
  for (const { options } of backends) {
    if (options === undefined) continue;
    offer = {
      mss: Math.min(options.mss, offer?.mss ?? options.mss),
      timestamps: options.timestamps && (offer?.timestamps ?? true),
      sack: options.sack && (offer?.sack ?? true),
    };
  }
  return offer;
}

function sameOptions(a: TcpOptions | undefined, b: TcpOptions): boolean {
  return (
    a !== undefined &&
    a.mss === b.mss &&
    a.windowScale === b.windowScale &&
    a.timestamps === b.timestamps &&
    a.sack === b.sack
  );
}
