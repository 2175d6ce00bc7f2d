// The TCP of one host: finds the connection that a segment belongs to, makes new ones, resets the rest.
import { createHash } from 'node:crypto';
import type { Clock, Micros } from '../env/clock.ts';
import { SECOND } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import { Roster } from '../env/roster.ts';
import type { Timers } from '../env/timers.ts';
import type { Address, Endpoint } from '../ip/address.ts';
import { type Ip, isTransportIntact } from '../ip/ip.ts';
import { Packet, type PathError, type Protocol } from '../ip/packet.ts';
import { Frame } from '../link/frame.ts';
import { PROTOCOL_TCP } from '../wire/ipv4.ts';
import { NETWORK_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import { congestionControl } from './congestion/algorithms.ts';
import type { CongestionControl } from './congestion/control.ts';
import { cubic } from './congestion/cubic.ts';
import { Connection, type ConnectionHandler, type Offer } from './connection.ts';
import { tcpCounters } from './counters.ts';
import { FlowMap } from './demux.ts';
import { TcpError } from './errors.ts';
import { flowWords } from './flow-words.ts';
import { openActively } from './handshake.ts';
import { Listener, type ListenOptions } from './listener.ts';
import { Listeners } from './listeners.ts';
import { DEFAULT_MEMORY_LIMIT, Memory } from './memory.ts';
import type { EcnMode, TcpSettings } from './options.ts';
import { takePathError } from './path-errors.ts';
import { Ports } from './ports.ts';
import { INITIAL_WINDOW } from './receive-window.ts';
import { segmentArrives } from './receiver.ts';
import { SentQueues } from './recovery/sent-queue.ts';
import { readSegment, Segment } from './segment.ts';
import { advance } from './sequence.ts';
import { type SipKey, siphash } from './siphash.ts';
import type { ConnectOptions, TcpOptions } from './stack-options.ts';
import { type TimeWaitRecord, TimeWaits } from './time-wait.ts';

const MEBI = 1_048_576;

export type { ConnectOptions, TcpOptions } from './stack-options.ts';

/** Hashed with the key of the initial numbers to seed tables of flows; shorter than any flow. */
const FLOW_SEED = Uint32Array.of(0);

export class TcpStack implements Protocol {
  readonly counters = tcpCounters();
  readonly ip: Ip;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly timeWaits: TimeWaits;
  readonly memory: Memory;
  readonly congestionControl: CongestionControl;
  readonly sentQueues = new SentQueues();
  /** Bytes that may wait for the reader of a connection, at most and at first. */
  readonly receiveLimit: number;
  readonly receiveInitial: number;
  readonly sendLimit: number;
  readonly finWait2Timeout: Micros;
  readonly ecn: EcnMode;
  readonly requireTimestamps: boolean;
  readonly slowStartAfterIdle: boolean;
  /** Connections whose users have gone. */
  orphans = 0;
  /** Seeds tables of this host's flows. */
  readonly flowSeed: number;
  /** Connections in SYN-SENT. */
  readonly connecting = new Roster<Connection>();
  /** The frame in which segments are built; free again as soon as one is sent. */
  readonly frame = new Frame();
  /** Whether a segment of an unknown flow may be answered by RST; when absent it may. */
  mayReset: ((segment: Segment) => boolean) | undefined;
  readonly #maximumConnections: number;
  readonly #maximumOrphans: number;
  readonly #segment: Segment;
  readonly #connections: FlowMap<Connection>;
  readonly #listeners = new Listeners();
  readonly #ports: Ports;
  readonly #random: Random;
  readonly #isnKey: SipKey;
  readonly #timestampBase: number;
  readonly #words = new Uint32Array(16);

  constructor(options: TcpOptions) {
    this.ip = options.ip;
    this.clock = options.clock;
    this.timers = options.timers;
    this.memory = new Memory(options.memoryLimit ?? DEFAULT_MEMORY_LIMIT);
    const { timeWait = 60 * SECOND, maximumTimeWait = 16_384 } = options;
    this.congestionControl = chosenControl(options.congestionControl);
    this.receiveLimit = options.receiveLimit ?? 6 * MEBI;
    this.receiveInitial = Math.min(options.receiveInitial ?? INITIAL_WINDOW, this.receiveLimit);
    this.sendLimit = options.sendLimit ?? MEBI;
    this.finWait2Timeout = options.finWait2Timeout ?? 60 * SECOND;
    this.ecn = options.ecn ?? 'passive';
    this.requireTimestamps = options.requireTimestamps ?? false;
    this.slowStartAfterIdle = options.slowStartAfterIdle ?? true;
    this.#maximumConnections = options.maximumConnections ?? 262_144;
    this.#maximumOrphans = options.maximumOrphans ?? 16_384;
    this.#segment = new Segment(new Packet(this.frame));
    this.#random = options.random;
    this.#isnKey = this.newKey();
    this.flowSeed = siphash(this.#isnKey, FLOW_SEED, FLOW_SEED.length);
    this.#connections = new FlowMap(this.flowSeed);
    this.timeWaits = new TimeWaits(this, timeWait, maximumTimeWait);
    this.#ports = new Ports(this.newKey());
    // A host that starts again must not send timestamps older than those it sent before: time of day
    // does not stand still meanwhile.
    this.#timestampBase =
      (options.clock.wall() * 1_000 - Math.floor(options.clock.now() / 1_000)) >>> 0;
    this.ip.register(PROTOCOL_TCP, this);
  }

  /** Connections of any state, TIME-WAIT included. */
  get connectionCount(): number {
    return this.#connections.size + this.timeWaits.size;
  }

  /**
   * Takes connections to an address and port, or without an address to the port of every address that is ours,
   * of either family. Port 0 chooses a free one.
   * @throws TcpError when somebody listens there already
   */
  listen(options: ListenOptions): Listener {
    const local = this.#listeners.place(options.local, this.#ports);
    const listener = new Listener(this, local === options.local ? options : { ...options, local });
    this.#listeners.add(listener);
    return listener;
  }

  unlisten(listener: Listener): void {
    this.#listeners.delete(listener);
  }

  /**
   * Opens a connection; its handler hears how it went.
   * @throws TcpError when no port is free or too many connections exist
   */
  connect(options: ConnectOptions): Connection {
    const { remote, local: address, handler } = options;
    const isFree = (port: number): boolean =>
      this.#connections.get(address, port, remote.address, remote.port) === undefined &&
      !this.timeWaits.has({ address, port }, remote) &&
      (options.isFree === undefined || options.isFree(port));
    const port =
      options.localPort ?? this.#ports.choose(address, remote.address, remote.port, isFree);
    if (port === undefined) {
      throw new TcpError('EADDRNOTAVAIL', 'every local port to this destination is in use');
    }
    const local = { address, port };
    if (options.localPort !== undefined && this.timeWaits.has(local, remote)) {
      throw new TcpError('EADDRNOTAVAIL', 'the last connection between these two is in TIME-WAIT');
    }
    const offer = options.offer ?? this.offerFor(remote.address, options.settings);
    const iss = options.iss ?? this.isn(local, remote);
    const connection = this.create(local, remote, iss, offer, handler);
    if (connection === undefined) {
      throw new TcpError('EADDRNOTAVAIL', 'too many connections, or this one exists already');
    }
    if (options.settings !== undefined) {
      try {
        connection.configure(options.settings);
      } catch (error) {
        this.forget(connection);
        throw error;
      }
    }
    this.counters.connectsOut++;
    openActively(connection, this.clock.now());
    return connection;
  }

  /** Makes a connection and enters it; undefined if there are too many or it exists. */
  create(
    local: Endpoint,
    remote: Endpoint,
    iss: number,
    offer: Offer,
    handler: ConnectionHandler,
  ): Connection | undefined {
    if (this.#connections.size >= this.#maximumConnections) {
      this.counters.refusedFull++;
      return undefined;
    }
    const connection = new Connection({ stack: this, local, remote, iss, offer, handler });
    return this.#connections.add(connection) ? connection : undefined;
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** True if there is a connection between these ends, none in TIME-WAIT. */
  has(local: Address, localPort: number, remote: Address, remotePort: number): boolean {
    return this.#connections.get(local, localPort, remote, remotePort) !== undefined;
  }

  /** False when a connection is over, or only waits in TIME-WAIT. */
  isLive({ state }: Connection): boolean {
    return state !== 'closed' && state !== 'time-wait';
  }

  /** False if a connection that its user abandons has to be reset: there are too many, or memory is scarce. */
  mayOrphan(): boolean {
    if (this.orphans < this.#maximumOrphans && !this.memory.isExhausted) return true;
    this.counters.orphansReset++;
    return false;
  }

  /** A key for a keyed hash, which nobody else knows. */
  newKey(): SipKey {
    return Uint32Array.from({ length: 4 }, () => this.#random.uint32());
  }

  /** Every connection but those in TIME-WAIT, in no order. */
  connections(): IterableIterator<Connection> {
    return this.#connections.values();
  }

  /** TSval at `now`: milliseconds (RFC 7323, section 5.4), plus the connection's offset. */
  timestamp(now: Micros, offset: number): number {
    return (Math.floor(now / 1_000) + this.#timestampBase + offset) >>> 0;
  }

  /** The largest payload of a segment that the link takes in one packet. */
  maximumSegment(remote: Address): number {
    return this.ip.maximumPayload(remote) - tcp.TCP_LENGTH;
  }

  /** The largest packet that the path to a host takes, as far as is known. */
  pathMtu(remote: Address): number {
    return this.ip.maximumPayload(remote) + this.ip.payloadAt(remote) - NETWORK_AT;
  }

  /** What this stack offers by itself. */
  offerFor(remote: Address, settings?: TcpSettings): Offer {
    return {
      mss: Math.min(this.maximumSegment(remote), settings?.maximumSegment ?? 65_535),
      windowScale: scaleFor(settings?.receiveBuffer ?? this.receiveLimit),
      sack: true,
      timestamps: true,
    };
  }

  /** An initial sequence number (RFC 6528): a keyed hash of the flow, and a clock of 4 us. */
  isn(local: Endpoint, remote: Endpoint): number {
    const count = flowWords(this.#words, local.address, local.port, remote.address, remote.port);
    const hash = siphash(this.#isnKey, this.#words, count);
    return advance(hash, Math.floor(this.clock.now() / 4) % 0x1_0000_0000);
  }

  receive(packet: Packet, now: Micros): void {
    const segment = this.#segment;
    this.counters.segmentsIn++;
    if (!readSegment(packet, segment)) {
      this.counters.malformed++;
      return;
    }
    if (!isTransportIntact(packet)) {
      this.counters.badChecksum++;
      return;
    }
    const { sourcePort, destinationPort } = segment;
    const { source, destination } = packet;
    const connection = this.#connections.get(destination, destinationPort, source, sourcePort);
    if (connection !== undefined) {
      segmentArrives(connection, segment, now);
      return;
    }
    const waiting = this.timeWaits.find(segment);
    if (waiting !== undefined) this.#late(waiting, segment, now);
    else this.#unknown(segment, now);
  }

  /** A segment for a connection in TIME-WAIT: perhaps a SYN that may begin the next one. */
  #late(waiting: TimeWaitRecord, segment: Segment, now: Micros): void {
    const { destination } = segment.packet;
    const listens = this.#listeners.find(destination, segment.destinationPort) !== undefined;
    const iss = this.timeWaits.receive(waiting, segment, listens, now);
    if (iss === undefined) return;
    this.timeWaits.forget(waiting);
    this.#unknown(segment, now, iss);
  }

  #unknown(segment: Segment, now: Micros, iss?: number): void {
    const listener = this.#listeners.find(segment.packet.destination, segment.destinationPort);
    if (listener === undefined || !listener.receive(segment, now, iss)) this.reset(segment);
  }

  pathError(error: PathError, now: Micros): void {
    const { view, quote, source, destination } = error;
    const connection = this.#connections.get(
      source,
      tcp.sourcePort(view, quote),
      destination,
      tcp.destinationPort(view, quote),
    );
    if (connection !== undefined) takePathError(connection, error, now);
    else this.counters.pathErrorsIgnored++;
  }

  /** A next hop does not answer: whoever is connecting through it learns so now. */
  unreachable(neighbour: Address): void {
    for (const connection of this.connecting.list()) {
      if (this.ip.routes.nextHop(connection.remote.address) !== neighbour) continue;
      connection.close(new TcpError('EHOSTUNREACH', 'the next hop does not answer'));
    }
  }

  /** Answers a segment that belongs nowhere (RFC 9293, 3.10.7.1). */
  reset(segment: Segment): void {
    if (segment.has(tcp.RST)) return;
    if (this.mayReset !== undefined && !this.mayReset(segment)) {
      this.counters.resetsWithheld++;
      return;
    }
    this.answerReset(segment);
  }

  /** Resets the sender of a segment, with the numbers that it expects. */
  answerReset(segment: Segment): void {
    const { packet } = segment;
    const at = this.ip.payloadAt(packet.source);
    const length = segment.length + (segment.has(tcp.SYN) ? 1 : 0) + (segment.has(tcp.FIN) ? 1 : 0);
    const acknowledged = segment.has(tcp.ACK);
    tcp.write(
      this.frame.view,
      at,
      segment.destinationPort,
      segment.sourcePort,
      acknowledged ? segment.ack : 0,
      acknowledged ? 0 : advance(segment.seq, length),
      tcp.TCP_LENGTH,
      acknowledged ? tcp.RST : tcp.RST | tcp.ACK,
      0,
    );
    this.counters.resetsSent++;
    this.sendPlain(packet.destination, packet.source, at + tcp.TCP_LENGTH, tcp.TCP_LENGTH);
  }

  /** Sends the headers in `frame` as a segment that belongs to no connection. */
  sendPlain(from: Address, to: Address, end: number, headerLength: number): void {
    this.frame.end = end;
    this.counters.segmentsOut++;
    this.ip.send(this.frame, from, to, PROTOCOL_TCP, {
      checksumOffset: tcp.CHECKSUM_AT,
      headerLength,
      segmentSize: 0,
    });
  }
}

/** The smallest shift with which a window of `bytes` can be told. */
export function scaleFor(bytes: number): number {
  let shift = 0;
  while (shift < 14 && 65_535 * 2 ** shift < bytes) shift++;
  return shift;
}

/** A key from a secret of any length and what it is to serve. */
export function keyFromSecret(secret: string, purpose: string): SipKey {
  const digest = createHash('sha256').update(`${purpose}\0${secret}`).digest();
  return Uint32Array.from({ length: 4 }, (_, index) => digest.readUInt32LE(4 * index));
}

/** @throws TcpError EINVAL when no algorithm has that name */
function chosenControl(name: string | undefined): CongestionControl {
  if (name === undefined) return cubic;
  const control = congestionControl(name);
  if (control === undefined) throw new TcpError('EINVAL', `there is no congestion control ${name}`);
  return control;
}
