// The invariants, checked on every wire of the cluster and in the members' tables.
//
// A flow that was first served while two members served without each other is *torn*: one of the two will yield
// and forget it. What it may not be is wrong: its bytes are checked as ever, its end is not.
import type { Host } from '../host/host.ts';
import { type Endpoint, formatEndpoint } from '../ip/address.ts';
import type { DrainOutcome } from '../proxy/drain.ts';
import * as tcp from '../wire/tcp.ts';
import {
  isServing,
  isWell,
  type Observer,
  type SimulatedCluster,
  type Station,
  takesPart,
} from './cluster.ts';
import { holdsRecord, loggedBytes, RecordBytes, replicates, slotOf } from './holdings.ts';
import { isPinned, mayGiveUp } from './refusals.ts';
import { hostNumber } from './site.ts';
import type { TalkClient } from './talk-client.ts';
import { isOwn, type Moment, type Talk, Talks, type Way } from './talks.ts';
import type { Timeline } from './timeline.ts';
import type { Seen } from './wiretap.ts';
import { Witnesses } from './witnesses.ts';

/** No number so far from the expected one is in a client's window: twice its largest buffer. */
const FAR = 524_288;

export interface Violation {
  readonly what: string;
  /** The talk that it is about, or -1. */
  readonly talk: number;
}

export class Watch implements Observer {
  readonly #talks = new Talks();
  /** Who knew of clients that wait for the server to speak. */
  readonly witnesses = new Witnesses();
  /** The first violation. */
  violation: Violation | undefined;
  /** Set when there is a cluster to look at. */
  cluster: SimulatedCluster | undefined;
  readonly #timeline: Timeline;
  readonly #steps: () => number;
  readonly #ways = new Map<number, Way>();
  readonly #record = new RecordBytes();
  readonly #other = new RecordBytes();

  /** @param steps says how far the simulation is */
  constructor(timeline: Timeline, steps: () => number) {
    this.#timeline = timeline;
    this.#steps = steps;
  }

  get talks(): readonly Talk[] {
    return this.#talks.all;
  }

  add(client: TalkClient): void {
    this.#talks.add(client);
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
    const talk = this.#talks.atPort(segment.sourcePort);
    if (talk === undefined) return;
    if ((segment.flags & tcp.RST) !== 0) {
      if (isOwn(talk, segment.seq)) talk.isReset = true;
      return;
    }
    if (talk.irs >= 0) {
      if ((segment.flags & tcp.FIN) !== 0) this.#reach(talk, 'closing');
      const fin = (segment.flags & tcp.FIN) !== 0 ? 1 : 0;
      const said = ((segment.seq - talk.irs - 1) | 0) + segment.length + fin;
      if (said > talk.said) talk.said = said;
      return;
    }
    if ((segment.flags & tcp.SYN) === 0) return;
    talk.isTorn = this.#isHaunted(talk);
    this.#reach(talk, 'begun');
    this.#talks.begin(talk, segment.seq);
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

  memberLeft({ name }: Station, { result, cut }: DrainOutcome): void {
    this.#timeline.say(name, () => `*** is done with leaving: ${result}`);
    if (cut > 0 && result === 'left') this.accuse(`${name} left and cut ${cut} connections`);
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
    const talk = this.#talks.atPort(segment.destinationPort);
    if (talk === undefined || talk.irs < 0) return;
    if ((segment.flags & tcp.RST) !== 0) {
      const isOver = talk.isTorn || talk.isReset || talk.isRefused;
      if (talk.client.isAlive && heeds(talk.client, segment) && !isOver) {
        this.accuse(`I4: ${station.name} resets a client whose flow is alive`, talk);
      }
      return;
    }
    if ((segment.flags & tcp.ACK) === 0) return;
    if ((segment.flags & tcp.SYN) !== 0 && talk.previous !== undefined) {
      // Who was stopped when the client came again takes its SYN, and the others do not hear that the last talk is over.
      if (this.#isDivided(cluster, station)) talk.isTorn = true;
      return;
    }
    talk.isRefused ||= talk.mayBeRefused && isPinned(cluster, station, talk);
    const acked = (segment.ack - talk.irs - 1) | 0;
    // What was never said cannot be acknowledged: the numbers of a probe may be any (RFC 9293, 3.10.7.4).
    if (acked <= talk.safe || acked > talk.said) return;
    this.#raise(cluster, station, talk);
    if (acked > talk.safe && !talk.client.closed && !talk.isRefused) {
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
    const { flags } = segment;
    if ((flags & (tcp.SYN | tcp.ACK)) === tcp.SYN) {
      this.#dialed(cluster, station, segment);
      return;
    }
    const way = this.#ways.get(wayKey(segment, true));
    if (way === undefined) return;
    const { talk } = way;
    if ((flags & tcp.RST) !== 0) {
      way.isReset = true;
      if (station === way.dialer && mayGiveUp(way, cluster)) talk.mayBeRefused = true;
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

  #dialed(cluster: SimulatedCluster, station: Station, segment: Seen): void {
    const { seq } = segment;
    const key = wayKey(segment, true);
    const talk = this.#talks.bySyn(seq);
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
      dialedAt: cluster.simulation.clock.now(),
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
    if (talk.isRefused) this.accuse(`I1: ${station.name} serves a flow that was refused`, talk);
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
      // Who is killed or stopped others may have given up already; it will be told when it is back.
      if (other === station || !isWell(other) || !isServing(other)) continue;
      if (!replicates(station, other)) continue;
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
        // One that is stopped may wake to find the other out of its reach.
        (isWell(other) || (other.isPaused && cluster.isCut(station, other))) &&
        takesPart(other) &&
        (!replicates(station, other) || !replicates(other, station)),
    );
  }

  /**
   * True if the record of the last talk with the same ends is left at a member that others serve without, or soon
   * will: they know that it is over, or forgot it, and cannot say so.
   */
  #isHaunted({ client, previous }: Talk): boolean {
    const { cluster } = this;
    if (cluster === undefined || previous === undefined) return false;
    const { local, remote } = client;
    return (
      previous.isTorn ||
      cluster.stations.some(
        (station) =>
          station.isRunning &&
          slotOf(station, local, remote) >= 0 &&
          (!isWell(station) ||
            this.#isDivided(cluster, station) ||
            cluster.stations.some((other) => cluster.isCut(station, other))),
      )
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
    const dialing = (flags & tcp.SYN) !== 0 ? this.#talks.bySyn(seq) : undefined;
    const talk =
      this.#talks.atPort(destinationPort) ?? this.#talks.atPort(sourcePort) ?? way?.talk ?? dialing;
    if (talk === undefined) return;
    const { from, to } = segment;
    const text = `${from} > ${to} ${flagsText(flags)} seq ${seq} ack ${ack} length ${length}`;
    this.#timeline.say(who, () => text, talk.client.script.number);
  }
}

/** True if a client takes a reset for one of its present connection, or may do so (RFC 5961, section 3.2). */
function heeds({ connection }: TalkClient, { seq, flags }: Seen): boolean {
  if (connection === undefined) return false;
  // Who waits for an answer to its SYN heeds none but that (RFC 9293, 3.10.7.3).
  if (connection.state === 'syn-sent') return (flags & tcp.ACK) !== 0;
  return Math.abs((seq - connection.rcv.nxt) | 0) < FAR;
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
