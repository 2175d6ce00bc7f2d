// A simulated Ethernet: a switch that learns where MACs are, and a port for each host, whose cable may be
// slow, lossy or unplugged. Nothing moves by itself: `deliver` is told the time.
import type { Clock, Micros } from '../env/clock.ts';
import { type Random, seededRandom } from '../env/random.ts';
import { Channel, type Conditions } from '../link/channel.ts';
import { DelayQueue } from '../link/delay-queue.ts';
import type { Frame } from '../link/frame.ts';
import { type Link, type LinkCounters, linkCounters } from '../link/link.ts';
import * as ethernet from '../wire/ethernet.ts';
import { ETHERNET_AT, NETWORK_AT } from '../wire/layout.ts';

export interface PortOptions {
  mtu?: number;
  /** Whether the host may send trains; they are split on the wire. */
  offload?: boolean;
  /** What the cable does to frames, in each direction by itself. */
  conditions?: Partial<Conditions>;
  /** Frames that wait at most for a host that does not fetch them. */
  capacity?: number;
}

/** The host's end of its cable. */
export class SimulatedPort implements Link {
  readonly mtu: number;
  readonly offload: boolean;
  readonly counters: LinkCounters = linkCounters();
  /** To the switch, and from it. */
  readonly up: Channel;
  readonly down: Channel;
  /** Frames that came when the queue was full. */
  overflows = 0;
  #plugged = true;
  readonly #network: SimulatedNetwork;
  readonly #capacity: number;
  readonly #arrived: Frame[] = [];

  constructor(network: SimulatedNetwork, random: Random, options: PortOptions) {
    this.#network = network;
    this.mtu = options.mtu ?? 1_500;
    this.offload = options.offload ?? false;
    this.#capacity = options.capacity ?? 4_096;
    this.up = new Channel(random, options.conditions);
    this.down = new Channel(random, options.conditions);
  }

  /** Frames that wait to be received. */
  get pending(): number {
    return this.#arrived.length;
  }

  /** False: nothing comes or goes, and what is on the way is lost. */
  get plugged(): boolean {
    return this.#plugged;
  }

  set plugged(plugged: boolean) {
    this.#plugged = plugged;
    if (!plugged) this.#network.forgetPort(this);
  }

  receive(frame: Frame): boolean {
    const next = this.#arrived.shift();
    if (next === undefined) return false;
    frame.copyFrom(next);
    this.counters.received++;
    this.counters.receivedBytes += frame.end;
    return true;
  }

  send(frame: Frame): boolean {
    if (!this.#plugged) {
      this.counters.sendErrors++;
      return false;
    }
    this.counters.sent++;
    this.counters.sentBytes += frame.end;
    this.#network.take(this, frame);
    return true;
  }

  /** Takes a frame that has come down the cable. */
  arrive(frame: Frame): void {
    if (!this.#plugged) return;
    if (this.#arrived.length >= this.#capacity) this.overflows++;
    else this.#arrived.push(frame);
  }

  /** In a simulation nobody waits: the simulation knows when something happens. */
  wait(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.plugged = false;
    this.#arrived.length = 0;
  }
}

interface Transit {
  readonly port: SimulatedPort;
  readonly frame: Frame;
  /** True on the way to the switch, false on the way from it. */
  readonly rising: boolean;
}

/**
 * What becomes of a frame between two cables: the time that it takes beside theirs, or -1 if it is lost. So a
 * test cuts two hosts off from each other, or lets some of what they say be late.
 */
export type Passage = (from: SimulatedPort, to: SimulatedPort, frame: Frame) => Micros;

export class SimulatedNetwork {
  /** Asked for each frame and each port that it leaves by; when absent, the switch is perfect. */
  passage: Passage | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #ports = new Set<SimulatedPort>();
  readonly #learned = new Map<ethernet.Mac, SimulatedPort>();
  readonly #transit = new DelayQueue<Transit>();

  constructor(clock: Clock, seed: number) {
    this.#clock = clock;
    this.#random = seededRandom(seed);
  }

  /** Plugs a new cable into the switch. */
  attach(options: PortOptions = {}): SimulatedPort {
    const port = new SimulatedPort(this, this.#random, options);
    this.#ports.add(port);
    return port;
  }

  /** Unplugs a port for good. */
  detach(port: SimulatedPort): void {
    port.close();
    this.#ports.delete(port);
  }

  /** When the next frame comes somewhere. */
  get nextAt(): Micros {
    return this.#transit.nextAt;
  }

  /** Frames on the way. */
  get inTransit(): number {
    return this.#transit.size;
  }

  /** Moves every frame on that is due at `now`. */
  deliver(now: Micros): void {
    for (let next = this.#transit.pop(now); next !== undefined; next = this.#transit.pop(now)) {
      if (!next.port.plugged) continue;
      if (next.rising) this.#switch(next.port, next.frame, now);
      else next.port.arrive(next.frame);
    }
  }

  /** Takes a frame that a host sends. */
  take(port: SimulatedPort, frame: Frame): void {
    port.up.offer(frame, this.#clock.now(), (copy, at) =>
      this.#transit.push({ port, frame: copy, rising: true }, at),
    );
  }

  /** Forgets which MACs a port leads to. */
  forgetPort(port: SimulatedPort): void {
    for (const [mac, at] of this.#learned) if (at === port) this.#learned.delete(mac);
  }

  #switch(from: SimulatedPort, frame: Frame, now: Micros): void {
    if (frame.end < NETWORK_AT) return;
    const source = ethernet.source(frame.view, ETHERNET_AT);
    if (!ethernet.isGroup(source)) this.#learned.set(source, from);
    const known = this.#learned.get(ethernet.destination(frame.view, ETHERNET_AT));
    if (known !== undefined) {
      if (known !== from) this.#send(from, known, frame, now);
      return;
    }
    for (const port of this.#ports) if (port !== from) this.#send(from, port, frame, now);
  }

  #send(from: SimulatedPort, port: SimulatedPort, frame: Frame, now: Micros): void {
    if (!port.plugged) return;
    const late = this.passage === undefined ? 0 : this.passage(from, port, frame);
    if (late < 0) return;
    port.down.offer(frame, now + late, (copy, at) =>
      this.#transit.push({ port, frame: copy, rising: false }, at),
    );
  }
}
