// One member of a cluster, assembled: host, splices, replication, services.
import { Discovery } from '../backend/discovery.ts';
import { type Clock, type Micros, NEVER, systemClock } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { type Random, systemRandom } from '../env/random.ts';
import { Timer } from '../env/timers.ts';
import { Host } from '../host/host.ts';
import { type Address, type Endpoint, isIpv6, isLinkLocal } from '../ip/address.ts';
import type { Link } from '../link/link.ts';
import type { Head } from '../replication/heads.ts';
import type { Incarnation } from '../replication/incarnation.ts';
import { ACTIVE, JOINING, LEAVING, memberList } from '../replication/member.ts';
import { flowOfKey } from '../replication/messages.ts';
import { Patiences } from '../replication/patience.ts';
import { Replicator } from '../replication/replicator.ts';
import type { Keeper } from '../replication/store/keeper.ts';
import { endsOf } from '../splice/record.ts';
import { Cookies } from '../tcp/cookie.ts';
import type { SipKey } from '../tcp/siphash.ts';
import { keyFromSecret } from '../tcp/stack.ts';
import { type Mac, parseMac } from '../wire/ethernet.ts';
import { Answers } from './answers.ts';
import { type MemberConfig, memberConfig, type ProxyConfig } from './config.ts';
import { Dialer, millis } from './dialer.ts';
import { Drain, type DrainOutcome } from './drain.ts';
import { Forwarder, type ForwarderMember } from './forwarder.ts';
import { Holdings, mustParse, mustParsePrefix } from './holdings.ts';
import { isUnknown, keeperFor, type StoreFactory, sealersOf } from './keeping.ts';
import { LastWords } from './last-words.ts';
import { Pins } from './pins.ts';
import { type PoolEntry, updatePools } from './pools.ts';
import { Service, type ServiceContext } from './service.ts';
import { Splices } from './splices.ts';
import { StallAlarm } from './stall-alarm.ts';

export interface ProxyMemberOptions {
  readonly config: ProxyConfig;
  /** The name of this member. */
  readonly member: string;
  readonly link: Link;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Makes the store that `config.store` describes; what its `url` says when absent. */
  readonly store?: StoreFactory;
}

/** Bytes that a terminated connection may have on their way to us: none of them carries bulk for long. */
const RECEIVE_LIMIT = 262_144;

export class ProxyMember {
  readonly host: Host;
  readonly splices: Splices;
  readonly pools: ReadonlyMap<string, PoolEntry>;
  readonly #pools = new Map<string, PoolEntry>();
  readonly holdings: Holdings;
  /** Passes on what is another member's to answer; undefined where there is no other. */
  forwarder: Forwarder | undefined;
  /** What answers SYNs where the server speaks first. */
  readonly answers: Answers;
  /** Connections of clients that end at this member. */
  readonly pins: Pins;
  /** Where records are kept beside the mesh; undefined if nowhere. */
  readonly keeper: Keeper | undefined;
  /** Request heads by result. */
  readonly heads: Record<string, number> = {};
  readonly counters = { relays: 0, activeRelays: 0, pending: 0, yielded: 0, fenced: 0 };
  config: ProxyConfig;
  readonly member: string;
  readonly #options: ProxyMemberOptions;
  readonly #self: number;
  readonly #services: Service[];
  readonly #discovery: Discovery;
  readonly #spliceTimer = new Timer(() => {});
  /** Says when replication does not get on. */
  readonly stallAlarm: StallAlarm;
  readonly #patiences: Patiences;
  readonly #cookies: Cookies;
  readonly #issuers: { readonly self: number; count: number };
  /** In the order of their numbers; more may come. */
  readonly #members: MemberConfig[];
  readonly #lastWords: LastWords;
  /** Where each member is on the link, by its address in the mesh. */
  readonly #macs = new Map<Address, Mac>();
  #replicator: Replicator | undefined;
  #drain: Drain | undefined;

  /** @throws ConfigError if there is no such member */
  constructor(options: ProxyMemberOptions) {
    const { config, link, logger, clock = systemClock, random = systemRandom() } = options;
    const own = memberConfig(config, options.member);
    this.#options = options;
    this.config = config;
    this.member = options.member;
    this.#self = [...config.members.keys()].indexOf(options.member);
    this.stallAlarm = new StallAlarm(logger);
    this.#patiences = new Patiences(millis(config.cluster.suspectAfterMs));
    const mac = mustParseMac(own.mac);
    this.host = new Host({ link, mac, clock, random, tcp: { receiveLimit: RECEIVE_LIMIT } });
    this.host.ip.addAddress(mustParse(own.mesh));
    this.#addRoutes();
    for (const member of config.members.values()) this.#know(member);
    this.#lastWords = new LastWords({
      host: this.host,
      logger,
      macOf: (address) => this.#macs.get(address),
    });
    this.splices = new Splices({
      host: this.host,
      self: this.#self,
      maximum: config.splice.maxRecords,
      lingerMillis: config.splice.lingerMs,
      idleMillis: config.splice.idleTimeoutMs,
      logger,
      onProposed: (client, virtual) => this.#serviceAt(virtual)?.yield(client),
      isAnothers: (...segment) => this.forwarder?.isAnothers(...segment) ?? false,
    });
    this.keeper = keeperFor(options, () => this.config, this.host, this.splices);
    this.splices.keeper = this.keeper;
    this.#members = [...config.members.values()];
    this.holdings = new Holdings(this.host, this.#members, this.#self, logger);
    this.pools = this.#pools;
    updatePools(this.#pools, config.pools, () => this.host.clock.now());
    const sources = own.sources.map(mustParse);
    const isFree: Splices['isFree'] = (...flow) => this.splices.isFree(...flow);
    this.#issuers = { self: this.#self, count: config.members.size };
    this.#cookies = new Cookies(cookieKeysOf(config), this.#issuers);
    const members = this.#members;
    this.pins = new Pins({
      host: this.host,
      self: this.#self,
      get members() {
        return members.length;
      },
      replicator: () => this.#replicator,
    });
    this.answers = new Answers({
      host: this.host,
      replicator: () => this.#replicator,
      hasRecord: (flow) => this.splices.has(flow),
      serviceAt: (virtual) => this.#serviceAt(virtual),
      seed: this.host.tcp.flowSeed,
    });
    const context: ServiceContext = {
      host: this.host,
      dialer: new Dialer({ stack: this.host.tcp, sources, isFree }),
      splices: this.splices,
      replicator: () => this.#replicator,
      cookies: this.#cookies,
      pins: this.pins,
      answers: this.answers,
      pools: this.pools,
      heads: this.heads,
      idleTimeout: millis(config.splice.idleTimeoutMs),
      counters: this.counters,
    };
    this.#services = config.services.flatMap((service, number) =>
      service.addresses.map((address) => {
        const local = { address: mustParse(address), port: service.port };
        this.host.ip.addAddress(local.address, false);
        return new Service(context, number, service, local);
      }),
    );
    this.#discovery = new Discovery({
      stack: this.host.tcp,
      pools: () => [...this.pools.values()].map(({ pool }) => pool),
      sources,
      isFree,
    });
    this.forwarder = this.#makeForwarder();
    this.host.forwarder = this.forwarder;
    // Invariant I4: who is not sure that nobody knows a flow says nothing about it.
    this.host.tcp.mayReset = (segment) => {
      const { replicator } = this;
      if (replicator === undefined || replicator.state === JOINING) return false;
      if (this.isDraining) return false;
      // Nor does who has a store before that has been asked.
      const nobodyHasIt =
        this.keeper === undefined || isUnknown(this.keeper, this.#services, segment);
      return nobodyHasIt && !replicator.graceUntil(this.host.clock.now());
    };
    this.host.atEndOfBreath((now) => this.#flush(now));
  }

  get replicator(): Replicator | undefined {
    return this.#replicator;
  }

  /** Joins the cluster, and serves as soon as it may. The host must breathe from then on. */
  start(): void {
    this.keeper?.open();
    this.#join(undefined);
  }

  /**
   * Goes on by another configuration that `loadAgain` has let through: pools, routes, limits, secrets, and members
   * added at the end. Live connections stay as they are.
   */
  reload(config: ProxyConfig): void {
    const { host } = this;
    this.config = config;
    updatePools(this.#pools, config.pools, () => host.clock.now());
    for (const service of this.#services) service.configure(config.services[service.number]);
    this.#discovery.update();
    this.#cookies.rekey(cookieKeysOf(config));
    this.#replicator?.rekey(config.cluster.secrets);
    this.keeper?.rekey(sealersOf(config, host.random));
    for (const member of [...config.members.values()].slice(this.#members.length)) {
      this.#admit(member);
    }
  }

  /**
   * Leaves in order: hands the addresses over, finishes what it has begun, and tells the others. Call `stop` after
   * `done`. Drains that follow may only shorten the limit.
   * @param limit how long that may take
   * @param done called once, when this member is out of the cluster
   */
  drain(limit: Micros, done: (outcome: DrainOutcome) => void): void {
    const { host, splices, counters } = this;
    const now = host.clock.now();
    if (this.#drain !== undefined || this.#replicator === undefined) {
      this.#drain?.hurry(now + limit);
      return;
    }
    this.#discovery.stop();
    const services = this.#services;
    const work = {
      counters,
      get splices() {
        return splices.size;
      },
      yieldSilent: () => {
        if (counters.pending > 0) for (const service of services) service.yieldSilent();
      },
      refuse: () => {
        for (const service of services) service.refuse();
      },
    };
    const { logger } = this.#options;
    this.#drain = new Drain(this.#replicator, work, logger, now, limit, (outcome) => {
      this.#leave();
      this.#replicator?.farewell();
      const { took, ...facts } = outcome;
      const level = outcome.result === 'left' && outcome.lost === 0 ? 'info' : 'warn';
      logger[level]({ event: 'drained', ...facts, took }, 'drained');
      done(outcome);
    });
  }

  /** True once it was told to leave. */
  get isDraining(): boolean {
    return this.#drain !== undefined;
  }

  /** Goes silent: the others take over. */
  stop(): void {
    this.#leave();
    this.#replicator?.close();
    this.keeper?.close();
    this.host.stop();
  }

  /** From now on this member has the addresses that clients and backends reach it by. */
  #serve(): void {
    this.keeper?.begin();
    for (const service of this.#services) service.open();
    this.#discovery.start();
  }

  /** What is not spliced yet is left to the other members. */
  #leave(): void {
    this.#discovery.stop();
    for (const service of this.#services) service.close();
    this.holdings.releaseAll();
  }

  #join(above: Incarnation | undefined): void {
    const { host } = this;
    const { config } = this;
    const { logger } = this.#options;
    const { cluster, members } = config;
    const byAddress = [...members].map(
      ([name, { mesh }]) => [name, { address: mustParse(mesh) }] as const,
    );
    const socket = host.udp.bind({
      address: mustParse(memberConfig(config, this.member).mesh),
      port: cluster.port,
    });
    const replicator: Replicator = new Replicator(
      {
        port: socket,
        udpPort: cluster.port,
        cluster: cluster.name,
        secrets: cluster.secrets,
        members: memberList(new Map(byAddress)),
        self: this.#self,
        heartbeat: millis(cluster.heartbeatMs),
        suspectAfter: millis(cluster.suspectAfterMs),
        patiences: this.#patiences,
        ...(above === undefined ? {} : { above }),
        table: this.splices,
        isPrepared: () => this.keeper?.isPrepared() ?? true,
        frames: () => host.counters.frames,
        evidence: () => host.counters.frames - replicator.counters.datagramsIn,
        isBusy: () => host.isBusy,
        clock: host.clock,
        timers: host.timers,
        random: host.random,
        logger,
      },
      {
        insert: (_from, record) => this.splices.insert(record),
        proposed: (_from, record) => this.splices.proposed(record),
        standsAgainst: (record) => this.splices.standsAgainst(record),
        prevails: (first, second) => this.splices.prevails(first, second),
        delete: (_from, key) => {
          this.splices.delete(key);
          this.#forgetHead(replicator, flowOfKey(key));
        },
        seen: (message) => this.splices.sightings.hear(message),
        taken: (flow) => {
          const ends = endsOf(flow);
          if (ends !== undefined) this.#serviceAt(ends.virtual)?.yieldEarly(ends.client);
        },
        orphan: (head) => this.#adopt(replicator, head),
        abandoned: (handshakes) => this.answers.adopt(handshakes),
        // Who leaves must not take back what another has adopted.
        view: () => {
          if (replicator.state === ACTIVE) this.holdings.announceAgain();
        },
        returned: () => {
          if (replicator.state === ACTIVE) this.holdings.announceAgain();
        },
        claim: (id) => {
          this.holdings.claim(id);
          if (id === this.#self) this.#serve();
          else if (config.splice.resume) {
            this.splices.splicer.resume(id, host.clock.now(), host.clock.wall());
          }
        },
        // What was begun from addresses of ours still comes to us, by way of who has them now.
        release: (id) => this.holdings.release(id, replicator.state === LEAVING),
        fenced: (floor) => {
          this.counters.fenced++;
          if (this.#drain !== undefined) {
            this.#drain.fenced(host.clock.now());
            return;
          }
          this.#leave();
          socket.close();
          this.splices.forgetAll();
          this.keeper?.restart();
          this.#join(floor);
        },
      },
    );
    this.#replicator = replicator;
    this.splices.replicator = replicator;
    replicator.start(host.clock.now());
    this.#lastWords.speakFor(replicator, socket, host.clock.now());
  }

  /** Goes on with a client that a member had accepted who is gone. */
  #adopt(replicator: Replicator, head: Head): void {
    if (head.facts.length === 0) {
      // A relay, or an answer: it was lost with its member.
      replicator.dropHead(head.flow);
      return;
    }
    // Its record is inherited, or another member goes on with it.
    if (replicator.proposerOf(head.flow) !== undefined) return;
    if (this.splices.has(head.flow)) replicator.dropHead(head.flow);
    else {
      const ends = endsOf(head.flow);
      if (ends !== undefined) this.#serviceAt(ends.virtual)?.adopt(ends.client, head);
    }
  }

  /**
   * A flow's record is over. A head that was logged here for it is, too, if its client was left to another member, whose
   * record prevailed; one that is served here has come again.
   */
  #forgetHead(replicator: Replicator, flow: Uint8Array): void {
    const head = replicator.heads.get(flow);
    if (head === undefined || head.owner !== this.#self || head.isOrphan) return;
    // Those of pins go with their connections.
    if (head.facts.length === 0) return;
    const ends = endsOf(flow);
    if (ends === undefined || this.#serviceAt(ends.virtual)?.serves(ends.client) === true) return;
    replicator.dropHead(flow);
  }

  /** What is on the link, and who knows the way to all else. */
  #addRoutes(): void {
    const { ip } = this.host;
    for (const subnet of this.config.network.subnets)
      ip.addRoute({ prefix: mustParsePrefix(subnet) });
    for (const text of this.config.network.gateways) {
      const gateway = mustParse(text);
      const everywhere = mustParsePrefix(isIpv6(gateway) ? '::/0' : '0.0.0.0/0');
      // Who is known by a link-local address alone is asked for from one.
      if (isIpv6(gateway) && isLinkLocal(gateway)) ip.addLinkLocalAddress();
      ip.addRoute({ prefix: everywhere, gateway });
    }
  }

  #serviceAt(virtual: Endpoint): Service | undefined {
    return this.#services.find((service) => service.isAt(virtual));
  }

  /** Where another member is: after a partition nobody waits until it is asked for again. */
  #know({ name, mesh, mac }: MemberConfig): void {
    if (name === this.member) return;
    const address = mustParse(mesh);
    this.#macs.set(address, mustParseMac(mac));
    this.host.ip.neighbours.fix(address, mustParseMac(mac));
  }

  /** Another member of the cluster, which need not run yet. */
  #admit(member: MemberConfig): void {
    this.#know(member);
    const id = this.#members.push(member) - 1;
    this.#issuers.count = this.#members.length;
    if (this.forwarder === undefined) {
      this.forwarder = this.#makeForwarder();
      this.host.forwarder = this.forwarder;
    } else this.forwarder.add(routedTo(member));
    this.#replicator?.addMember({ id, name: member.name, address: mustParse(member.mesh) });
    this.#options.logger.info({ event: 'admitted', member: member.name, id }, 'member added');
  }

  #makeForwarder(): Forwarder | undefined {
    const { services } = this.config;
    if (this.#members.length < 2) return undefined;
    return new Forwarder({
      host: this.host,
      self: this.#self,
      members: this.#members.map(routedTo),
      services: services.flatMap(({ addresses }) => addresses.map(mustParse)),
      cookies: this.#cookies,
      replicator: () => this.#replicator,
      onStray: (now) => this.splices.sightings.expect(now),
      restorerOf: (flow) => this.keeper?.holderOf(flow),
    });
  }

  #flush(now: Micros): void {
    this.splices.splicer.flush(now);
    this.splices.splicer.run(now);
    this.#drain?.step(now);
    const { stallAlarm } = this;
    const replicator = this.#replicator;
    if (replicator !== undefined) {
      replicator.flush(now);
      stallAlarm.look(replicator.lag(now), replicator.unacked, now);
    }
    this.answers.flush(now);
    const { nextAt } = this.splices.splicer;
    if (nextAt !== NEVER) this.host.timers.set(this.#spliceTimer, nextAt);
  }
}

const cookieKeysOf = ({ cluster }: ProxyConfig): SipKey[] =>
  cluster.secrets.map((secret) => keyFromSecret(secret, 'cookie'));

/** What is passed on to a member. */
const routedTo = ({ mac, sources }: MemberConfig): ForwarderMember => ({
  mac: mustParseMac(mac),
  sources: sources.map(mustParse),
});

/** The configuration has been checked; what is no MAC here is a fault of ours. */
function mustParseMac(text: string): Mac {
  const mac = parseMac(text);
  if (mac === undefined) throw new Error(`${text} is no MAC`);
  return mac;
}
