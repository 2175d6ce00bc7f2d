// One virtual address and port: takes its clients, and knows what each step of their way needs.
import type { Pool } from '../backend/pool.ts';
import type { Micros } from '../env/clock.ts';
import { SECOND } from '../env/clock.ts';
import type { Host } from '../host/host.ts';
import { type Endpoint, toIpv4 } from '../ip/address.ts';
import type { Done } from '../replication/pending.ts';
import type { Replicator } from '../replication/replicator.ts';
import { canSplice } from '../splice/join.ts';
import type { Connection, Offer } from '../tcp/connection.ts';
import type { Listener } from '../tcp/listener.ts';
import type { Segment } from '../tcp/segment.ts';
import type { SipKey } from '../tcp/siphash.ts';
import type { ServiceConfig } from './config.ts';
import { type Dial, type DialOptions, type Dialer, millis } from './dialer.ts';
import { noteFacts, recallFacts } from './head-facts.ts';
import { Intake } from './intake.ts';
import { relay } from './relay.ts';
import type { HeadLimits } from './request-head.ts';
import { RouteTable } from './route.ts';
import type { Splice, Splices } from './splices.ts';

/** What all services of a member share. */
export interface ServiceContext {
  readonly host: Host;
  readonly dialer: Dialer;
  readonly splices: Splices;
  readonly replicator: () => Replicator | undefined;
  readonly cookieKey: SipKey;
  readonly pools: ReadonlyMap<string, { readonly pool: Pool; readonly connectTimeout: Micros }>;
  /** Request heads by result. */
  readonly heads: Record<string, number>;
  readonly counters: { relays: number; activeRelays: number; pending: number };
}

/** How long a client that was refused may go on talking before it is reset. */
const LINGER: Micros = 5 * SECOND;

const flowBytes = new Uint8Array(12);
const flowView = new DataView(flowBytes.buffer);

/** A flow's client and virtual end point as the log of heads names it; valid until the next call. */
function flowOf(client: Endpoint, virtual: Endpoint): Uint8Array {
  flowView.setUint32(0, toIpv4(client.address));
  flowView.setUint32(4, toIpv4(virtual.address));
  flowView.setUint16(8, client.port);
  flowView.setUint16(10, virtual.port);
  return flowBytes;
}

export class Service {
  /** True where no HTTP is spoken: a connection is passed on at once. */
  readonly isOpaque: boolean;
  readonly headLimits: HeadLimits;
  readonly headTimeout: Micros;
  readonly lingerTime = LINGER;
  readonly #context: ServiceContext;
  readonly #number: number;
  readonly #routes: RouteTable | undefined;
  readonly #pool: string | undefined;
  readonly #poolNames: ReadonlySet<string>;
  readonly #intakes = new Set<Intake>();
  #listener: Listener | undefined;

  constructor(context: ServiceContext, number: number, config: ServiceConfig) {
    this.#context = context;
    this.#number = number;
    this.isOpaque = config.protocol === 'tcp';
    if (config.protocol === 'http') {
      this.#routes = new RouteTable(config.routes);
      this.#poolNames = new Set(config.routes.map(({ pool }) => pool));
      this.headLimits = { maxHeadBytes: config.maxHeadBytes };
      this.headTimeout = millis(config.headTimeoutMs);
    } else {
      this.#pool = config.pool;
      this.#poolNames = new Set([config.pool]);
      this.headLimits = { maxHeadBytes: 0 };
      this.headTimeout = LINGER;
    }
  }

  listen(local: Endpoint): void {
    const { host, cookieKey } = this.#context;
    this.#listener = host.tcp.listen({
      local,
      cookieKey,
      hold: true,
      offer: () => this.#offer(local),
      recall: (segment) => this.#recall(segment),
      accept: (client) => {
        client.snd.noDelay = true;
        const intake = new Intake(this, client);
        this.#intakes.add(intake);
        this.#context.counters.pending++;
        return intake;
      },
    });
  }

  close(): void {
    this.#listener?.close();
  }

  ended(intake: Intake): void {
    if (this.#intakes.delete(intake)) this.#context.counters.pending--;
  }

  poolFor(host: string, path: string): Pool | undefined {
    const name = this.#routes === undefined ? this.#pool : this.#routes.poolFor(host, path);
    return name === undefined ? undefined : this.#context.pools.get(name)?.pool;
  }

  countHead(result: string): void {
    this.#context.heads[result] = (this.#context.heads[result] ?? 0) + 1;
  }

  dial(
    pool: Pool,
    options: Pick<DialOptions, 'iss' | 'offer' | 'onExhausted'> & {
      readonly onConnect: (backend: Connection) => void;
    },
  ): Dial {
    const timeout = this.#context.pools.get(pool.name)?.connectTimeout ?? SECOND;
    return this.#context.dialer.dial({ ...options, pool, timeout });
  }

  canSplice(client: Connection, backend: Connection): boolean {
    return canSplice(client, backend);
  }

  commit(
    client: Connection,
    backend: Connection,
    done: (splice: Splice | undefined) => void,
  ): void {
    this.#context.splices.commit(client, backend, this.#number, done);
  }

  relay(client: Connection, backend: Connection, held: Uint8Array): void {
    const { counters } = this.#context;
    counters.relays++;
    counters.activeRelays++;
    this.dropHead(client, true);
    relay(client, backend, held, () => {
      counters.activeRelays--;
    });
  }

  /** Has the peers log a part of a head; `done(false)` when that cannot be. */
  logHead(client: Connection, offset: number, bytes: Uint8Array, done: Done): void {
    const { host } = this.#context;
    const replicator = this.#context.replicator();
    if (replicator === undefined) {
      done(false);
      return;
    }
    const facts = noteFacts(client, host.clock.now());
    replicator.logHead(flowOf(client.remote, client.local), facts, offset, bytes, done);
  }

  /** @param logged whether anything of the head was logged */
  dropHead(client: Connection, logged: boolean): void {
    if (logged) this.#context.replicator()?.dropHead(flowOf(client.remote, client.local));
  }

  /** What clients are offered: what every backend known so far can keep to. */
  #offer(local: Endpoint): Offer {
    const { host, pools } = this.#context;
    let mss = host.tcp.maximumSegment(local.address);
    let windowScale = 7;
    let sack = true;
    let timestamps = true;
    for (const name of this.#poolNames) {
      const offer = pools.get(name)?.pool.offer();
      if (offer === undefined) continue;
      mss = Math.min(mss, offer.mss);
      windowScale = Math.min(windowScale, offer.windowScale ?? -1);
      sack &&= offer.sack;
      timestamps &&= offer.timestamps;
    }
    return { mss, windowScale, sack, timestamps };
  }

  #recall({ packet, sourcePort, destinationPort }: Segment) {
    const { host } = this.#context;
    const client = { address: packet.source, port: sourcePort };
    const virtual = { address: packet.destination, port: destinationPort };
    const head = this.#context.replicator()?.heads.get(flowOf(client, virtual));
    if (head === undefined) return undefined;
    return recallFacts(head.facts, head.bytes, host.tcp.timestamp(host.clock.now(), 0));
  }
}
