// A host: a link, the Internet protocols on it, and the breath that drives them all.
import { type Clock, MILLISECOND, type Micros, NEVER, systemClock } from '../env/clock.ts';
import { type Random, systemRandom } from '../env/random.ts';
import { Timers } from '../env/timers.ts';
import type { Address } from '../ip/address.ts';
import { Ip } from '../ip/ip.ts';
import { Udp } from '../ip/udp.ts';
import { Frame } from '../link/frame.ts';
import type { Link } from '../link/link.ts';
import { type TcpOptions, TcpStack } from '../tcp/stack.ts';
import { type Mac, TYPE_IPV4, TYPE_IPV6 } from '../wire/ethernet.ts';
import { ETHERNET_AT } from '../wire/layout.ts';
import { BreathClock } from './breath-clock.ts';

/** Frames that one breath takes at most, so that timers and the event loop get their turn. */
const BURST = 64;
/** Breaths in a row that put off the timers while frames wait, which may be what disarms them. */
const PATIENCE = 16;
/** A host whose timers are this late stood still. */
const STALL: Micros = 50 * MILLISECOND;
/** Breaths in a row before the event loop gets its turn. */
const BREATHS = 4;
/**
 * How long a host without work waits for a frame at most: what its users do between two breaths may have
 * set an earlier timer.
 */
const ATTENTION: Micros = 20 * MILLISECOND;
/**
 * A host is busy that for so long has not waited this long and then found so few frames at the most. (Who finds more
 * than that did not rest, but waited for its turn on a processor.)
 */
const BUSY_AFTER: Micros = 2 * MILLISECOND;
const REST: Micros = MILLISECOND / 10;
const FEW = 3;

/** What sees IP frames before the stack does. True: consumed. */
export interface FastPath {
  handle(frame: Frame, now: Micros): boolean;
}

/** What a host does about IPv6 by itself. Addresses and routes that are given to `Host.ip` need none of it. */
export interface Ipv6Options {
  /** Has the link-local address that the MAC makes (RFC 4291, appendix A). */
  linkLocal?: boolean;
  /** Asks for routers and takes default routes, prefixes and MTU from them; with a link-local address. */
  discoverRouters?: boolean;
  /** Reports the groups it listens to, where switches snoop (RFC 3810). */
  reportGroups?: boolean;
}

export interface HostOptions {
  link: Link;
  mac: Mac;
  clock?: Clock;
  random?: Random;
  ipv6?: Ipv6Options;
  tcp?: Omit<TcpOptions, 'ip' | 'clock' | 'timers' | 'random'>;
}

export class Host {
  readonly link: Link;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers = new Timers();
  readonly ip: Ip;
  readonly udp: Udp;
  readonly tcp: TcpStack;
  readonly counters = { breaths: 0, frames: 0, foreign: 0 };
  fastPath: FastPath | undefined;
  /** Sees what the fast path leaves: what is another host's to answer, though it came to us. */
  forwarder: FastPath | undefined;
  readonly #clock: BreathClock;
  readonly #frame = new Frame();
  readonly #endings: ((now: Micros) => void)[] = [];
  #stopped = false;
  #putOff = 0;
  /** When it last had nothing to do for a while. */
  #restedAt: Micros = NEVER;

  constructor({ link, mac, clock = systemClock, random = systemRandom(), tcp, ipv6 }: HostOptions) {
    this.link = link;
    this.#clock = new BreathClock(clock);
    this.clock = this.#clock;
    this.random = random;
    const { timers } = this;
    this.ip = new Ip({ link, mac, clock: this.clock, timers, random });
    this.udp = new Udp(this.ip);
    this.tcp = new TcpStack({ ...tcp, ip: this.ip, clock: this.clock, timers, random });
    this.ip.input.onWhole = (frame, now) => this.fastPath?.handle(frame, now) ?? false;
    if (ipv6?.reportGroups === true) this.ip.reportGroups();
    if (ipv6?.linkLocal === true || ipv6?.discoverRouters === true) this.ip.addLinkLocalAddress();
    if (ipv6?.discoverRouters === true) this.ip.discoverRouters();
    this.ip.onUnreachable = (neighbour: Address) => this.tcp.unreachable(neighbour);
  }

  /** Calls `flush` at the end of every breath, in the order of these calls. */
  atEndOfBreath(flush: (now: Micros) => void): void {
    this.#endings.push(flush);
  }

  /** Handles what has arrived and what is due; returns how many frames there were. */
  breath(): number {
    const now = this.#clock.inhale();
    const stalled = now - this.timers.nextAt > STALL;
    try {
      let frames = 0;
      while (frames < BURST && this.link.receive(this.#frame)) {
        frames++;
        this.counters.frames++;
        this.#receive(this.#frame, now);
      }
      // After a stall the acknowledgments that disarm a timer may be further back.
      if (frames < BURST || !stalled || ++this.#putOff > PATIENCE) {
        this.#putOff = 0;
        this.timers.run(now);
      }
      for (const flush of this.#endings) flush(now);
      this.counters.breaths++;
      return frames;
    } finally {
      this.#clock.exhale();
    }
  }

  /** When the next timer is due, or the link wants to be asked. */
  get nextAt(): Micros {
    return Math.min(this.timers.nextAt, this.link.nextAt ?? NEVER);
  }

  /** True while `run` has more than enough to do: what can wait had better be gathered. */
  get isBusy(): boolean {
    return this.clock.now() - this.#restedAt > BUSY_AFTER;
  }

  /** Breathes until `stop`. */
  async run(): Promise<void> {
    let busy = 0;
    let waited = false;
    this.#restedAt = this.clock.now();
    while (!this.#stopped) {
      const frames = this.breath();
      if (waited && frames <= FEW) this.#restedAt = this.clock.now();
      waited = false;
      if (frames > 0 && ++busy < BREATHS) continue;
      busy = 0;
      // Its turn comes before the wait: behind it, a frame that came would wait for the event loop, too.
      await new Promise(setImmediate);
      if (frames > 0) continue;
      const before = this.clock.now();
      const wait = Math.min(this.nextAt - before, ATTENTION);
      if (wait <= 0) continue;
      await this.link.wait(wait);
      waited = this.clock.now() - before > REST;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.link.close();
  }

  #receive(frame: Frame, now: Micros): void {
    if (!this.ip.isOurs(frame)) {
      this.counters.foreign++;
      return;
    }
    const { fastPath, forwarder } = this;
    if (fastPath !== undefined) {
      const type = frame.view.getUint16(ETHERNET_AT + 12);
      if (type === TYPE_IPV4 || type === TYPE_IPV6) {
        if (fastPath.handle(frame, now)) return;
        if (forwarder?.handle(frame, now) === true) return;
      }
    }
    this.ip.receive(frame, now);
  }
}
