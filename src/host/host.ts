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
import { type Mac, TYPE_IPV4 } from '../wire/ethernet.ts';
import { ETHERNET_AT } from '../wire/layout.ts';
import { BreathClock } from './breath-clock.ts';

/** Frames that one breath takes at most, so that timers and the event loop get their turn. */
const BURST = 64;
/** Breaths in a row before the event loop gets its turn. */
const BREATHS = 4;
/**
 * How long a host without work waits for a frame at most: what its users do between two breaths may have
 * set an earlier timer.
 */
const ATTENTION: Micros = 20 * MILLISECOND;

/** What sees IPv4 frames before the stack does. True: consumed. */
export interface FastPath {
  handle(frame: Frame, now: Micros): boolean;
}

export interface HostOptions {
  link: Link;
  mac: Mac;
  clock?: Clock;
  random?: Random;
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
  readonly #clock: BreathClock;
  readonly #frame = new Frame();
  readonly #endings: ((now: Micros) => void)[] = [];
  #stopped = false;

  constructor({ link, mac, clock = systemClock, random = systemRandom(), tcp }: HostOptions) {
    this.link = link;
    this.#clock = new BreathClock(clock);
    this.clock = this.#clock;
    this.random = random;
    const { timers } = this;
    this.ip = new Ip({ link, mac, clock: this.clock, timers });
    this.udp = new Udp(this.ip);
    this.tcp = new TcpStack({ ...tcp, ip: this.ip, clock: this.clock, timers, random });
    this.ip.onUnreachable = (neighbour: Address) => this.tcp.unreachable(neighbour);
  }

  /** Calls `flush` at the end of every breath, in the order of these calls. */
  atEndOfBreath(flush: (now: Micros) => void): void {
    this.#endings.push(flush);
  }

  /** Handles what has arrived and what is due; returns how many frames there were. */
  breath(): number {
    const now = this.#clock.inhale();
    try {
      let frames = 0;
      while (frames < BURST && this.link.receive(this.#frame)) {
        frames++;
        this.#receive(this.#frame, now);
      }
      this.timers.run(now);
      for (const flush of this.#endings) flush(now);
      this.counters.breaths++;
      this.counters.frames += frames;
      return frames;
    } finally {
      this.#clock.exhale();
    }
  }

  /** When the next timer is due, or the link wants to be asked. */
  get nextAt(): Micros {
    return Math.min(this.timers.nextAt, this.link.nextAt ?? NEVER);
  }

  /** Breathes until `stop`. */
  async run(): Promise<void> {
    let busy = 0;
    while (!this.#stopped) {
      if (this.breath() > 0) {
        if (++busy < BREATHS) continue;
        busy = 0;
      } else {
        busy = 0;
        const wait = Math.min(this.nextAt - this.clock.now(), ATTENTION);
        if (wait > 0) await this.link.wait(wait);
      }
      await new Promise(setImmediate);
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
    if (
      this.fastPath !== undefined &&
      frame.view.getUint16(ETHERNET_AT + 12) === TYPE_IPV4 &&
      this.fastPath.handle(frame, now)
    ) {
      return;
    }
    this.ip.receive(frame, now);
  }
}
