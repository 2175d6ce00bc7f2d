// Connections that end here for good: relays, and those that get an answer of our own. What their clients say
// proves nothing of where they are at home, so the other members are told, by a logged head without bytes and
// without facts: they pass on what comes to them, and if this member dies nobody goes on with it.
import { type Micros, SECOND } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Host } from '../host/host.ts';
import type { Endpoint } from '../ip/address.ts';
import { MAX_HEADS_PER_MEMBER } from '../replication/heads.ts';
import type { Done } from '../replication/pending.ts';
import type { Replicator } from '../replication/replicator.ts';
import { MAX_FLOW_BYTES } from '../splice/form.ts';
import { writeFlow } from '../splice/record.ts';
import type { Connection } from '../tcp/connection.ts';
import { FlowMap } from '../tcp/demux.ts';

/** Logged heads are forgotten after a while: those of pins are logged again so often. */
const REFRESH: Micros = 300 * SECOND;
/** How long a pin outlives its connection, whose last packets may overtake each other. */
const LINGER: Micros = SECOND;
/** Heads that clients wait for must find room in the log. */
const MAX_PINS = MAX_HEADS_PER_MEMBER / 2;

const NOTHING = new Uint8Array(0);

export interface Pin {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Its flow as the log of heads names it. */
  readonly flow: Uint8Array;
  /** Ends it, once its connection is over. */
  readonly timer: Timer;
}

export interface PinsOptions {
  readonly host: Host;
  readonly self: number;
  /** Members of the cluster; one alone needs no pins. */
  readonly members: number;
  readonly replicator: () => Replicator | undefined;
}

export class Pins {
  readonly counters = { pinned: 0, pinsRefused: 0 };
  readonly #options: PinsOptions;
  readonly #pins: FlowMap<Pin>;
  readonly #refresh = new Timer((now) => this.#logAll(now));

  constructor(options: PinsOptions) {
    this.#options = options;
    this.#pins = new FlowMap(options.host.tcp.flowSeed);
  }

  /**
   * Has the other members pass on what a client says. `done(true)`: they all know it, unless the log is full; and
   * none of them has gone on without this one (see `Replicator.confirm`). `done(false)`: this member gave up.
   */
  add({ local, remote }: Connection, done: Done): void {
    const { host, members } = this.#options;
    const replicator = this.#options.replicator();
    if (replicator === undefined) {
      done(false);
      return;
    }
    const pin = this.#place(local, remote);
    if (pin === undefined) {
      if (members > 1) this.counters.pinsRefused++;
      this.#confirm(replicator, flowOf(local, remote), done);
      return;
    }
    host.timers.remove(pin.timer);
    this.counters.pinned++;
    if (this.#pins.size === 1) host.timers.set(this.#refresh, host.clock.now() + REFRESH);
    replicator.logHead(pin.flow, NOTHING, 0, NOTHING, (ok) => {
      if (ok) done(true);
      else this.#confirm(replicator, pin.flow, done);
    });
  }

  /** The connection is over, or another member's; false if it was not pinned. */
  remove({ local, remote }: Connection): boolean {
    const pin = this.#pins.get(local.address, local.port, remote.address, remote.port);
    const { timers, clock } = this.#options.host;
    if (pin === undefined) return false;
    timers.set(pin.timer, clock.now() + LINGER);
    return true;
  }

  /** The pin between two ends, a new one if there is none yet; undefined if it may not be. */
  #place(local: Endpoint, remote: Endpoint): Pin | undefined {
    const known = this.#pins.get(local.address, local.port, remote.address, remote.port);
    if (known !== undefined) return known;
    if (this.#options.members < 2 || this.#pins.size >= MAX_PINS) return undefined;
    const timer = new Timer(() => this.#drop(pin));
    const pin: Pin = { local, remote, flow: flowOf(local, remote), timer };
    this.#pins.add(pin);
    return pin;
  }

  /** Without a pin: if this member dies, at least nobody goes on with what it has logged of the flow. */
  #confirm(replicator: Replicator, flow: Uint8Array, done: Done): void {
    replicator.confirm((ok) => {
      if (ok) replicator.dropHead(flow);
      done(ok);
    });
  }

  #drop(pin: Pin): void {
    const { host, self } = this.#options;
    const replicator = this.#options.replicator();
    this.#pins.delete(pin);
    if (this.#pins.size === 0) host.timers.remove(this.#refresh);
    // The client's next connection may have a head in its place.
    const head = replicator?.heads.get(pin.flow);
    if (head?.owner === self && head.facts.length === 0) replicator?.dropHead(pin.flow);
  }

  #logAll(now: Micros): void {
    const replicator = this.#options.replicator();
    for (const { flow } of this.#pins.values()) {
      const head = replicator?.heads.get(flow);
      if (head === undefined || head.facts.length === 0) {
        replicator?.logHead(flow, NOTHING, 0, NOTHING, () => {});
      }
    }
    this.#options.host.timers.set(this.#refresh, now + REFRESH);
  }
}

function flowOf(local: Endpoint, remote: Endpoint): Uint8Array {
  const bytes = new Uint8Array(MAX_FLOW_BYTES);
  return bytes.subarray(0, writeFlow(new DataView(bytes.buffer), 0, remote, local));
}
