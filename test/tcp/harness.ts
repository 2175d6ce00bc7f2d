// One stack against a script: the test plays the peer, segment by segment, and time moves only when it says
// so. Sequence numbers are relative to the first byte of their stream, and both streams start just below the
// wrap of the sequence space, so that every test crosses it.
import { expect } from 'vitest';
import { MILLISECOND, type Micros } from '../../src/env/clock.ts';
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import { type Link, linkCounters } from '../../src/link/link.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import type { Connection, Offer } from '../../src/tcp/connection.ts';
import type { ListenOptions } from '../../src/tcp/listener.ts';
import type { TcpOptions } from '../../src/tcp/stack.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { ETHERNET_AT } from '../../src/wire/layout.ts';
import {
  ACK,
  buildFrame,
  OUR_MAC,
  OURS,
  PEER,
  PEER_MAC,
  parseFrame,
  pattern,
  type Script,
  SYN,
  SYN_ACK,
} from './script.ts';

export * from './script.ts';

export const ISS = 0xffff_fff0;
export const IRS = 0xffff_ffe0;
/** What the peer takes in a segment, before options. */
export const MSS = 1_000;
/** How long the handshake of `established` and `accepted` takes, in ms: the first timeout is 300 ms. */
export const ROUND_TRIP = 100;
const START: Micros = 1_000_000_000;

/** Hands out what the test injects, keeps what the host sends. */
class ScriptedLink implements Link {
  readonly mtu = 1_500;
  readonly offload: boolean;
  readonly counters = linkCounters();
  readonly incoming: Frame[] = [];
  readonly outgoing: Frame[] = [];
  /** ARP is not what these tests are about: it is answered at once. */
  onArp: () => void = () => {};

  constructor(offload: boolean) {
    this.offload = offload;
  }

  receive(frame: Frame): boolean {
    const next = this.incoming.shift();
    if (next === undefined) return false;
    frame.copyFrom(next);
    return true;
  }

  send(frame: Frame): boolean {
    if (ethernet.type(frame.view, ETHERNET_AT) === ethernet.TYPE_ARP) {
      this.onArp();
      return true;
    }
    const copy = new Frame(frame.end);
    copy.copyFrom(frame);
    this.outgoing.push(copy);
    return true;
  }

  wait(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}

export interface HarnessOptions {
  iss?: number;
  irs?: number;
  /** What both sides offer. */
  sack?: boolean;
  timestamps?: boolean;
  /** The peer's shift; scaling is off when absent. */
  scale?: number;
  /** The window field of the peer's segments, unless they say otherwise. */
  window?: number;
  /** The peer's MSS; 0 to send none. */
  mss?: number;
  receiveLimit?: number;
  offload?: boolean;
  tcp?: Omit<TcpOptions, 'ip' | 'clock' | 'timers' | 'random'>;
}

export class Harness {
  readonly clock = new VirtualClock(START);
  readonly link: ScriptedLink;
  readonly host: Host;
  /** What the connection has told its user. */
  readonly events: string[] = [];
  readonly options: HarnessOptions;
  iss: number;
  irs: number;
  #connection: Connection | undefined;
  #zero: Micros;

  constructor(options: HarnessOptions = {}) {
    this.options = options;
    this.iss = options.iss ?? ISS;
    this.irs = options.irs ?? IRS;
    this.link = new ScriptedLink(options.offload ?? false);
    this.#zero = this.clock.now();
    const receiveLimit = options.receiveLimit;
    this.host = new Host({
      link: this.link,
      mac: OUR_MAC,
      clock: this.clock,
      random: seededRandom(1),
      tcp: { ...(receiveLimit === undefined ? {} : { receiveLimit }), ...options.tcp },
    });
    this.host.ip.addAddress(OURS.address);
    const prefix = parsePrefix('10.0.0.0/24');
    if (prefix !== undefined) this.host.ip.addRoute({ prefix });
    this.link.onArp = () =>
      this.host.ip.neighbours.learn(PEER.address, PEER_MAC, true, this.clock.now());
    this.link.onArp();
  }

  get connection(): Connection {
    if (this.#connection === undefined) throw new Error('there is no connection yet');
    return this.#connection;
  }

  /** The retransmission timeout in milliseconds. */
  get rto(): number {
    return this.connection.rtt.rto / MILLISECOND;
  }

  /** Milliseconds since the test's time began. */
  get now(): number {
    return (this.clock.now() - this.#zero) / MILLISECOND;
  }

  offer(): Offer {
    const { sack = false, timestamps = false, scale } = this.options;
    return { mss: 1_460, windowScale: scale === undefined ? -1 : 2, sack, timestamps };
  }

  /** The user's side: notes what it hears, and reads nothing by itself. */
  readonly handler = {
    onConnect: () => this.events.push('connect'),
    onReadable: () => this.events.push('readable'),
    onEnd: () => this.events.push('end'),
    onAcknowledged: (_: Connection, bytes: number) => this.events.push(`acknowledged ${bytes}`),
    onClose: (_: Connection, error: { code: string } | undefined) =>
      this.events.push(error === undefined ? 'close' : `close ${error.code}`),
  };

  connect(): this {
    this.#connection = this.host.tcp.connect({
      remote: PEER,
      local: OURS.address,
      localPort: OURS.port,
      iss: this.iss,
      offer: this.offer(),
      handler: this.handler,
    });
    return this;
  }

  listen(options: Partial<ListenOptions> = {}): this {
    if (options.cookieKey === undefined) this.host.tcp.isn = () => this.iss;
    this.host.tcp.listen({
      local: OURS,
      offer: () => this.offer(),
      accept: (connection) => {
        this.#connection = connection;
        this.events.push('accept');
        return this.handler;
      },
      ...options,
    });
    return this;
  }

  /** What the peer's SYN or SYN-ACK says beside its flags. */
  peerOptions(): Partial<Script> {
    const { sack = false, timestamps = false, scale, mss = MSS, window = 65_535 } = this.options;
    return {
      window,
      ...(mss === 0 ? {} : { mss }),
      ...(sack ? { sackPermitted: true } : {}),
      ...(timestamps ? { timestamps: [1_000, 0] } : {}),
      ...(scale === undefined ? {} : { scale }),
    };
  }

  /** From here on `at` counts anew, and what was sent before is forgotten. */
  begin(): this {
    this.#zero = this.clock.now();
    this.link.outgoing.length = 0;
    this.events.length = 0;
    return this;
  }

  /** Lets the time come to `milliseconds`, and then the peer's segments one after the other. */
  at(milliseconds: number, ...segments: Script[]): this {
    const target = this.#zero + milliseconds * MILLISECOND;
    if (target < this.clock.now()) throw new RangeError('time does not run backwards');
    for (let step = 0; this.host.nextAt <= target; step++) {
      if (step > 10_000) throw new Error(`timers at ${this.now} ms come to no end`);
      this.clock.advanceTo(this.host.nextAt);
      this.host.breath();
    }
    this.clock.advanceTo(target);
    for (const segment of segments) this.inject(this.#build(segment));
    return this;
  }

  /** Lets `milliseconds` pass. */
  pass(milliseconds: number): this {
    return this.at(this.now + milliseconds);
  }

  /** The peer's segments, now. */
  arrive(...segments: Script[]): this {
    return this.at(this.now, ...segments);
  }

  inject(frame: Frame): void {
    this.link.incoming.push(frame);
    this.host.breath();
  }

  write(what: number | string): this {
    const bytes = typeof what === 'string' ? Buffer.from(what, 'latin1') : pattern(what);
    this.connection.write(bytes);
    return this;
  }

  /** All that waits to be read, as text. */
  read(): string {
    let text = '';
    for (let bytes = this.connection.read(); bytes !== undefined; bytes = this.connection.read()) {
      text += Buffer.from(bytes).toString('latin1');
    }
    return text;
  }

  /** What was sent since the last call, in order. */
  sent(): Script[] {
    return this.link.outgoing.splice(0).map((frame) => parseFrame(frame, this, this.link.offload));
  }

  /** Exactly these segments were sent since the last call. */
  expect(...segments: Script[]): this {
    const sent = this.sent();
    const compared = sent.map((segment, index) => {
      const wanted = segments[index] ?? segment;
      return Object.fromEntries(
        Object.keys(wanted).map((key) => [key, segment[key as keyof Script]]),
      );
    });
    expect(compared).toEqual(segments);
    return this;
  }

  /** Exactly these events since the last call. */
  expectEvents(...events: string[]): this {
    expect(this.events.splice(0)).toEqual(events);
    return this;
  }

  /** Nothing is left: no connection, no timer. */
  expectGone(): this {
    expect(this.host.tcp.connectionCount).toBe(0);
    // The neighbour may still be asked whether it is there.
    if (this.host.timers.armed > 0) this.pass(10_000);
    expect(this.host.timers.armed).toBe(0);
    return this;
  }

  #build(script: Script): Frame {
    const stamps = script.timestamps ?? this.#stamps(script.flags);
    const { window = 65_535 } = this.options;
    return buildFrame(
      stamps === undefined ? script : { ...script, timestamps: stamps },
      this,
      window,
    );
  }

  /** Timestamps of a peer whose clock is the test's. */
  #stamps(flags: string): [number, number] | undefined {
    if (this.options.timestamps !== true || flags.includes('R')) return undefined;
    const echo = this.host.tcp.timestamp(this.clock.now(), this.#connection?.ts.offset ?? 0);
    return [2_000 + Math.floor((this.clock.now() - START) / MILLISECOND), echo];
  }
}

/** A connection that we opened, just established; the peer acknowledges nothing by itself. */
export function established(options: HarnessOptions = {}): Harness {
  const t = new Harness(options).connect();
  const echo = options.timestamps
    ? { timestamps: [1_000, t.host.tcp.timestamp(t.clock.now(), 0)] as [number, number] }
    : {};
  t.at(ROUND_TRIP, { ...SYN_ACK, ...t.peerOptions(), ...echo });
  expect(t.connection.state).toBe('established');
  // The SYNs are past; most tests are not about the eagerness of a young connection's acknowledgments.
  return settled(t);
}

/** A connection that the peer opened. */
export function accepted(
  options: HarnessOptions = {},
  listen: Partial<ListenOptions> = {},
): Harness {
  const t = new Harness(options).listen(listen);
  t.at(0, { ...SYN, ...t.peerOptions() });
  t.at(ROUND_TRIP, { ...ACK, seq: 0, ack: 0 });
  expect(t.connection.state).toBe('established');
  return settled(t);
}

function settled(t: Harness): Harness {
  t.connection.ack.timeout = 40 * MILLISECOND;
  t.connection.ack.segment = MSS;
  return t.begin();
}
