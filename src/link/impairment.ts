// A link made worse: what passes in either direction goes through a channel. For machines whose kernel has no
// `netem`, and for tests.
import type { Clock, Micros } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import { Channel, type Conditions } from './channel.ts';
import { DelayQueue } from './delay-queue.ts';
import { Frame } from './frame.ts';
import { type Link, type LinkCounters, linkCounters } from './link.ts';

export interface ImpairmentOptions {
  link: Link;
  clock: Clock;
  random: Random;
  /** What happens to frames that are sent, and to frames that are received; nothing when absent. */
  outgoing?: Partial<Conditions>;
  incoming?: Partial<Conditions>;
  /** Whether trains may be sent: they are split here. False by default: the host makes single segments. */
  offload?: boolean;
}

export class ImpairedLink implements Link {
  readonly mtu: number;
  readonly offload: boolean;
  readonly counters: LinkCounters = linkCounters();
  readonly outgoing: Channel;
  readonly incoming: Channel;
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #sent = new DelayQueue<Frame>();
  readonly #received = new DelayQueue<Frame>();
  readonly #frame = new Frame();

  constructor({ link, clock, random, outgoing, incoming, offload = false }: ImpairmentOptions) {
    this.#link = link;
    this.#clock = clock;
    this.mtu = link.mtu;
    this.offload = offload;
    this.outgoing = new Channel(random, outgoing);
    this.incoming = new Channel(random, incoming);
  }

  /** When a frame that is on the way wants to go on. */
  get nextAt(): Micros {
    return Math.min(this.#sent.nextAt, this.#received.nextAt);
  }

  receive(frame: Frame): boolean {
    const now = this.#clock.now();
    this.#forward(now);
    while (this.#link.receive(this.#frame)) {
      this.incoming.offer(this.#frame, now, (copy, at) => this.#received.push(copy, at));
    }
    const next = this.#received.pop(now);
    if (next === undefined) return false;
    frame.copyFrom(next);
    this.counters.received++;
    this.counters.receivedBytes += frame.end;
    return true;
  }

  send(frame: Frame): boolean {
    const now = this.#clock.now();
    this.counters.sent++;
    this.counters.sentBytes += frame.end;
    this.outgoing.offer(frame, now, (copy, at) => this.#sent.push(copy, at));
    this.#forward(now);
    return true;
  }

  wait(timeout: Micros): Promise<void> {
    const now = this.#clock.now();
    return this.#link.wait(Math.max(0, Math.min(timeout, this.nextAt - now)));
  }

  close(): void {
    this.#sent.clear();
    this.#received.clear();
    this.#link.close();
  }

  /** Sends what was delayed until now. */
  #forward(now: Micros): void {
    for (let frame = this.#sent.pop(now); frame !== undefined; frame = this.#sent.pop(now)) {
      if (!this.#link.send(frame)) this.counters.sendErrors++;
    }
  }
}
