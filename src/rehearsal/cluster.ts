// The whole cluster in the simulator: real proxies, backends, clients and perhaps a router on one LAN, all wires
// watched, and what can be done to the members.
import { MILLISECOND, type Micros, NEVER, SECOND } from '../env/clock.ts';
import { chance, type Random, seededRandom } from '../env/random.ts';
import { Timer } from '../env/timers.ts';
import { Host } from '../host/host.ts';
import type { Address } from '../ip/address.ts';
import type { Frame } from '../link/frame.ts';
import type { ProxyConfig } from '../proxy/config.ts';
import type { DrainOutcome } from '../proxy/drain.ts';
import { ProxyMember } from '../proxy/proxy.ts';
import { ACTIVE, LEAVING } from '../replication/member.ts';
import { Bequeathing } from '../sim/bequeathing.ts';
import type { SimulatedPort } from '../sim/network.ts';
import type { Simulation } from '../sim/simulation.ts';
import { isMeshFrame } from './mesh-frame.ts';
import type { MeshPlan, Plan } from './plan.ts';
import { Router } from './router.ts';
import * as site from './site.ts';
import type { Timeline } from './timeline.ts';
import { type Seen, Wiretap } from './wiretap.ts';

/** One place in the cluster and who sits there: a member's lives come one after the other. */
export interface Station {
  readonly id: number;
  readonly name: string;
  /** The present life, or the last one. */
  member: ProxyMember;
  port: SimulatedPort;
  /** What is told when that life is over. */
  will: Bequeathing;
  /** Whether the process is there, and whether it runs. */
  isRunning: boolean;
  isPaused: boolean;
  /** How often something was done to it that it may not survive. */
  disturbances: number;
  /** It was told to leave, and has not yet ended. */
  isLeaving: boolean;
}

/** Sees every segment before it is on the wire, and what became of drains. */
export interface Observer {
  memberSent(station: Station, segment: Seen): void;
  clientSent(segment: Seen): void;
  backendSent(segment: Seen): void;
  memberLeft(station: Station, outcome: DrainOutcome): void;
}

/** Backends and clients do not keep ports of connections that are over for long. */
const TIME_WAIT: Micros = SECOND;
const START: Micros = 10 * SECOND;
/** Between the end of a drain and that of the process, as `suture proxy` has it. */
const FAREWELL: Micros = 20 * MILLISECOND;

export class SimulatedCluster {
  readonly plan: Plan;
  readonly simulation: Simulation;
  readonly stations: readonly Station[];
  readonly backends: readonly Host[];
  readonly clients: readonly Host[];
  /** Where clients find the services. */
  readonly virtual: Address;
  /** Where members connect to backends from. */
  readonly sources: ReadonlySet<Address>;
  /** What happens to messages between members at the moment. */
  mesh: MeshPlan;
  readonly #config: ProxyConfig;
  readonly #timeline: Timeline;
  readonly #observer: Observer;
  readonly #random: Random;
  readonly #stationOf = new Map<SimulatedPort, number>();
  /** How often the way from one station to another is cut: at `from * stations + to`. */
  readonly #cuts: number[];

  /** Builds it all; the members serve when this is done. */
  constructor(plan: Plan, simulation: Simulation, timeline: Timeline, observer: Observer) {
    const { seed, members, family } = plan;
    this.plan = plan;
    this.simulation = simulation;
    this.mesh = plan.mesh;
    this.#timeline = timeline;
    this.#observer = observer;
    this.#random = seededRandom(seed ^ 0x2545_f491);
    this.#config = site.siteConfig(plan);
    this.#cuts = new Array(members * members).fill(0);
    this.virtual = site.virtualAddress(family);
    const ids = Array.from({ length: members }, (_, id) => id);
    this.sources = new Set(ids.map((id) => site.hostAddress(site.SOURCE + id, family)));
    this.stations = ids.map((id) => this.#station(id));
    this.backends = Array.from({ length: site.BACKENDS }, (_, index) =>
      this.#host(site.BACKEND + index, (segment) => this.#observer.backendSent(segment)),
    );
    this.clients = ids.map((id) =>
      this.#host(site.CLIENT + id, (segment) => this.#observer.clientSent(segment)),
    );
    this.#route();
    simulation.network.passage = (from, to, frame) => this.#passage(from, to, frame);
    const ready = simulation.runUntil(() => this.stations.every(isServing), { maxTime: START });
    if (ready !== 'met') throw new Error('the members do not come up');
    // Until the backends' options are known.
    simulation.runFor(50 * MILLISECOND);
  }

  /** Starts a station's next life. */
  start(station: Station): void {
    const port = this.#port(this.plan.offload);
    station.port = port;
    station.will = new Bequeathing(port);
    station.member = this.#member(station);
    station.isRunning = true;
    this.#stationOf.set(port, station.id);
    this.#timeline.say(station.name, () => '*** starts');
    this.simulation.add(station.member.host, port);
    station.member.start();
  }

  /**
   * As SIGKILL does it.
   * @param told how long after that its kernel has the others told, -1 if that is gone, too
   */
  crash(station: Station, told: Micros): void {
    if (station.isPaused) this.resume(station);
    station.disturbances++;
    this.#timeline.say(station.name, () => '*** is killed');
    const { will } = station;
    const isReachable = station.port.plugged;
    this.#remove(station);
    if (told >= 0 && isReachable) this.#tell(station, will, told);
  }

  /**
   * As SIGTERM does it: leaves in order, and then the process ends.
   * @param limit how long it may finish what it has begun
   * @param ended called when the process has ended by itself
   */
  drain(station: Station, limit: Micros, ended: () => void): void {
    const { member } = station;
    const { timers, clock } = member.host;
    station.isLeaving = true;
    station.disturbances++;
    this.#timeline.say(station.name, () => `*** is told to leave within ${limit} us`);
    const end = new Timer(() => {
      this.#timeline.say(station.name, () => '*** ends');
      member.stop();
      this.#remove(station);
      ended();
    });
    member.drain(limit, (outcome) => {
      this.#observer.memberLeft(station, outcome);
      timers.set(end, clock.now() + FAREWELL);
    });
  }

  /** As SIGSTOP does it: what comes meanwhile waits. */
  pause(station: Station): void {
    station.isPaused = true;
    station.disturbances++;
    this.#timeline.say(station.name, () => '*** is stopped');
    this.simulation.pause(station.member.host);
  }

  resume(station: Station): void {
    station.isPaused = false;
    this.#timeline.say(station.name, () => '*** runs again');
    this.simulation.resume(station.member.host);
  }

  plug(station: Station, plugged: boolean): void {
    station.port.plugged = plugged;
    station.disturbances++;
    this.#timeline.say(station.name, () => (plugged ? '*** is plugged in' : '*** is unplugged'));
  }

  /** Loses all that `from` sends to `to`, until it is mended as often as it was cut. */
  cut(from: Station, to: Station, cut: boolean): void {
    this.#cuts[from.id * this.stations.length + to.id] += cut ? 1 : -1;
    from.disturbances++;
    to.disturbances++;
    this.#timeline.say(from.name, () => `*** ${cut ? 'cannot reach' : 'reaches'} ${to.name}`);
  }

  /** True if one of two stations cannot reach the other. */
  isCut(one: Station, other: Station): boolean {
    const count = this.stations.length;
    return this.#cuts[one.id * count + other.id] + this.#cuts[other.id * count + one.id] > 0;
  }

  /** Has a dead life's last words sent, from where it was. */
  #tell(station: Station, will: Bequeathing, after: Micros): void {
    // Nobody reads what comes there.
    const port = this.simulation.port({ conditions: this.plan.cables, capacity: 1 });
    this.#stationOf.set(port, station.id);
    const executor = {
      nextAt: this.simulation.clock.now() + after,
      breath: (): void => {
        executor.nextAt = NEVER;
        this.#timeline.say(station.name, () => '*** is said to be dead');
        will.execute(port);
      },
    };
    this.simulation.add(executor);
  }

  #remove(station: Station): void {
    station.isRunning = false;
    station.isLeaving = false;
    this.#stationOf.delete(station.port);
    this.simulation.remove(station.member.host);
  }

  #station(id: number): Station {
    const port = this.#port(this.plan.offload);
    const seat = {
      id,
      name: site.MEMBERS[id],
      port,
      will: new Bequeathing(port),
      isRunning: true,
      isPaused: false,
      isLeaving: false,
      disturbances: 0,
    };
    // A member's wiretap needs its station, and the station its member.
    const station: Station = Object.assign(seat, { member: undefined as unknown as ProxyMember });
    station.member = this.#member(station);
    this.#stationOf.set(port, id);
    this.simulation.add(station.member.host, port);
    station.member.start();
    return station;
  }

  #member(station: Station): ProxyMember {
    return new ProxyMember({
      config: this.#config,
      member: station.name,
      link: new Wiretap(station.will, (segment) => this.#observer.memberSent(station, segment)),
      logger: this.#timeline.loggerOf(station.name),
      clock: this.simulation.clock,
      random: seededRandom(this.#random.uint32()),
    });
  }

  #host(number: number, seen: (segment: Seen) => void): Host {
    const { family } = this.plan;
    const port = this.#port(false);
    const host = new Host({
      link: new Wiretap(port, seen),
      mac: 0x0200_0000_0000 + number,
      clock: this.simulation.clock,
      random: seededRandom(this.#random.uint32()),
      tcp: { timeWait: TIME_WAIT },
    });
    host.ip.addAddress(site.hostAddress(number, family));
    host.ip.addRoute({ prefix: site.subnet(family) });
    return this.simulation.add(host, port);
  }

  #port(offload: boolean): SimulatedPort {
    return this.simulation.port({ offload, conditions: this.plan.cables, capacity: 65_536 });
  }

  /** Leads clients and backends to the members: by what these announce, or by way of a router. */
  #route(): void {
    const { family, spread } = this.plan;
    const prefix = site.virtualPrefix(family);
    const gateway = site.hostAddress(site.ROUTER, family);
    this.clients.forEach((client, id) => {
      const hop = site.hostAddress(site.NEXT_HOP + id, family);
      client.ip.addRoute({ prefix, gateway: spread === 'arp' ? hop : gateway });
    });
    if (spread === 'arp') return;
    for (const backend of this.backends) {
      for (const { id } of this.stations) {
        backend.ip.addRoute({ prefix: site.hostPrefix(site.SOURCE + id, family), gateway });
      }
    }
    new Router({
      host: this.#host(site.ROUTER, () => {}),
      random: seededRandom(this.#random.uint32()),
      destinations: new Set([this.virtual, ...this.sources]),
      nextHops: this.stations.map(({ id }) => site.hostAddress(site.NEXT_HOP + id, family)),
      perPacket: spread === 'packet',
    });
  }

  #passage(from: SimulatedPort, to: SimulatedPort, frame: Frame): Micros {
    const sender = this.#stationOf.get(from);
    const receiver = this.#stationOf.get(to);
    if (sender === undefined || receiver === undefined) return 0;
    const pair = sender * this.stations.length + receiver;
    if (this.#cuts[pair] > 0) return -1;
    const { loss, delay, skews } = this.mesh;
    const late = delay + skews[pair];
    if ((loss === 0 && late === 0) || !isMeshFrame(frame, site.MESH_PORT)) return 0;
    return loss > 0 && chance(this.#random, loss) ? -1 : late;
  }
}

/** True if a member takes part and serves. */
export const isServing = ({ member }: Station): boolean => member.replicator?.state === ACTIVE;

/** True if a station can do its work: its process runs and its cable is plugged. */
export const isWell = ({ isRunning, isPaused, port }: Station): boolean =>
  isRunning && !isPaused && port.plugged;

/** True if a member has a part in what the members agree on: it serves, or finishes what it has begun. */
export const takesPart = ({ member }: Station): boolean =>
  member.replicator?.state === ACTIVE || member.replicator?.state === LEAVING;
