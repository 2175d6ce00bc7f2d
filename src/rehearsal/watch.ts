// The invariants, checked on every wire of the cluster and in the members' tables.
//
// A flow that was first served while two members served without each other is *torn*: one of the two will yield
// and forget it. What it may not be is wrong: its bytes are checked as ever, its end is not.
import type { Host } from '../host/host.ts';
import { type Endpoint, formatEndpoint } from '../ip/address.ts';
import type { ProxyMember } from '../proxy/proxy.ts';
import * as tcp from '../wire/tcp.ts';
import {
  isServing,
  isWell,
  type Observer,
  type SimulatedCluster,
  type Station,
} from './cluster.ts';
import { holdsRecord, loggedBytes, RecordBytes, replicates, slotOf } from './holdings.ts';
import { hostNumber } from './site.ts';
import type { TalkClient } from './talk-client.ts';
import type { Timeline } from './timeline.ts';
import type { Seen } from './wiretap.ts';
import { Witnesses } from './witnesses.ts';

/** A connection from a member to a backend on behalf of a client. */
interface Way {
  readonly talk: Talk;
  readonly source: Endpoint;
  readonly backend: Endpoint;
  /** Our initial sequence number towards the backend: that of the client. */
  readonly irs: number;
  /** How much of what the client says the backend has acknowledged; its FIN counts one. */
  acked: number;
  /** The members, a bit each, that have translated packets to it. */
  users: number;
  /** Who dialed, and in which life. */
  readonly dialer: Station;
  readonly life: ProxyMember;
  /** How often it had been told to yield then. */
  readonly yields: number;
  /** A member has reset it. */
  isReset: boolean;
}

/**
 * The moments of a flow's life that show on the wires: the client's SYN, a member's SYN to a backend and that one's
 * answer, the first packet that is translated, and the first FIN of either end.
 */
export type Moment = 'begun' | 'dialed' | 'answered' | 'served' | 'closing';
export const MOMENTS: readonly Moment[] = ['begun', 'dialed', 'answered', 'served', 'closing'];

/** A client's connection as the wires show it. */
export interface Talk {
  readonly client: TalkClient;
  /** The client's initial sequence number; -1 before its SYN. */
  irs: number;
  /** The step of the simulation at each moment; -1 before it. */
  readonly moments: Record<Moment, number>;
  /** What the client has said, and what may be acknowledged to it; its FIN counts one. */
  said: number;
  safe: number;
  readonly ways: Way[];
  /** The member that dialed last. */
  dialer: Station | undefined;
  /** The way that its packets are translated to. */
  way: Way | undefined;
  isTorn: boolean;
  /** The client has sent a reset. */
  isReset: boolean;
}

export interface Violation {
  readonly what: string;
  /** The talk that it is about, or -1. */
  readonly talk: number;
}

export class Watch implements Observer {
  readonly talks: Talk[] = [];
  /** Who knew of clients that wait for the server to speak. */
  readonly witnesses = new Witnesses();
  /** The first violation. */
  violation: Violation | undefined;
  /** Set when there is a cluster to look at. */
  cluster: SimulatedCluster | undefined;
  readonly #timeline: Timeline;
  readonly #steps: () => number;
  readonly #byPort = new Map<number, Talk>();
  readonly #byNumber = new Map<number, Talk>();
  readonly #ways = new Map<number, Way>();
  readonly #record = new RecordBytes();
  readonly #other = new RecordBytes();

  /** @param steps says how far the simulation is */
  constructor(timeline: Timeline, steps: () => number) {
    this.#timeline = timeline;
    this.#steps = steps;
  }

  add(client: TalkClient): void {
    const talk: Talk = {
      client,
      irs: -1,
      moments: { begun: -1, dialed: -1, answered: -1, served: -1, closing: -1 },
      said: 0,
      safe: 0,
      ways: [],
      dialer: undefined,
      way: undefined,
      isTorn: false,
      isReset: false,
    };
    this.talks.push(talk);
    this.#byPort.set(client.local.port, talk);
  }

  /** Notes what is wrong, if it is the first. */
  accuse(what: string, talk?: Talk): void {
    if (this.violation !== undefined) return;
    const number = talk === undefined ? -1 : talk.client.script.number;
    this.violation = { what, talk: number };
    this.#timeline.say('violation', () => what, number);
  }

  clientSent(segment: Seen): void {
    this.#note('client', segment);
    const talk = this.#byPort.get(segment.sourcePort);
    if (talk === undefined) return;
    if ((segment.flags & tcp.RST) !== 0) talk.isReset = true;
    if (talk.irs >= 0) {
      if ((segment.flags & tcp.FIN) !== 0) this.#reach(talk, 'closing');
      const fin = (segment.flags & tcp.FIN) !== 0 ? 1 : 0;
      const said = ((segment.seq - talk.irs - 1) | 0) + segment.length + fin;
      if (said > talk.said) talk.said = said;
      return;
    }
    if ((segment.flags & tcp.SYN) === 0) return;
    talk.irs = segment.seq;
    this.#reach(talk, 'begun');
    this.#byNumber.set(segment.seq, talk);
  }

  backendSent(segment: Seen): void {
    this.#note('backend', segment);
    const way = this.#ways.get(wayKey(segment, false));
    if (way === undefined || (segment.flags & tcp.ACK) === 0) return;
    const acked = (segment.ack - way.irs - 1) | 0;
    if (acked > way.acked) way.acked = acked;
    if ((segment.flags & tcp.SYN) !== 0) this.#reach(way.talk, 'answered');
    if ((segment.flags & tcp.FIN) !== 0) this.#reach(way.talk, 'closing');
  }

  memberSent(station: Station, segment: Seen): void {
    this.#note(station.name, segment);
    const { cluster } = this;
    if (cluster === undefined) return;
    if (segment.source === cluster.virtual) this.#toClient(cluster, station, segment);
    else if (cluster.sources.has(segment.source)) this.#toBackend(cluster, station, segment);
  }

  /**
   * Connections of backends that nobody serves any more though who dialed lives, and was never reset. Without
   * that, only a backend's own timeouts end a connection that was not spliced yet.
   */
  strays(): string[] {
    const left: string[] = [];
    for (const { talk, source, backend, dialer, life, yields, isReset } of this.#ways.values()) {
      if (isReset || talk.isTorn || dialer.member !== life || !dialer.isRunning) continue;
      // Who yields leaves what it proposed to the others, who may never have heard of it.
      if (life.counters.fenced !== yields) continue;
      const hosts = this.cluster?.backends ?? [];
      const open = hosts.some((host) => isOpen(host, backend, source));
      if (open)
        left.push(`${formatEndpoint(backend)} has a connection from ${formatEndpoint(source)}`);
    }
    return left;
  }

  #reach(talk: Talk, moment: Moment): void {
    if (talk.moments[moment] < 0) talk.moments[moment] = this.#steps();
  }

  /** Looks who knows of clients that nobody has greeted yet. */
  lookForWitnesses(): void {
    const { stations } = this.cluster ?? { stations: [] };
    for (const talk of this.talks) this.witnesses.look(talk, stations);
  }

  /** Looks at all tables. */
  compareTables(): void {
    const { cluster } = this;
    if (cluster === undefined) return;
    const serving = cluster.stations.filter((station) => isWell(station) && isServing(station));
    for (const talk of this.talks) {
      if (talk.way === undefined || talk.isTorn || talk.client.closed || talk.isReset) continue;
      this.#compare(cluster, serving, talk);
    }
  }

  /** All members have the same record for a flow, and as long as neither end has closed all have it. */
  #compare({ virtual }: SimulatedCluster, serving: readonly Station[], talk: Talk): void {
    const { way } = talk;
    if (way === undefined) return;
    const { local, remote, connection } = talk.client;
    const service = { address: virtual, port: remote.port };
    const isEstablished = connection?.state === 'established';
    for (const station of serving) {
      const has = this.#record.read(station, local, service);
      for (const other of serving) {
        if (other === station || !replicates(station, other) || !replicates(other, station)) {
          continue;
        }
        if (!this.#other.read(other, local, service)) {
          // A member may be told a moment later than another that a flow is over.
          const { source, backend } = way;
          const waits = holdsRecord(other, local, service, source, backend);
          if (has && isEstablished && !waits)
            this.accuse(`I2: ${other.name} has lost the record of a live flow`, talk);
        } else if (has && this.#other.epoch === this.#record.epoch) {
          if (!this.#other.equals(this.#record)) {
            this.accuse(`I2: ${station.name} and ${other.name} have different records`, talk);
          }
        }
      }
    }
  }

  #toClient(cluster: SimulatedCluster, station: Station, segment: Seen): void {
    const talk = this.#byPort.get(segment.destinationPort);
    if (talk === undefined || talk.irs < 0) return;
    if ((segment.flags & tcp.RST) !== 0) {
      if (talk.client.isAlive && !talk.isTorn && !talk.isReset) {
        this.accuse(`I4: ${station.name} resets a client whose flow is alive`, talk);
      }
      return;
    }
    if ((segment.flags & tcp.ACK) === 0) return;
    const acked = (segment.ack - talk.irs - 1) | 0;
    // What was never said cannot be acknowledged: the numbers of a probe may be any (RFC 9293, 3.10.7.4).
    if (acked <= talk.safe || acked > talk.said) return;
    this.#raise(cluster, station, talk);
    if (acked > talk.safe && !talk.client.closed) {
      const what = `${acked} bytes are acknowledged to a client and ${talk.safe} are safe`;
      this.accuse(`I1: by ${station.name} ${what}`, talk);
    }
  }

  /** Invariant I1: what a backend acknowledged is safe, and what every member has logged. */
  #raise(cluster: SimulatedCluster, station: Station, talk: Talk): void {
    const { local, remote } = talk.client;
    for (const way of talk.ways) {
      // Whoever has a record for the flow speaks for the backend that this names.
      const speaks =
        (way.users & (1 << station.id)) !== 0 || slotOf(station, way.backend, way.source) >= 0;
      if (speaks && way.acked > talk.safe) talk.safe = way.acked;
    }
    const virtual = { address: cluster.virtual, port: remote.port };
    let logged = loggedBytes(station, local, virtual);
    for (const other of cluster.stations) {
      if (other === station || !isServing(other) || !replicates(station, other)) continue;
      logged = Math.min(logged, loggedBytes(other, local, virtual));
    }
    if (logged <= talk.safe) return;
    talk.safe = logged;
    if (this.#isDivided(cluster, station)) talk.isTorn = true;
  }

  #toBackend(cluster: SimulatedCluster, station: Station, segment: Seen): void {
    const { flags, seq } = segment;
    if ((flags & (tcp.SYN | tcp.ACK)) === tcp.SYN) {
      this.#dialed(station, segment, seq);
      return;
    }
    const way = this.#ways.get(wayKey(segment, true));
    if (way === undefined) return;
    const { talk } = way;
    if ((flags & tcp.RST) !== 0) {
      way.isReset = true;
      if (way === talk.way && talk.client.isAlive && !talk.isTorn && !talk.isReset) {
        this.accuse(`I4: ${station.name} resets the backend of a flow that is alive`, talk);
      }
      return;
    }
    if ((way.users & (1 << station.id)) !== 0) return;
    if (slotOf(station, way.backend, way.source) >= 0) this.#translated(cluster, station, way);
    else if (!isOpen(station.member.host, way.source, way.backend) && !talk.client.closed) {
      this.accuse(`I2: ${station.name} translates a packet without a record`, talk);
    }
  }

  #dialed(station: Station, segment: Seen, seq: number): void {
    const key = wayKey(segment, true);
    const talk = this.#byNumber.get(seq);
    const known = this.#ways.get(key);
    if (known !== undefined && known.talk === talk) return;
    this.#ways.delete(key);
    if (talk === undefined) return;
    const way: Way = {
      talk,
      source: { address: segment.source, port: segment.sourcePort },
      backend: { address: segment.destination, port: segment.destinationPort },
      irs: seq,
      acked: 0,
      users: 0,
      dialer: station,
      life: station.member,
      yields: station.member.counters.fenced,
      isReset: false,
    };
    talk.ways.push(way);
    talk.dialer = station;
    this.#reach(talk, 'dialed');
    this.#ways.set(key, way);
  }

  /** Invariants I2 and I3, at the first packet that a member translates to a way. */
  #translated(cluster: SimulatedCluster, station: Station, way: Way): void {
    const { talk } = way;
    way.users |= 1 << station.id;
    if (talk.client.closed || talk.isReset) return;
    if (talk.way === undefined) {
      talk.way = way;
      this.#reach(talk, 'served');
      if (this.#isDivided(cluster, station)) talk.isTorn = true;
    }
    if (talk.isTorn) return;
    if (talk.way !== way) {
      this.accuse(`I3: ${station.name} serves a flow by a second connection to a backend`, talk);
    }
    for (const other of cluster.stations) {
      if (other === station || !isServing(other) || !replicates(station, other)) continue;
      const { local, remote } = talk.client;
      if (talk.client.isAlive && !holdsRecord(other, local, remote, way.source, way.backend)) {
        this.accuse(`I2: ${station.name} translates by a record that ${other.name} has not`, talk);
      }
    }
  }

  /** True if somebody who can be reached serves and is not told by this member what it does, or does not tell. */
  #isDivided(cluster: SimulatedCluster, station: Station): boolean {
    return cluster.stations.some(
      (other) =>
        other !== station &&
        isWell(other) &&
        isServing(other) &&
        (!replicates(station, other) || !replicates(other, station)),
    );
  }

  #note(who: string, segment: Seen): void {
    const { seq, ack, flags, length, sourcePort, destinationPort } = segment;
    const timeline = this.#timeline;
    timeline.note(who.charCodeAt(0));
    timeline.note(sourcePort ^ (destinationPort << 16));
    timeline.note(seq);
    timeline.note(ack);
    timeline.note(flags ^ (length << 8));
    if (timeline.isKept) this.#tell(who, segment);
  }

  #tell(who: string, segment: Seen): void {
    const { seq, ack, flags, length, sourcePort, destinationPort } = segment;
    const way = this.#ways.get(wayKey(segment, true)) ?? this.#ways.get(wayKey(segment, false));
    const dialing = (flags & tcp.SYN) !== 0 ? this.#byNumber.get(seq) : undefined;
    const talk =
      this.#byPort.get(destinationPort) ?? this.#byPort.get(sourcePort) ?? way?.talk ?? dialing;
    if (talk === undefined) return;
    const { from, to } = segment;
    const text = `${from} > ${to} ${flagsText(flags)} seq ${seq} ack ${ack} length ${length}`;
    this.#timeline.say(who, () => text, talk.client.script.number);
  }
}

/** Names a connection to a backend, by the numbers of its hosts on the LAN and its ports; below 2^48. */
function wayKey(segment: Seen, toBackend: boolean): number {
  const { source, sourcePort, destination, destinationPort } = segment;
  const from = hostNumber(source) * 65_536 + sourcePort;
  const to = hostNumber(destination) * 65_536 + destinationPort;
  return toBackend ? from * 0x100_0000 + to : to * 0x100_0000 + from;
}

/** True if a host has a connection between these ends that is established. */
function isOpen(host: Host, local: Endpoint, remote: Endpoint): boolean {
  for (const connection of host.tcp.connections()) {
    if (connection.state === 'closed' || connection.state === 'syn-received') continue;
    if (isSame(connection.local, local) && isSame(connection.remote, remote)) return true;
  }
  return false;
}

const isSame = (one: Endpoint, other: Endpoint): boolean =>
  one.port === other.port && one.address === other.address;

const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [tcp.SYN, 'S'],
  [tcp.FIN, 'F'],
  [tcp.RST, 'R'],
  [tcp.PSH, 'P'],
  [tcp.ACK, '.'],
];

const flagsText = (flags: number): string =>
  FLAG_NAMES.map(([flag, name]) => ((flags & flag) !== 0 ? name : '')).join('') || '-';
