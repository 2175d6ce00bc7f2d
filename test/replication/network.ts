// A network of datagrams on a virtual clock: seeded loss, delay, reordering and duplication.
import { type Clock, MILLISECOND, type Micros, NEVER } from '../../src/env/clock.ts';
import { below, chance, type Random, seededRandom } from '../../src/env/random.ts';
import type { Address } from '../../src/ip/address.ts';
import type { DatagramPort } from '../../src/replication/port.ts';

/** What drives a host: called at its deadlines and when datagrams came. */
export interface Node {
  readonly nextAt: Micros;
  breath(now: Micros): void;
}

interface Flight {
  readonly at: Micros;
  readonly order: number;
  readonly from: Address;
  readonly to: Address;
  readonly port: number;
  readonly payload: Uint8Array;
}

export interface Conditions {
  /** Probabilities from 0 to 1. */
  loss: number;
  duplication: number;
  /** Delay is uniform between these, so that a wide range reorders. */
  minDelay: Micros;
  maxDelay: Micros;
}

/** One end of the network. Datagrams wait in its queue until its node breathes. */
export class SimPort implements DatagramPort {
  onDatagram: DatagramPort['onDatagram'] = undefined;
  readonly queue: Flight[] = [];
  readonly address: Address;
  readonly #network: SimNetwork;

  constructor(network: SimNetwork, address: Address) {
    this.#network = network;
    this.address = address;
  }

  send(to: Address, port: number, payload: Uint8Array): void {
    this.#network.send(this.address, to, port, payload);
  }

  /** Hands the queue over. */
  receive(): void {
    for (const { from, port, payload } of this.queue.splice(0)) {
      this.onDatagram?.(from, port, payload);
    }
  }
}

export class SimNetwork implements Clock {
  readonly random: Random;
  readonly conditions: Conditions = {
    loss: 0,
    duplication: 0,
    minDelay: 100,
    maxDelay: 200,
  };
  /** Called for every datagram sent; false: it is lost. */
  passes: (from: Address, to: Address, payload: Uint8Array) => boolean = () => true;
  #now: Micros = 1_000;
  #order = 0;
  readonly #flights: Flight[] = [];
  readonly #places = new Map<Address, { port: SimPort; node: Node; paused: boolean }>();

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  now(): Micros {
    return this.#now;
  }

  wall(): number {
    return 1_700_000_000 + Math.floor(this.#now / 1_000_000);
  }

  attach(port: SimPort, node: Node): void {
    this.#places.set(port.address, { port, node, paused: false });
  }

  detach(address: Address): void {
    this.#places.delete(address);
  }

  /** A paused node keeps getting datagrams, but does not run. */
  pause(address: Address, paused: boolean): void {
    const place = this.#places.get(address);
    if (place === undefined) return;
    place.paused = paused;
    if (!paused) this.#breathe(place);
  }

  send(from: Address, to: Address, port: number, payload: Uint8Array): void {
    const { loss, duplication, minDelay, maxDelay } = this.conditions;
    if (!this.passes(from, to, payload)) return;
    const copies = chance(this.random, duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (chance(this.random, loss)) continue;
      const at = this.#now + minDelay + below(this.random, maxDelay - minDelay + 1);
      this.inject({ at, from, to, port, payload: payload.slice() });
    }
  }

  inject(flight: Omit<Flight, 'order'>): void {
    this.#flights.push({ ...flight, order: this.#order++ });
  }

  /** Goes from event to event until `until`, or until `done` holds; returns whether it held. */
  run(until: Micros, done: () => boolean = () => false): boolean {
    for (;;) {
      if (done()) return true;
      const at = Math.max(this.#nextAt(), this.#now);
      if (at > until) {
        this.#now = until;
        return done();
      }
      this.#now = at;
      this.#step();
    }
  }

  /** Runs for so long. */
  pass(span: Micros): void {
    this.run(this.#now + span);
  }

  /** Runs until `done` holds; throws if that takes longer than `limit`. */
  until(done: () => boolean, limit: Micros = 10_000 * MILLISECOND): void {
    if (!this.run(this.#now + limit, done)) throw new Error(`not within ${limit} us: ${done}`);
  }

  #nextAt(): Micros {
    let at = NEVER;
    for (const flight of this.#flights) at = Math.min(at, flight.at);
    for (const { node, paused } of this.#places.values()) {
      if (!paused) at = Math.min(at, node.nextAt);
    }
    return at;
  }

  #step(): void {
    const arrived = this.#flights.filter((flight) => flight.at <= this.#now);
    const flying = this.#flights.filter((flight) => flight.at > this.#now);
    this.#flights.splice(0, this.#flights.length, ...flying);
    arrived.sort((a, b) => a.at - b.at || a.order - b.order);
    for (const flight of arrived) this.#places.get(flight.to)?.port.queue.push(flight);
    for (const place of this.#places.values()) {
      const { node, port, paused } = place;
      if (!paused && (port.queue.length > 0 || node.nextAt <= this.#now)) this.#breathe(place);
    }
  }

  #breathe({ port, node }: { port: SimPort; node: Node }): void {
    port.receive();
    node.breath(this.#now);
  }
}
