// The TCP of one host: finds the connection that a segment belongs to, makes new ones, resets the rest.
import { createHash } from 'node:crypto';
import type { Clock, Micros } from '../env/clock.ts';
import { SECOND } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import type { Timers } from '../env/timers.ts';
import { type Address, type Endpoint, endpointKey } from '../ip/address.ts';
import { type Ip, isTransportIntact } from '../ip/ip.ts';
import { Packet, type PathError, type Protocol } from '../ip/packet.ts';
import { Frame } from '../link/frame.ts';
import { PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { type CongestionControl, newReno } from './congestion.ts';
import { Connection, type ConnectionHandler, type Offer } from './connection.ts';
import { TcpError } from './errors.ts';
import { flowWords } from './flow-words.ts';
import { openActively } from './handshake.ts';
import { Listener, type ListenOptions } from './listener.ts';
import { Ports } from './ports.ts';
import { segmentArrives } from './receiver.ts';
import { readSegment, Segment } from './segment.ts';
import { advance, distance, isAfter, isBefore } from './sequence.ts';
import { type SipKey, siphash } from './siphash.ts';

const KIBI = 1_024;

export interface TcpOptions {
  ip: Ip;
  clock: Clock;
  timers: Timers;
  random: Random;
  /** Bytes that may wait for the reader of a connection. */
  receiveLimit?: number;
  /** Connections at most, of any state. */
  maximumConnections?: number;
  /** How long TIME-WAIT lasts; 60 s as in Linux. */
  timeWait?: Micros;
  /** Connections in TIME-WAIT at most; the oldest gives way. */
  maximumTimeWait?: number;
  congestionControl?: CongestionControl;
}

export interface ConnectOptions {
  remote: Endpoint;
  /** The address to connect from. */
  local: Address;
  /** The port to connect from; chosen when absent. */
  localPort?: number | undefined;
  /** False for ports that something outside this stack holds. */
  isFree?: ((port: number) => boolean) | undefined;
  /** Our initial sequence number; a keyed hash of the flow when absent (RFC 6528). */
  iss?: number | undefined;
  offer?: Offer | undefined;
  handler: ConnectionHandler;
}

export class TcpStack implements Protocol {
  readonly counters = {
    segmentsIn: 0,
    segmentsOut: 0,
    malformed: 0,
    badChecksum: 0,
    resetsSent: 0,
    resetsWithheld: 0,
    connectsOut: 0,
    accepted: 0,
    refusedFull: 0,
    backlogDrops: 0,
    cookiesSent: 0,
    cookiesTaken: 0,
    cookiesFailed: 0,
    /** Segments that came before the one that proves their handshake. */
    cookiesEarly: 0,
    resumed: 0,
    synAckRepeats: 0,
    retransmits: 0,
    fastRetransmits: 0,
    timeouts: 0,
    windowProbes: 0,
    unacceptable: 0,
    challenges: 0,
    pawsDrops: 0,
    reassemblyDrops: 0,
  };
  readonly ip: Ip;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly timeWait: Micros;
  readonly congestionControl: CongestionControl;
  /** Bytes that may wait for the reader of a connection. */
  readonly receiveLimit: number;
  /** Connections in SYN-SENT. */
  readonly connecting = new Set<Connection>();
  /** The frame in which segments are built; free again as soon as one is sent. */
  readonly frame = new Frame();
  /** Whether a segment of an unknown flow may be answered by RST; when absent it may. */
  mayReset: ((segment: Segment) => boolean) | undefined;
  readonly #maximumConnections: number;
  readonly #maximumTimeWait: number;
  readonly #segment: Segment;
  readonly #connections = new Map<number | string, Map<number | string, Connection>>();
  readonly #listeners = new Map<number | string, Listener>();
  readonly #timeWaiting = new Set<Connection>();
  readonly #ports: Ports;
  readonly #isnKey: SipKey;
  readonly #timestampBase: number;
  readonly #words = new Uint32Array(16);
  #count = 0;

  constructor(options: TcpOptions) {
    this.ip = options.ip;
    this.clock = options.clock;
    this.timers = options.timers;
    this.timeWait = options.timeWait ?? 60 * SECOND;
    this.congestionControl = options.congestionControl ?? newReno;
    this.receiveLimit = options.receiveLimit ?? 2_048 * KIBI;
    this.#maximumConnections = options.maximumConnections ?? 262_144;
    this.#maximumTimeWait = options.maximumTimeWait ?? 16_384;
    this.#segment = new Segment(new Packet(this.frame));
    this.#isnKey = randomKey(options.random);
    this.#ports = new Ports(randomKey(options.random));
    // A host that starts again must not send timestamps older than those it sent before: time of day
    // does not stand still meanwhile.
    this.#timestampBase =
      (options.clock.wall() * 1_000 - Math.floor(options.clock.now() / 1_000)) >>> 0;
    this.ip.register(PROTOCOL_TCP, this);
  }

  /** Connections of any state. */
  get connectionCount(): number {
    return this.#count;
  }

  /** @throws TcpError when somebody listens there already */
  listen(options: ListenOptions): Listener {
    const key = endpointKey(options.local.address, options.local.port);
    if (this.#listeners.has(key)) {
      throw new TcpError('EADDRINUSE', `port ${options.local.port} is listened on already`);
    }
    const listener = new Listener(this, options);
    this.#listeners.set(key, listener);
    return listener;
  }

  unlisten({ options }: Listener): void {
    this.#listeners.delete(endpointKey(options.local.address, options.local.port));
  }

  /**
   * Opens a connection; its handler hears how it went.
   * @throws TcpError when no port is free or too many connections exist
   */
  connect(options: ConnectOptions): Connection {
    const { remote, local: address, handler } = options;
    const isFree = (port: number): boolean =>
      this.#find(address, port, remote.address, remote.port) === undefined &&
      (options.isFree === undefined || options.isFree(port));
    const port =
      options.localPort ?? this.#ports.choose(address, remote.address, remote.port, isFree);
    if (port === undefined) {
      throw new TcpError('EADDRNOTAVAIL', 'every local port to this destination is in use');
    }
    const local = { address, port };
    const offer = options.offer ?? this.offerFor(remote.address);
    const iss = options.iss ?? this.isn(local, remote);
    const connection = this.create(local, remote, iss, offer, handler);
    if (connection === undefined) {
      throw new TcpError('EADDRNOTAVAIL', 'too many connections, or this one exists already');
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
    if (this.#count >= this.#maximumConnections) {
      this.counters.refusedFull++;
      return undefined;
    }
    const localKey = endpointKey(local.address, local.port);
    const remoteKey = endpointKey(remote.address, remote.port);
    let peers = this.#connections.get(localKey);
    if (peers === undefined) {
      peers = new Map();
      this.#connections.set(localKey, peers);
    }
    if (peers.has(remoteKey)) return undefined;
    const connection = new Connection({
      stack: this,
      local,
      remote,
      iss,
      offer,
      receiveLimit: this.receiveLimit,
      handler,
    });
    peers.set(remoteKey, connection);
    this.#count++;
    return connection;
  }

  forget(connection: Connection): void {
    const { local, remote } = connection;
    const localKey = endpointKey(local.address, local.port);
    const peers = this.#connections.get(localKey);
    const remoteKey = endpointKey(remote.address, remote.port);
    if (peers?.get(remoteKey) !== connection) return;
    peers.delete(remoteKey);
    if (peers.size === 0) this.#connections.delete(localKey);
    this.#timeWaiting.delete(connection);
    this.#count--;
  }

  isLive(connection: Connection): boolean {
    return connection.state !== 'closed';
  }

  enteredTimeWait(connection: Connection): void {
    this.#timeWaiting.add(connection);
    if (this.#timeWaiting.size <= this.#maximumTimeWait) return;
    for (const oldest of this.#timeWaiting) {
      oldest.close();
      return;
    }
  }

  /** Every connection, in no order. */
  *connections(): IterableIterator<Connection> {
    for (const peers of this.#connections.values()) yield* peers.values();
  }

  /** TSval at `now`: milliseconds (RFC 7323, section 5.4), plus the connection's offset. */
  timestamp(now: Micros, offset: number): number {
    return (Math.floor(now / 1_000) + this.#timestampBase + offset) >>> 0;
  }

  /** The largest payload of a segment that the link takes in one packet. */
  maximumSegment(remote: Address): number {
    return this.ip.maximumPayload(remote) - tcp.TCP_LENGTH;
  }

  /** What this stack offers by itself. */
  offerFor(remote: Address): Offer {
    return {
      mss: this.maximumSegment(remote),
      windowScale: scaleFor(this.receiveLimit),
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
    const connection = this.#find(
      packet.destination,
      segment.destinationPort,
      packet.source,
      segment.sourcePort,
    );
    if (connection !== undefined) {
      if (!this.#isRebirth(connection, segment)) {
        segmentArrives(connection, segment, now);
        return;
      }
      connection.close();
    }
    const listener = this.#listeners.get(endpointKey(packet.destination, segment.destinationPort));
    if (listener === undefined || !listener.receive(segment, now)) this.reset(segment);
  }

  pathError(error: PathError, _now: Micros): void {
    const connection = this.#find(
      error.source,
      tcp.sourcePort(error.view, error.quote),
      error.destination,
      tcp.destinationPort(error.view, error.quote),
    );
    if (connection === undefined) return;
    // RFC 5927, section 4: the quoted number must be one that is under way.
    const seq = error.view.getUint32(error.quote + tcp.SEQ_AT);
    if (isBefore(seq, connection.snd.una) || !isBefore(seq, connection.snd.nxt)) return;
    // Hard errors end a connection attempt only (RFC 5461, section 4).
    if (connection.state !== 'syn-sent') return;
    if (error.kind === 'refused') {
      connection.close(new TcpError('ECONNREFUSED', 'the host says that nobody listens'));
    } else if (error.kind === 'unreachable') {
      connection.close(new TcpError('EHOSTUNREACH', 'a router says that there is no way'));
    }
  }

  /** A next hop does not answer: whoever is connecting through it learns so now. */
  unreachable(neighbour: Address): void {
    for (const connection of [...this.connecting]) {
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

  #find(
    local: Address,
    localPort: number,
    remote: Address,
    remotePort: number,
  ): Connection | undefined {
    return this.#connections
      .get(endpointKey(local, localPort))
      ?.get(endpointKey(remote, remotePort));
  }

  /** A SYN that may replace a connection in TIME-WAIT (RFC 1122, 4.2.2.13; RFC 6191). */
  #isRebirth({ state, rcv, ts, negotiated }: Connection, segment: Segment): boolean {
    if (state !== 'time-wait' || !segment.has(tcp.SYN) || segment.has(tcp.ACK | tcp.RST)) {
      return false;
    }
    const { options } = segment;
    const higher = isAfter(segment.seq, rcv.nxt);
    if (!negotiated.timestamps || !options.hasTimestamps) return higher;
    const elapsed = distance(options.timestampValue, ts.recent);
    return elapsed > 0 || (elapsed === 0 && higher);
  }
}

/** The smallest shift with which a window of `bytes` can be told. */
function scaleFor(bytes: number): number {
  let shift = 0;
  while (shift < 14 && 65_535 * 2 ** shift < bytes) shift++;
  return shift;
}

function randomKey(random: Random): SipKey {
  return Uint32Array.from({ length: 4 }, () => random.uint32());
}

/** A key from a secret of any length and what it is to serve. */
export function keyFromSecret(secret: string, purpose: string): SipKey {
  const digest = createHash('sha256').update(`${purpose}\0${secret}`).digest();
  return Uint32Array.from({ length: 4 }, (_, index) => digest.readUInt32LE(4 * index));
}
