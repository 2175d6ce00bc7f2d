// What a script runs in: one host on a wire, and time that moves only when the script waits.
import { MILLISECOND, type Micros, SECOND } from '../../src/env/clock.ts';
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import type { Frame } from '../../src/link/frame.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import type { Connection, Offer } from '../../src/tcp/connection.ts';
import type { TcpSettings } from '../../src/tcp/options.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';
import { type Ends, LOCAL_MAC, PEER_PORT, REMOTE_MAC } from './addresses.ts';
import type { Configuration } from './configuration.ts';
import { Flow } from './flow.ts';
import { type Observed, observe, TYPE_IPV4, TYPE_IPV6 } from './frames.ts';
import { ScriptedLink } from './link.ts';
import type { TcpSpec } from './script.ts';

const START: Micros = 1_000 * SECOND;
/** Our streams begin here, so that every script crosses the wrap of the sequence space. */
const ISS = 0xffff_fffe;
/** Steps of the clock in one wait: more are a loop. */
const MAX_STEPS = 100_000;

export class World {
  readonly clock = new VirtualClock(START);
  readonly configuration: Configuration;
  readonly ends: Ends;
  readonly host: Host;
  readonly link: ScriptedLink;
  /** What the stack has sent and the script has not yet looked at. */
  readonly sent: Observed[] = [];
  /** The connection whose packets the script writes. */
  flow: Flow;
  /** A socket listens: the next packet of the peer begins a new flow. */
  listening = false;
  /** Called after each step, for calls that wait. */
  onStep: () => void = () => {};
  /** When `onStep` wants to be called although nothing happens. */
  wakeAt: Micros = Number.POSITIVE_INFINITY;
  /** The sizes of buffers and windows are another system's: they are not compared. */
  ignoresSizes = false;
  /** The receive window that a script for another system counts with; undefined if it does not say. */
  theirWindow: number | undefined;
  #peerPort = PEER_PORT;

  constructor(configuration: Configuration, ends: Ends) {
    this.configuration = configuration;
    this.ends = ends;
    this.link = new ScriptedLink(configuration.mtu, (frame) => this.#onFrame(frame));
    this.host = new Host({
      link: this.link,
      mac: LOCAL_MAC,
      clock: this.clock,
      random: seededRandom(1),
      tcp: {
        receiveLimit: configuration.maximumReceiveBuffer,
        receiveInitial: this.#initialWindow(),
        finWait2Timeout: configuration.finTimeout,
        slowStartAfterIdle: configuration.slowStartAfterIdle,
      },
    });
    const { ip } = this.host;
    ip.addAddress(ends.local);
    const prefix = parsePrefix(ends.family === 4 ? '0.0.0.0/0' : '::/0');
    if (prefix !== undefined) ip.addRoute({ prefix });
    this.#learn();
    this.host.tcp.isn = () => ISS;
    this.flow = new Flow(ends.bindPort, this.#peerPort);
  }

  get now(): Micros {
    return this.clock.now() - START;
  }

  /** A new connection that the peer is to open. */
  beginPassive(): void {
    this.flow = new Flow(this.ends.bindPort, this.#peerPort++);
    this.theirWindow = undefined;
  }

  /** A connection that we open. */
  beginActive(connection: Connection): void {
    this.flow = new Flow(connection.local.port, connection.remote.port);
    this.theirWindow = undefined;
  }

  /** What our SYNs offer. */
  offer(settings: TcpSettings): Offer {
    const { timestamps, windowScaling, sack } = this.configuration;
    const offer = this.host.tcp.offerFor(this.ends.remote, settings);
    const windowScale = windowScaling ? offer.windowScale : -1;
    return { ...offer, timestamps, sack, windowScale };
  }

  /** A system that delays its first acknowledgments too: to us, the delay is known already. */
  slowStartOfAcks(connection: Connection): void {
    if (!this.configuration.quickAcks) connection.ack.timeout = 40 * MILLISECOND;
  }

  /**
   * Where a packet of the peer lies that a script for another system puts at, or behind, the right edge of that
   * system's window: at the same place of ours.
   */
  shifted(seq: number, { direction, length }: TcpSpec): number {
    const ours = this.#window();
    if (this.theirWindow === undefined || ours === undefined || direction === 'out') return seq;
    const { next, window } = ours;
    const offset = (seq - next) | 0;
    const difference = this.theirWindow - window;
    const near = offset + length >= this.theirWindow - 1 && offset <= this.theirWindow + 1;
    return near && difference > 0 ? (seq - difference) >>> 0 : seq;
  }

  /** The script's system has offered a window: until its buffer is told, that is what it counts with. */
  noteWindow(field: number): void {
    if (this.ignoresSizes) this.theirWindow ??= field;
  }

  /** A frame of the peer arrives now. */
  arrive(frame: Frame): void {
    this.#learn();
    this.link.arrive(frame);
    this.host.breath();
    this.onStep();
  }

  /** Lets the time come to `target`, microseconds since the script began. */
  advanceTo(target: Micros): void {
    for (let step = 0; this.step(target); step++) {
      if (step > MAX_STEPS) throw new RangeError('the timers of the stack come to no end');
    }
    this.clock.advanceTo(START + target);
  }

  /** Goes on to what is due next, if that is not after `limit`. */
  step(limit: Micros): boolean {
    const next = Math.min(this.host.nextAt - START, this.wakeAt);
    if (!(next <= limit)) return false;
    this.clock.advanceTo(START + next);
    this.#learn();
    this.host.breath();
    this.onStep();
    return true;
  }

  /** The packet of ours that is next in the flow: what belongs to others is not the script's business. */
  nextSent(): Observed | undefined {
    for (;;) {
      const [first] = this.sent;
      if (first === undefined) return undefined;
      const { localPort, remotePort } = this.flow;
      if (first.sourcePort === localPort && first.destinationPort === remotePort) return first;
      this.sent.shift();
    }
  }

  /** RCV.NXT and RCV.WND of the connection that the script writes, in TIME-WAIT too. */
  #window(): { next: number; window: number } | undefined {
    const { localPort, remotePort } = this.flow;
    const { rcv } = this.current() ?? {};
    if (rcv !== undefined) return { next: rcv.nxt, window: (rcv.edge - rcv.nxt) | 0 };
    for (const { local, remote, receiveNext, window } of this.host.tcp.timeWaits.values()) {
      if (local.port !== localPort || remote.port !== remotePort) continue;
      return { next: receiveNext, window };
    }
    return undefined;
  }

  /** Connections in a state, under the name that `sockstat` has for it; undefined for other names. */
  count(state: string): number | undefined {
    const { tcp } = this.host;
    if (state === 'TIME_WAIT') return tcp.timeWaits.size;
    if (state !== 'SYN_RCVD') return undefined;
    return [...tcp.connections()].filter((each) => each.state === 'syn-received').length;
  }

  dropTimeWaits(): void {
    const { timeWaits } = this.host.tcp;
    for (const record of [...timeWaits.values()]) timeWaits.forget(record);
  }

  /** The connection that the script writes. */
  current(): Connection | undefined {
    for (const connection of this.host.tcp.connections()) {
      const { local, remote } = connection;
      if (local.port === this.flow.localPort && remote.port === this.flow.remotePort)
        return connection;
    }
    return undefined;
  }

  /** What a connection may keep for its reader at first: Linux leaves half of its buffer to bookkeeping. */
  #initialWindow(): number {
    const { system, receiveBuffer } = this.configuration;
    return system === 'freebsd' ? receiveBuffer : receiveBuffer / 2;
  }

  #onFrame(frame: Frame): void {
    const type = frame.view.getUint16(ETHERNET_AT + 12);
    const ip = type === TYPE_IPV4 || type === TYPE_IPV6;
    if (!ip || frame.end < NETWORK_AT) return;
    const seen = observe(frame, this.ends, this.now);
    if (seen !== undefined) this.sent.push(seen);
  }

  /** Address resolution is not what scripts are about: the next hop is always known. */
  #learn(): void {
    const { neighbours } = this.host.ip;
    neighbours.learn(this.ends.remote, REMOTE_MAC, true, this.clock.now());
  }
}

export const milliseconds = (time: Micros): string => `${(time / MILLISECOND).toFixed(1)} ms`;
