// Connecting to a pool: one backend after the other, until one accepts or none is left.

import type { Backend, Pool, TcpOptions } from '../backend/pool.ts';
import { MILLISECOND, type Micros } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import { type Address, addressLength } from '../ip/address.ts';
import type { Connection, ConnectionHandler, Offer } from '../tcp/connection.ts';
import { TcpError } from '../tcp/errors.ts';
import type { TcpStack } from '../tcp/stack.ts';

export interface DialerOptions {
  readonly stack: TcpStack;
  /** The addresses to connect from, of both families; those of a backend's family are taken in turns. */
  readonly sources: readonly Address[];
  /** True if nothing but the stack's own connections could hold this source port towards a backend. */
  readonly isFree: (
    source: Address,
    port: number,
    backend: Address,
    backendPort: number,
  ) => boolean;
}

export interface DialOptions {
  readonly pool: Pool;
  readonly timeout: Micros;
  /** Our initial sequence number, or undefined for any. */
  readonly iss?: number | undefined;
  /** What to offer; the stack's own when absent. */
  readonly offer?: Offer | undefined;
  /**
   * The client's address. Backends of its family are asked first: between the families connections can only
   * be relayed.
   */
  readonly like?: Address | undefined;
  /** The backend's SYN-ACK came; the connection belongs to the caller, and its third ACK is held back. */
  readonly onConnect: (connection: Connection, backend: Backend) => void;
  /** Every backend was asked in vain. */
  readonly onExhausted: () => void;
}

/** An attempt that can be called off. */
export interface Dial {
  cancel(): void;
}

export class Dialer {
  readonly #options: DialerOptions;
  /** Grows with each attempt. */
  #turn = 0;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  dial(options: DialOptions): Dial {
    this.#turn++;
    const attempt = new Attempt(this.#options, options, this.#turn);
    attempt.next();
    return attempt;
  }
}

class Attempt implements Dial, ConnectionHandler {
  readonly #dialer: DialerOptions;
  readonly #options: DialOptions;
  readonly #turn: number;
  readonly #prefers: ((backend: Backend) => boolean) | undefined;
  readonly #timer: Timer;
  #tried: Set<Backend> | undefined;
  #backend: Backend | undefined;
  #connection: Connection | undefined;

  constructor(dialer: DialerOptions, options: DialOptions, turn: number) {
    this.#dialer = dialer;
    this.#options = options;
    this.#turn = turn;
    const { like } = options;
    if (like !== undefined) {
      this.#prefers = ({ endpoint }) => addressLength(endpoint.address) === addressLength(like);
    }
    this.#timer = new Timer(() => this.#expire());
  }

  /** Asks the next backend. */
  next(): void {
    const { pool, timeout, iss, offer, onExhausted } = this.#options;
    const { stack, isFree } = this.#dialer;
    const backend = pool.next(this.#tried, this.#prefers);
    if (backend === undefined) {
      onExhausted();
      return;
    }
    this.#tried ??= new Set();
    this.#tried.add(backend);
    this.#backend = backend;
    const { endpoint } = backend;
    const local = this.#sourceTowards(endpoint.address);
    try {
      this.#connection = stack.connect({
        remote: endpoint,
        local,
        isFree: (port) => isFree(local, port, endpoint.address, endpoint.port),
        iss,
        offer: offer === undefined ? undefined : fitting(offer, stack, endpoint.address),
        handler: this,
      });
      const now = stack.clock.now();
      // Backends are near, and one lost SYN is no reason to give one up: there is time to repeat it twice.
      const { rtt, retransmit } = this.#connection;
      rtt.rto = timeout / 4;
      retransmit.at = now + rtt.rto;
      this.#connection.arm();
      stack.timers.set(this.#timer, now + timeout);
    } catch (error) {
      // No port is left for this backend: that is no fault of the backend.
      if (!(error instanceof TcpError)) throw error;
      this.next();
    }
  }

  /** The configuration has been checked: there is a source of every backend's family. */
  #sourceTowards(backend: Address): Address {
    const length = addressLength(backend);
    const sources = this.#dialer.sources.filter((source) => addressLength(source) === length);
    return sources[this.#turn % sources.length];
  }

  cancel(): void {
    this.#dialer.stack.timers.remove(this.#timer);
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined) return;
    connection.handler = {};
    connection.abort();
  }

  onConnect(connection: Connection): void {
    this.#dialer.stack.timers.remove(this.#timer);
    const backend = this.#backend;
    this.#connection = undefined;
    if (backend === undefined) return;
    const { pool } = this.#options;
    pool.connected(backend);
    pool.learn(backend, optionsOf(connection, backend.options));
    // The request carries the acknowledgment; nothing goes out before the splice is safe.
    connection.hold();
    this.#options.onConnect(connection, backend);
  }

  onClose(): void {
    if (this.#connection === undefined || this.#backend === undefined) return;
    this.#connection = undefined;
    this.#dialer.stack.timers.remove(this.#timer);
    this.#options.pool.refused(this.#backend);
    this.next();
  }

  #expire(): void {
    if (this.#backend !== undefined) this.#options.pool.timedOut(this.#backend);
    this.cancel();
    this.next();
  }
}

/** The client's offer, but no larger segments than fit our packets: IPv6 has longer headers than IPv4. */
function fitting(offer: Offer, stack: TcpStack, backend: Address): Offer {
  const most = stack.maximumSegment(backend);
  if (offer.mss <= most) return offer;
  const { windowScale, sack, timestamps } = offer;
  return { mss: most, windowScale, sack, timestamps };
}

/**
 * What a SYN-ACK tells of a backend: an option that our SYN lacked, since the client has none of it, the
 * backend could not confirm.
 */
function optionsOf({ offer, negotiated }: Connection, known: TcpOptions | undefined): TcpOptions {
  const { sendMss, scaling, sendScale, timestamps, sack } = negotiated;
  const scale = scaling ? sendScale : undefined;
  return {
    mss: sendMss,
    windowScale: offer.windowScale >= 0 ? scale : known === undefined ? 0 : known.windowScale,
    timestamps: offer.timestamps ? timestamps : (known?.timestamps ?? true),
    sack: offer.sack ? sack : (known?.sack ?? true),
  };
}

/** Milliseconds of the configuration as the clock counts. */
export const millis = (value: number): Micros => value * MILLISECOND;
