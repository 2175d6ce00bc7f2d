// A whole cluster in the simulator: proxies, backends and clients on one LAN, their wires watched.
import { expect } from 'vitest';
import { MILLISECOND, type Micros, SECOND } from '../../src/env/clock.ts';
import { silentLogger } from '../../src/env/logger.ts';
import { below, type Random, seededRandom } from '../../src/env/random.ts';
import { Timer } from '../../src/env/timers.ts';
import { Host } from '../../src/host/host.ts';
import {
  type Address,
  type Endpoint,
  formatEndpoint,
  parseAddress,
  parsePrefix,
} from '../../src/ip/address.ts';
import { type ProxyConfig, parseProxyConfig } from '../../src/proxy/config.ts';
import type { DrainOutcome } from '../../src/proxy/drain.ts';
import { ProxyMember } from '../../src/proxy/proxy.ts';
import { type Seen, Wiretap } from '../../src/rehearsal/wiretap.ts';
import { ACTIVE } from '../../src/replication/member.ts';
import { MemoryServer, MemoryStore } from '../../src/replication/store/memory.ts';
import { Bequeathing, type SimulatedPort, Simulation } from '../../src/sim/index.ts';
import { MAX_FLOW_BYTES } from '../../src/splice/form.ts';
import { isSourceTaken } from '../../src/splice/join.ts';
import { writeFlow } from '../../src/splice/record.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { MeshGate } from './mesh-gate.ts';
import { ScriptedClient, type Step, WebServer } from './peers.ts';
import { type Choice, Sprayer } from './sprayer.ts';

export function addressOf(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

export const VIRTUAL = '10.0.0.100';
const VIRTUAL6 = '2001:db8:ffff::100';
/** The services; in a cluster of IPv6 clients these stand for the same ports at the IPv6 address. */
export const HTTP = { address: addressOf(VIRTUAL), port: 80 };
export const OPAQUE = { address: addressOf(VIRTUAL), port: 25 };

type Family = 4 | 6;
const SUBNETS: Readonly<Record<Family, string>> = { 4: '10.1.0.0/24', 6: '2001:db8:1::/64' };

/** The address of a host on the LAN. */
export const hostAddress = (number: number, family: Family = 4): string =>
  family === 4 ? `10.1.0.${number}` : `2001:db8:1::${number}`;

const endpointText = (number: number, family: Family, port: number): string =>
  family === 4 ? `${hostAddress(number)}:${port}` : `[${hostAddress(number, 6)}]:${port}`;
const NAMES = ['a', 'b', 'c'] as const;
export type Name = (typeof NAMES)[number];
/** Host number of the first member's mesh address. */
const FIRST_MESH = 40;

export interface ClusterOptions {
  readonly seed?: number;
  /** How many proxies; two when absent. */
  readonly members?: number;
  /** Delay of every cable, each way. */
  readonly delay?: Micros;
  /** Probability that a frame is lost, comes twice, or comes late, each. */
  readonly trouble?: number;
  readonly maxRecords?: number;
  /** The address family of clients; 4 when absent. */
  readonly clients?: Family;
  /** Those of the web backends in their pool, each with all backends; that of the clients when absent. */
  readonly families?: readonly Family[];
  /** That of the messages between members; that of the clients when absent. */
  readonly mesh?: Family;
  /** Addresses of the backends; those from .33 on are nobody's. */
  readonly backends?: readonly number[];
  /** Options that the backends' SYN-ACKs lack. */
  readonly timestamps?: boolean;
  /** Whether each packet of clients and backends comes to a member by chance. */
  readonly spray?: boolean;
  /** Whether ends are made to go on after a takeover; true when absent. */
  readonly resume?: boolean;
  /** Whether records are kept in a store, too. */
  readonly store?: boolean;
}

export function configuration(options: ClusterOptions): ProxyConfig {
  const { members = 2, backends = [31, 32], maxRecords = 256, clients = 4 } = options;
  const { mesh = clients, families = [clients] } = options;
  const both = (number: number): string => `[${hostAddress(number)}, "${hostAddress(number, 6)}"]`;
  const web = families.flatMap((family) => backends.map((n) => `"${endpointText(n, family, 80)}"`));
  const text = `
cluster: { name: simulated, secret: "a secret for the simulator", heartbeatMs: 10, suspectAfterMs: 60 }
network: { subnet: [${SUBNETS[4]}, "${SUBNETS[6]}"] }
members:
${NAMES.slice(0, members)
  .map(
    (name, index) =>
      `  ${name}: { mesh: "${hostAddress(FIRST_MESH + index, mesh)}", nextHop: ${both(10 + index)}, sources: ${both(20 + index)}, link: { tap: ${name} } }`,
  )
  .join('\n')}
pools:
  web: { backends: [${web.join(', ')}], connectTimeoutMs: 200, penaltyMs: 100 }
  mail: { backends: ["${endpointText(31, clients, 25)}"] }
services:
  - { name: web, address: [${VIRTUAL}, "${VIRTUAL6}"], port: 80, protocol: http, headTimeoutMs: 5000, maxHeadBytes: 1024, routes: [{ pool: web }] }
  - { name: mail, address: [${VIRTUAL}, "${VIRTUAL6}"], port: 25, protocol: tcp, pool: mail }
splice: { lingerMs: 500, idleTimeoutMs: 10000, maxRecords: ${maxRecords}, resume: ${options.resume ?? true} }
${options.store === true ? 'store: { url: "redis://simulated", ttlMs: 60000 }' : ''}
`;
  return parseProxyConfig(text, 'simulated.yaml');
}

export class Cluster {
  readonly simulation: Simulation;
  readonly members = new Map<Name, ProxyMember>();
  readonly servers: WebServer[] = [];
  readonly mail: WebServer;
  readonly backends: Host[] = [];
  readonly client: Host;
  readonly clients: ScriptedClient[] = [];
  /** Resets that came to a client that had not heard the end of what it was to hear. */
  resets = 0;
  /** What broke an invariant, in words. */
  readonly violations: string[] = [];
  /** Segments that each member sent to clients. */
  readonly toClients = new Map<string, number>();
  /** The members' cables. */
  readonly ports = new Map<Name, SimulatedPort>();
  /** What members' kernels say when they are dead. */
  readonly #wills = new Map<Name, Bequeathing>();
  /** Whether what a member says to another arrives, over IPv4. */
  meshPasses: (from: Name, to: Name | undefined) => boolean = () => true;
  /** Members that the router does not choose, where packets come to a member by chance. */
  bypassed: readonly Name[] = [];
  /** What became of drains. */
  readonly drained = new Map<Name, DrainOutcome>();
  /** What all members keep their records in, if they do. */
  readonly store: MemoryServer;
  /** Members that do not breathe at the moment. */
  readonly #paused = new Set<ProxyMember>();
  /** What members are started with. */
  config: ProxyConfig;
  readonly #family: Family;
  /** Where clients find the services. */
  readonly #virtual: Address;
  readonly #delay: Micros;
  readonly #trouble: number;
  /** Chooses the member that each packet comes to; undefined where routes do. */
  readonly #spray: Random | undefined;
  /** Addresses of services and the members' own towards backends. */
  readonly #proxied: ReadonlySet<Address>;
  /** By the client's port: its initial number, and how far backends acknowledged what it said. */
  readonly #irs = new Map<number, number>();
  readonly #acknowledged = new Map<number, number>();
  /** By the client's port: how much it has said. */
  readonly #said = new Map<number, number>();
  /** By `source -> backend`: the number that stands for the client's initial one. */
  readonly #dialed = new Map<string, number>();
  readonly #translated = new Set<string>();
  /** Clients whose requests members answer themselves. */
  readonly answered = new Set<number>();
  #seed: number;

  constructor(options: ClusterOptions = {}) {
    const { seed = 1, delay = 50, trouble = 0, timestamps = true } = options;
    this.#seed = seed * 1_000;
    this.#family = options.clients ?? 4;
    this.#virtual = addressOf(this.#family === 4 ? VIRTUAL : VIRTUAL6);
    this.#delay = delay;
    this.#trouble = trouble;
    this.#spray = options.spray === true ? seededRandom(seed + 77) : undefined;
    const sources = [20, 21, 22].flatMap((n) => [hostAddress(n), hostAddress(n, 6)]);
    this.#proxied = new Set([VIRTUAL, VIRTUAL6, ...sources].map(addressOf));
    this.config = configuration(options);
    this.simulation = new Simulation(seed);
    this.store = new MemoryServer(this.simulation.clock);
    this.store.latency = 200;
    for (const name of this.config.members.keys()) this.start(name as Name);
    for (const number of [31, 32]) {
      const host = this.#host(number, (segment) => this.#fromBackend(segment));
      this.backends.push(host);
      if (!timestamps) withoutTimestamps(host);
      for (const family of [4, 6] as const) {
        const address = addressOf(hostAddress(number, family));
        this.servers.push(new WebServer(host, { address, port: 80 }));
      }
    }
    this.mail = new WebServer(
      this.backends[0],
      { address: addressOf(hostAddress(31, this.#family)), port: 25 },
      '220 hello\r\n',
    );
    this.client = this.#host(2, (segment) => this.#fromClient(segment));
    for (const [text, family] of [
      [`${VIRTUAL}/32`, 4],
      [`${VIRTUAL6}/128`, 6],
    ] as const) {
      const prefix = parsePrefix(text);
      if (prefix === undefined) throw new Error('no prefix');
      this.client.ip.addRoute({ prefix, gateway: addressOf(hostAddress(10, family)) });
    }
    this.until(() => [...this.members.values()].every(isServing), 'all members serve');
    // Until the backends' options are known.
    this.simulation.runFor(50 * MILLISECOND);
  }

  get requests(): string[] {
    return [...this.servers, this.mail].flatMap((server) => server.requests);
  }

  member(name: Name): ProxyMember {
    const member = this.members.get(name);
    if (member === undefined) throw new Error(`${name} is not alive`);
    return member;
  }

  /** Starts a member, for the first time or again. */
  start(name: Name): void {
    const port = this.#port();
    const will = new Bequeathing(
      new MeshGate(port, (to) => this.meshPasses(name, NAMES[(to & 0xff) - FIRST_MESH])),
    );
    this.#wills.set(name, will);
    const member: ProxyMember = new ProxyMember({
      config: this.config,
      member: name,
      link: new Wiretap(will, (segment) => this.#fromMember(member, segment)),
      logger: silentLogger,
      clock: this.simulation.clock,
      random: seededRandom(++this.#seed),
      store: (_, { clock, timers }) => new MemoryStore(this.store, clock, timers),
    });
    this.members.set(name, member);
    this.ports.set(name, port);
    this.simulation.add(member.host, port);
    member.start();
  }

  kill(name: Name): void {
    this.simulation.remove(this.member(name).host);
    this.members.delete(name);
  }

  /** What is to be said when the present life of a member, or its last one, is over. */
  willOf(name: Name): Bequeathing | undefined {
    return this.#wills.get(name);
  }

  /** Says it, by way of a cable of its own: that of the dead is unplugged. */
  executeWill(will: Bequeathing | undefined): void {
    will?.execute(this.#port());
  }

  /** Has a member leave in order; it is gone when it is done. */
  drain(name: Name, limit: Micros = 10 * SECOND): void {
    const member = this.member(name);
    const { timers, clock } = member.host;
    const end = new Timer(() => {
      this.simulation.remove(member.host);
      this.members.delete(name);
    });
    member.drain(limit, (outcome) => {
      this.drained.set(name, outcome);
      // Its last words are on their way when this breath is over.
      timers.set(end, clock.now() + MILLISECOND);
    });
  }

  pause(name: Name): void {
    this.#paused.add(this.member(name));
    this.simulation.pause(this.member(name).host);
  }

  resume(name: Name): void {
    this.#paused.delete(this.member(name));
    this.simulation.resume(this.member(name).host);
  }

  /** A client that says `steps` to a service, and closes when it has heard `ends` bytes. */
  connect(
    steps: Step[],
    ends: number,
    to = HTTP,
    port = 40_000 + this.clients.length,
  ): ScriptedClient {
    const local = { address: addressOf(hostAddress(2, this.#family)), port };
    const remote = { address: this.#virtual, port: to.port };
    const client = new ScriptedClient(this.client, remote, local, steps, ends);
    this.clients.push(client);
    return client;
  }

  until(condition: () => boolean, what: string, maxTime: Micros = 30 * SECOND): void {
    const end = this.simulation.runUntil(condition, { maxTime, maxEvents: 2_000_000 });
    if (end !== 'met') throw new Error(`${what}: never (${end})`);
  }

  /** Expects every member to come back to where it was before there was any client. */
  expectNothingLeft(): void {
    for (const [name, member] of this.members) {
      const { host, splices, counters, replicator } = member;
      expect({
        name,
        // Backends that do not answer are asked again and again.
        connections: [...host.tcp.connections()]
          .map(({ state, remote }) => `${state} ${formatEndpoint(remote)}`)
          .filter((text) => !/^syn-sent (10\.1\.0\.|\[2001:db8:1::)3[3-9]/.test(text)),
        records: splices.size,
        intakes: counters.pending,
        relays: counters.activeRelays,
        heads: replicator?.heads.size,
        unacked: replicator?.unacked,
        undecided: replicator?.undecided,
      }).toEqual({
        name,
        connections: [],
        records: 0,
        intakes: 0,
        relays: 0,
        heads: 0,
        unacked: 0,
        undecided: 0,
      });
    }
  }

  #port(): SimulatedPort {
    const trouble = this.#trouble;
    const conditions = { loss: trouble, duplication: trouble, reordering: trouble };
    return this.simulation.port({ conditions: { delay: this.#delay, ...conditions } });
  }

  #host(number: number, seen: (segment: Seen) => void): Host {
    const port = this.#port();
    const seed = ++this.#seed;
    const host = new Host({
      link: new Wiretap(new Sprayer(port, (destination) => this.#chosen(destination)), seen),
      mac: 0x0200_0000_0000 + seed,
      clock: this.simulation.clock,
      random: seededRandom(seed),
      tcp: { timeWait: SECOND },
    });
    for (const family of [4, 6] as const) {
      host.ip.addAddress(addressOf(hostAddress(number, family)));
      const subnet = parsePrefix(SUBNETS[family]);
      if (subnet !== undefined) host.ip.addRoute({ prefix: subnet });
    }
    return this.simulation.add(host, port);
  }

  /** The member by way of whose next-hop address a packet comes, by chance. */
  #chosen(destination: Address): Choice {
    if (this.#spray === undefined || !this.#proxied.has(destination)) return undefined;
    const family = typeof destination === 'number' ? 4 : 6;
    const candidates = [...this.config.members.keys()]
      .map((name, index) => (this.bypassed.includes(name as Name) ? -1 : 10 + index))
      .filter((number) => number >= 0);
    const nextHop = addressOf(
      hostAddress(candidates[below(this.#spray, candidates.length)], family),
    );
    const holders = [...this.members.values()].filter(({ host }) => host.ip.isLocal(nextHop));
    const holder = holders.find((member) => !this.#paused.has(member)) ?? holders[0];
    return holder?.host.ip.mac ?? 'lost';
  }

  #fromClient({ sourcePort, seq, flags, length }: Seen): void {
    if ((flags & tcp.SYN) !== 0) this.#irs.set(sourcePort, seq);
    const irs = this.#irs.get(sourcePort);
    if (irs === undefined) return;
    const end = (seq - irs - 1 + length + (flags & tcp.FIN)) | 0;
    if (end > (this.#said.get(sourcePort) ?? 0)) this.#said.set(sourcePort, end);
  }

  #fromBackend({ from, to, ack, flags }: Seen): void {
    const irs = this.#dialed.get(`${to} ${from}`);
    if (irs === undefined || (flags & tcp.ACK) === 0) return;
    const offset = (ack - irs - 1) | 0;
    if (offset > (this.#acknowledged.get(irs) ?? 0)) this.#acknowledged.set(irs, offset);
  }

  #fromMember(member: ProxyMember, segment: Seen): void {
    // Passed on to another member, as it came.
    if (this.#proxied.has(segment.destination)) return;
    if (segment.source === this.#virtual) {
      this.toClients.set(member.member, (this.toClients.get(member.member) ?? 0) + 1);
      this.#toClient(segment);
    } else this.#toBackend(member, segment);
  }

  /** Invariant I1: what is acknowledged to a client is safe. */
  #toClient({ to, ack, flags, destinationPort, sourcePort }: Seen): void {
    if ((flags & tcp.RST) !== 0) {
      // A server that has closed answers what comes late with a reset, and is right.
      const client = this.clients.find(
        ({ connection }) => connection.local.port === destinationPort,
      );
      if (client?.ended !== true) this.resets++;
      return;
    }
    const irs = this.#irs.get(destinationPort);
    if (irs === undefined || (flags & tcp.ACK) === 0 || this.answered.has(destinationPort)) return;
    const offset = (ack - irs - 1) | 0;
    // What was never said cannot be acknowledged: the numbers of a question may be any.
    if (offset > (this.#said.get(destinationPort) ?? 0)) return;
    const safe = Math.max(
      this.#acknowledged.get(irs) ?? 0,
      this.#logged(destinationPort, sourcePort),
    );
    if (offset > safe) {
      this.violations.push(`I1: ${to} was acknowledged ${offset} bytes, ${safe} are safe`);
    }
  }

  /** Invariant I2: every member that lives has the record by which a packet was translated. */
  #toBackend(member: ProxyMember, segment: Seen): void {
    const { from, to, flags, seq } = segment;
    const way = `${from} ${to}`;
    if ((flags & (tcp.SYN | tcp.ACK)) === tcp.SYN) {
      this.#dialed.set(way, seq);
      this.#translated.delete(way);
    }
    if (this.#translated.has(way) || (flags & (tcp.SYN | tcp.RST)) !== 0) return;
    const source = { address: segment.source, port: segment.sourcePort };
    const backend = { address: segment.destination, port: segment.destinationPort };
    const own = [...member.host.tcp.connections()].some(
      ({ local, remote, state }) =>
        state !== 'closed' &&
        local.address === source.address &&
        local.port === source.port &&
        remote.address === backend.address &&
        remote.port === backend.port,
    );
    const spliced = isSourceTaken(
      member.splices.splicer.ofAddress(backend.address).table,
      source,
      backend,
    );
    if (!spliced) {
      if (!own) this.violations.push(`I2: ${way} is translated without a record`);
      return;
    }
    this.#translated.add(way);
    const flow = flowFrom(member, source, backend);
    for (const [name, other] of this.members) {
      if (this.#paused.has(other) || !isServing(other)) continue;
      // A member that has accepted a record holds the flow for it, until it hears that all have.
      if (!other.splices.has(flow) && other.replicator?.proposerOf(flow) === undefined) {
        this.violations.push(`I2: ${way} is translated and ${name} has no record`);
      }
    }
  }

  #logged(clientPort: number, servicePort: number): number {
    const flow = new Uint8Array(MAX_FLOW_BYTES);
    const client = { address: addressOf(hostAddress(2, this.#family)), port: clientPort };
    const virtual = { address: this.#virtual, port: servicePort };
    const length = writeFlow(new DataView(flow.buffer), 0, client, virtual);
    let least = Number.POSITIVE_INFINITY;
    for (const member of this.members.values()) {
      if (this.#paused.has(member) || !isServing(member)) continue;
      least = Math.min(
        least,
        member.replicator?.heads.get(flow.subarray(0, length))?.bytes.length ?? 0,
      );
    }
    return least;
  }
}

export const isServing = (member: ProxyMember): boolean => member.replicator?.state === ACTIVE;

/** Client and virtual end point of the splice that `member` has between these two. */
function flowFrom(member: ProxyMember, source: Endpoint, backend: Endpoint): Uint8Array {
  const { table } = member.splices.splicer.ofAddress(backend.address);
  const flow = new Uint8Array(MAX_FLOW_BYTES);
  for (let slot = table.nextUsed(0); slot >= 0; slot = table.nextUsed(slot + 1)) {
    const record = table.get(slot);
    if (!isSame(record.source, source) || !isSame(record.backend, backend)) continue;
    const { client, virtual } = record;
    return flow.subarray(0, writeFlow(new DataView(flow.buffer), 0, client, virtual));
  }
  throw new Error('the record is gone');
}

const isSame = (one: Endpoint, other: Endpoint): boolean =>
  one.address === other.address && one.port === other.port;

/** As `tcp_timestamps = 0` does it. */
function withoutTimestamps(host: Host): void {
  const { offerFor } = host.tcp;
  host.tcp.offerFor = (remote) => ({ ...offerFor.call(host.tcp, remote), timestamps: false });
}
