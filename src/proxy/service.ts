// A service at one of its addresses: takes its clients, and knows what each step of their way needs.
import type { Pool } from '../backend/pool.ts';
import type { Micros } from '../env/clock.ts';
import { SECOND } from '../env/clock.ts';
import type { Host } from '../host/host.ts';
import type { Endpoint } from '../ip/address.ts';
import type { Head } from '../replication/heads.ts';
import type { Done } from '../replication/pending.ts';
import type { Replicator } from '../replication/replicator.ts';
import { MAX_FLOW_BYTES } from '../splice/form.ts';
import { canSplice } from '../splice/join.ts';
import { writeFlow } from '../splice/record.ts';
import type { Connection, Offer } from '../tcp/connection.ts';
import { COOKIE_LIFE, type Cookies } from '../tcp/cookie.ts';
import { FlowMap } from '../tcp/demux.ts';
import type { Listener, Recalled } from '../tcp/listener.ts';
import type { Segment } from '../tcp/segment.ts';
import { advance, distance } from '../tcp/sequence.ts';
import type { Answers } from './answers.ts';
import type { ServiceConfig } from './config.ts';
import { type Dial, type Dialer, type DialOptions, millis } from './dialer.ts';
import { noteFacts, recallFacts } from './head-facts.ts';
import { Intake } from './intake.ts';
import type { Pins } from './pins.ts';
import { relay } from './relay.ts';
import type { HeadLimits } from './request-head.ts';
import { RouteTable } from './route.ts';
import type { Splice, SpliceFailure, Splices } from './splices.ts';

/** What all services of a member share. */
export interface ServiceContext {
  readonly host: Host;
  readonly dialer: Dialer;
  readonly splices: Splices;
  readonly replicator: () => Replicator | undefined;
  readonly cookies: Cookies;
  readonly pins: Pins;
  /** Answers SYNs where clients may wait for the server to speak. */
  readonly answers: Answers;
  readonly pools: ReadonlyMap<string, { readonly pool: Pool; readonly connectTimeout: Micros }>;
  /** Request heads by result. */
  readonly heads: Record<string, number>;
  /** Silence after which the ends of a relay are probed. */
  readonly idleTimeout: Micros;
  readonly counters: ServiceCounters;
}

export interface ServiceCounters {
  relays: number;
  activeRelays: number;
  /** Connections that are neither spliced nor relayed yet. */
  pending: number;
  /** Connections that another member turned out to serve. */
  yielded: number;
}

/** How long a client that was refused may go on talking before it is reset. */
const LINGER: Micros = 5 * SECOND;
/** How long a backend that has accepted a connection may take to acknowledge the start of a head. */
export const DELIVERY: Micros = 5 * SECOND;
/** What our windows towards clients are shifted by, where their scale is known. */
const CLIENT_SCALE = 7;
/** Bytes that a client may send beyond what was acknowledged. */
const MAX_AHEAD = 65_536;

const flowBytes = new Uint8Array(MAX_FLOW_BYTES);
const flowView = new DataView(flowBytes.buffer);

/** A flow's client and virtual end point as the log of heads names it; valid until the next call. */
const flowOf = (client: Endpoint, virtual: Endpoint): Uint8Array =>
  flowBytes.subarray(0, writeFlow(flowView, 0, client, virtual));

/** What may change while connections live. */
interface Terms {
  readonly poolFor: (host: string, path: string) => string | undefined;
  /** All pools that its connections may go to. */
  readonly pools: readonly string[];
  readonly headLimits: HeadLimits;
  readonly headTimeout: Micros;
}

function termsOf(config: ServiceConfig): Terms {
  if (config.protocol === 'tcp') {
    const { pool } = config;
    return {
      poolFor: () => pool,
      pools: [pool],
      headLimits: { maxHeadBytes: 0 },
      headTimeout: LINGER,
    };
  }
  const { routes, maxHeadBytes, headTimeoutMs } = config;
  const table = new RouteTable(routes);
  return {
    poolFor: (host, path) => table.poolFor(host, path),
    pools: [...new Set(routes.map(({ pool }) => pool))],
    headLimits: { maxHeadBytes },
    headTimeout: millis(headTimeoutMs),
  };
}

export class Service {
  /** True where no HTTP is spoken: a connection is passed on at once. */
  readonly isOpaque: boolean;
  readonly lingerTime = LINGER;
  readonly deliveryTimeout = DELIVERY;
  readonly #context: ServiceContext;
  /** Its place in the configuration. */
  readonly number: number;
  #terms: Terms;
  readonly #local: Endpoint;
  readonly #intakes: FlowMap<Intake>;
  #listener: Listener | undefined;

  constructor(context: ServiceContext, number: number, config: ServiceConfig, local: Endpoint) {
    this.#context = context;
    this.number = number;
    this.#local = local;
    this.#intakes = new FlowMap(context.host.tcp.flowSeed);
    this.isOpaque = config.protocol === 'tcp';
    this.#terms = termsOf(config);
  }

  /** Other routes and limits, from the next connection on; the protocol must be the same. */
  configure(config: ServiceConfig): void {
    this.#terms = termsOf(config);
  }

  get headLimits(): HeadLimits {
    return this.#terms.headLimits;
  }

  get headTimeout(): Micros {
    return this.#terms.headTimeout;
  }

  /** True if a client may be silent for longer than its cookie is sure to tell its home. */
  get outlivesCookies(): boolean {
    return this.headTimeout >= COOKIE_LIFE;
  }

  /** Takes clients from now on. */
  open(): void {
    const { host, cookies, counters, answers } = this.#context;
    this.#listener ??= host.tcp.listen({
      local: this.#local,
      cookies,
      syns: this.isOpaque ? answers : undefined,
      hold: true,
      offer: () => this.#offer(),
      recall: (segment) => this.#recall(segment),
      accept: (client) => {
        client.snd.noDelay = true;
        const intake = new Intake(this, client);
        if (this.#intakes.add(intake)) counters.pending++;
        return intake;
      },
    });
  }

  /** Takes no more clients. */
  refuse(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  /** Takes no more clients, and leaves those that are not spliced yet to the other members. */
  close(): void {
    this.refuse();
    for (const intake of Array.from(this.#intakes.values())) intake.yield(true);
  }

  /** Leaves clients that have said nothing yet to the other members. */
  yieldSilent(): void {
    for (const intake of Array.from(this.#intakes.values())) if (intake.isSilent) intake.yield();
  }

  /**
   * Leaves a client to another member, which splices its connection: only one member may do that. (A splice of ours
   * that was being committed has been told so already.)
   */
  yield(client: Endpoint): void {
    this.#intakeOf(client)?.yield();
  }

  /** Leaves a client to another member, which has logged what it says, if nothing is proposed for it here yet. */
  yieldEarly(client: Endpoint): void {
    this.#intakeOf(client)?.yieldEarly();
  }

  /** True if this member is out of the cluster, and the others go on without it. */
  get isOut(): boolean {
    return this.#context.replicator()?.isClosed ?? true;
  }

  /** Goes on with a client whose member is gone, and has logged what it said. */
  adopt(client: Endpoint, head: Head): void {
    const { host } = this.#context;
    const now = host.clock.now();
    const recalled = recallFacts(head, host.tcp.timestamp(now, 0), now);
    if (recalled === undefined) return;
    // A connection that began here knows less, if it was the dead member that the client spoke to.
    const intake = this.#intakeOf(client);
    if (intake !== undefined && intake.heard < head.bytes.length) intake.yieldEarly();
    this.#listener?.resume(client, recalled, now);
  }

  /** Answers a SYN that was taken here or at another member. */
  answer(segment: Segment, iss: number, now: Micros): void {
    this.#listener?.answer(segment, iss, now);
  }

  /** A client is served, or gone: its SYN need not be answered again. */
  settled(client: Connection): void {
    if (this.isOpaque) this.#context.answers.end(flowOf(client.remote, client.local));
  }

  /** True if clients reach this service at `virtual`. */
  isAt({ address, port }: Endpoint): boolean {
    return address === this.#local.address && port === this.#local.port;
  }

  /** True while a client's connection ends here. */
  serves(client: Endpoint): boolean {
    return this.#intakeOf(client) !== undefined;
  }

  ended(intake: Intake): void {
    if (this.#intakes.delete(intake)) this.#context.counters.pending--;
  }

  #intakeOf({ address, port }: Endpoint): Intake | undefined {
    return this.#intakes.get(this.#local.address, this.#local.port, address, port);
  }

  poolFor(host: string, path: string): Pool | undefined {
    const name = this.#terms.poolFor(host, path);
    return name === undefined ? undefined : this.#context.pools.get(name)?.pool;
  }

  countYield(): void {
    this.#context.counters.yielded++;
  }

  countHead(result: string): void {
    this.#context.heads[result] = (this.#context.heads[result] ?? 0) + 1;
  }

  dial(
    pool: Pool,
    options: Pick<DialOptions, 'iss' | 'offer' | 'like' | 'onExhausted'> & {
      readonly onConnect: (backend: Connection) => void;
    },
  ): Dial {
    const timeout = this.#context.pools.get(pool.name)?.connectTimeout ?? SECOND;
    const { iss, offer, like, onConnect, onExhausted } = options;
    return this.#context.dialer.dial({ pool, timeout, iss, offer, like, onConnect, onExhausted });
  }

  canSplice(client: Connection, backend: Connection): boolean {
    return canSplice(client, backend);
  }

  commit(
    client: Connection,
    backend: Connection,
    done: (outcome: Splice | SpliceFailure) => void,
  ): void {
    this.#context.splices.commit(client, backend, this.number, done);
  }

  /** A client's connection will end here; see `Pins.add`. */
  pin(client: Connection, done: Done): void {
    this.#context.pins.add(client, done);
  }

  /** It is over; false if it was not pinned. */
  unpin(client: Connection): boolean {
    return this.#context.pins.remove(client);
  }

  /** @param held what the client has said */
  relay(client: Connection, backend: Connection, held: Uint8Array): void {
    const { counters, idleTimeout } = this.#context;
    counters.relays++;
    counters.activeRelays++;
    relay(client, backend, held, idleTimeout, () => {
      counters.activeRelays--;
      this.unpin(client);
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

  /** True if a member has logged a client's head, be it empty: who goes on with it must own it. */
  isLogged({ remote, local }: Connection): boolean {
    const heads = this.#context.replicator()?.heads;
    return heads !== undefined && heads.size > 0 && heads.get(flowOf(remote, local)) !== undefined;
  }

  /** @param logged whether anything of the head was logged */
  dropHead(client: Connection, logged: boolean): void {
    if (logged) this.#context.replicator()?.dropHead(flowOf(client.remote, client.local));
  }

  /**
   * What clients are offered: what every backend known so far can keep to. Whoever takes the ACK must know
   * what the SYN-ACK said, perhaps another member's with other knowledge: so the scale is always the same.
   */
  #offer(): Offer {
    const { host, pools } = this.#context;
    let mss = host.tcp.maximumSegment(this.#local.address);
    let sack = true;
    let timestamps = true;
    for (const name of this.#terms.pools) {
      const offer = pools.get(name)?.pool.offer();
      if (offer === undefined) continue;
      mss = Math.min(mss, offer.mss);
      sack &&= offer.sack;
      timestamps &&= offer.timestamps;
    }
    return { mss, windowScale: CLIENT_SCALE, sack, timestamps };
  }

  /** A connection whose first bytes another member has logged and acknowledged. */
  #recall(segment: Segment): Recalled | undefined {
    const { host, replicator } = this.#context;
    const head = replicator()?.heads.get(flowOf(segment.source, segment.destination));
    if (head === undefined) return undefined;
    const now = host.clock.now();
    const recalled = recallFacts(head, host.tcp.timestamp(now, 0), now);
    return recalled !== undefined && continues(segment, recalled) ? recalled : undefined;
  }
}

/** True if a segment can be the next one of a connection as it was logged, and not of an earlier one. */
function continues({ seq, ack }: Segment, { irs, iss, received }: Recalled): boolean {
  const offset = distance(seq, advance(irs, 1));
  return ack === advance(iss, 1) && offset >= 0 && offset <= received.length + MAX_AHEAD;
}
