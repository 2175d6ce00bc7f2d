// Conversations that a seed makes up: two hosts, a few connections, a network with faults of every kind. What must
// come of them is always the same: the bytes are right both ways, everything ends, nothing is left.
import { MILLISECOND, NEVER, SECOND } from '../../src/env/clock.ts';
import { below, chance, type Random, seededRandom } from '../../src/env/random.ts';
import type { Host } from '../../src/host/host.ts';
import type { Conditions } from '../../src/link/channel.ts';
import { SimulatedPort } from '../../src/sim/network.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { Connection, ConnectionHandler, Offer } from '../../src/tcp/connection.ts';
import { keyFromSecret } from '../../src/tcp/stack.ts';
import { hostAddress, simulatedHost } from './hosts.ts';
import { Invariants } from './invariants.ts';
import { drawPlan, Party, type Plan, SEND_LIMIT } from './party.ts';

const PORT = 80;
/** Frames under way at most: what the windows of all connections allow, in segments of any size. */
const MAX_IN_TRANSIT = 50_000;
/** Between two looks at all connections, in events. */
const LOOK_EVERY = 16;

/** What a seed stands for. */
export interface Setting {
  readonly family: 4 | 6;
  readonly connections: number;
  readonly bytes: number;
  /** From the client to the server, and back. */
  readonly conditions: readonly [Partial<Conditions>, Partial<Conditions>];
  readonly offload: readonly [boolean, boolean];
  readonly mtu: readonly [number, number];
  readonly receiveLimit: readonly [number, number];
  /** What each end can do. */
  readonly options: readonly [Partial<Offer>, Partial<Offer>];
  readonly congestionControl: readonly [string, string];
  /** Whether both ends ask for ECN. */
  readonly ecn: boolean;
  readonly cookies: boolean;
  /** Milliseconds at most that the wire is out, or a host stands still; 0 for no such thing. */
  readonly outage: number;
  /** Whether parties may abort or walk away. */
  readonly leaving: boolean;
  /** Whether the server is killed in the middle. */
  readonly crash: boolean;
}

/** What a run came to. */
export interface Account {
  readonly connections: number;
  readonly events: number;
  readonly bytes: number;
  /** Connections that did not end in order: aborted, reset or given up. */
  readonly broken: number;
  readonly lost: number;
  readonly corrupted: number;
  /** Segments that a checksum kept from us. */
  readonly refused: number;
}

function drawConditions(random: Random): Partial<Conditions> {
  const upTo = (most: number): number => (below(random, 1_000) / 1_000) * most;
  return {
    loss: chance(random, 0.6) ? upTo(0.1) : 0,
    bursts: chance(random, 0.3) ? upTo(0.01) : 0,
    burstLength: below(random, 100) * MILLISECOND,
    duplication: chance(random, 0.5) ? upTo(0.15) : 0,
    corruption: chance(random, 0.4) ? upTo(0.05) : 0,
    reordering: chance(random, 0.5) ? upTo(0.3) : 0,
    reorderingDelay: below(random, 40) * MILLISECOND,
    marking: chance(random, 0.3) ? upTo(0.1) : 0,
    delay: below(random, 60) * MILLISECOND,
    jitter: below(random, 8) * MILLISECOND,
    ...(chance(random, 0.3)
      ? { rate: 50_000 + below(random, 5_000_000), queue: 8_000 + below(random, 120_000) }
      : {}),
  };
}

function drawOptions(random: Random): Partial<Offer> {
  return {
    ...(chance(random, 0.25) ? { sack: false } : {}),
    ...(chance(random, 0.25) ? { timestamps: false } : {}),
    ...(chance(random, 0.25) ? { windowScale: -1 } : {}),
  };
}

/** The setting that `seed` stands for. */
export function drawSetting(seed: number, family: 4 | 6): Setting {
  const random = seededRandom(seed ^ 0x5eed);
  const twice = <T>(draw: () => T): [T, T] => [draw(), draw()];
  const crash = chance(random, 0.08);
  return {
    family,
    connections: 1 + below(random, 10),
    bytes: chance(random, 0.2) ? 300_000 : 40_000,
    conditions: twice(() => drawConditions(random)),
    offload: twice(() => chance(random, 0.4)),
    mtu: twice(() => (chance(random, 0.15) ? 1_280 + below(random, 220) : 1_500)),
    receiveLimit: twice(() =>
      chance(random, 0.2) ? 3_000 + below(random, 10_000) : 20_000 + below(random, 400_000),
    ),
    options: twice(() => drawOptions(random)),
    congestionControl: twice(() => (chance(random, 0.5) ? 'cubic' : 'newreno')),
    ecn: chance(random, 0.4),
    cookies: chance(random, 0.4),
    outage: chance(random, 0.2) ? 1 + below(random, 4_000) : 0,
    leaving: crash || chance(random, 0.3),
    crash,
  };
}

/**
 * A cookie proves a handshake for as long as it is young: a late copy of the segment that brought it makes a
 * connection again whose first life is over. The peer knows nothing of it, and ends it when it is asked.
 */
const ghost: ConnectionHandler = {
  onConnect: (connection) => connection.setKeepalive(30 * SECOND),
  onReadable: (connection) => {
    while (connection.read() !== undefined);
  },
  onEnd: (connection) => connection.end(),
};

interface Pair {
  readonly client: Party;
  readonly server: Party;
  /** The server's side has a second life. */
  haunted: boolean;
}

/** One run of a setting. */
class Conversation {
  readonly setting: Setting;
  readonly simulation: Simulation;
  readonly client: Host;
  readonly server: Host;
  readonly pairs: Pair[] = [];
  crashed = false;
  readonly #random: Random;
  readonly #invariants: Invariants;

  constructor(seed: number, setting: Setting) {
    this.setting = setting;
    this.#random = seededRandom(seed);
    this.simulation = new Simulation(seed);
    const host = (index: 0 | 1): Host => {
      const made = simulatedHost(this.simulation, index + 1, {
        seed: 2 * seed + index,
        port: { offload: setting.offload[index], mtu: setting.mtu[index], capacity: 65_536 },
        tcp: {
          receiveLimit: setting.receiveLimit[index],
          congestionControl: setting.congestionControl[index],
          ecn: setting.ecn ? 'on' : 'passive',
        },
      });
      const { link } = made;
      // A wire has one set of conditions a direction; the hop from the switch is perfect.
      if (link instanceof SimulatedPort)
        Object.assign(link.up.conditions, setting.conditions[index]);
      return made;
    };
    this.client = host(0);
    this.server = host(1);
    this.#introduce(this.client, this.server, 2);
    this.#introduce(this.server, this.client, 1);
    this.#invariants = new Invariants([this.client, this.server]);
  }

  run(): Account {
    const { simulation } = this;
    this.#listen();
    for (let i = 0; i < this.setting.connections; i++) this.#connect(i);
    if (this.setting.outage > 0) this.#breakNowAndThen();
    if (this.setting.crash) this.#crashLater();
    simulation.onEvent = () => {
      if (simulation.events % LOOK_EVERY !== 0) return;
      this.#invariants.check();
      this.#checkBounds();
    };
    const end = simulation.runUntil(() => this.#isOver(), {
      maxEvents: 5_000_000,
      maxTime: 6 * 3_600 * SECOND,
    });
    const faults = this.pairs.flatMap((pair, index) => this.#faults(pair, index));
    if (faults.length > 0) throw new Error(faults.join('\n'));
    if (end !== 'met') throw new Error(`the run ended by ${end}, not because all was done`);
    // TIME-WAIT, orphans and what else lingers.
    simulation.runFor(1_200 * SECOND);
    this.#settle();
    return this.#account();
  }

  /** Whether a neighbour is found though the wire loses frames is not the question here. */
  #introduce(host: Host, other: Host, number: number): void {
    host.ip.neighbours.learn(hostAddress(number, this.setting.family), other.ip.mac, true, 0);
  }

  #offer(host: Host, index: 0 | 1): Offer {
    const other = hostAddress(2 - index, this.setting.family);
    return Object.assign(host.tcp.offerFor(other), this.setting.options[index]);
  }

  #listen(): void {
    this.server.tcp.listen({
      local: { address: hostAddress(2, this.setting.family), port: PORT },
      offer: () => this.#offer(this.server, 1),
      ...(this.setting.cookies ? { cookieKey: keyFromSecret('secret', 'test') } : {}),
      accept: ({ remote }) => {
        const pair = this.pairs.find(({ client }) => client.connection?.local.port === remote.port);
        if (pair === undefined) throw new Error('a connection that nobody opened');
        if (pair.server.connection !== undefined) {
          pair.haunted = true;
          return ghost;
        }
        return pair.server;
      },
    });
  }

  #connect(index: number): void {
    const random = this.#random;
    const { bytes, leaving, family, cookies } = this.setting;
    const draw = (says: number): Plan => drawPlan(random, says, bytes, leaving);
    const up = draw(2 * index);
    const down = draw(2 * index + 1);
    // One of the two may wait for the other's end before it says anything; both would wait for ever. So would a
    // client whose last word of a handshake by cookie is lost: the server knows nothing of it.
    const client = !cookies && chance(random, 0.5);
    const waits = chance(random, 0.2) ? (client ? up : down) : undefined;
    const party = (host: Host, plan: Plan, hears: Plan): Party =>
      new Party(
        host,
        seededRandom(random.uint32()),
        plan === waits ? { ...plan, waits: true } : plan,
        hears.says,
      );
    const pair = {
      client: party(this.client, up, down),
      server: party(this.server, down, up),
      haunted: false,
    };
    this.pairs.push(pair);
    pair.client.connection = this.client.tcp.connect({
      local: hostAddress(1, family),
      remote: { address: hostAddress(2, family), port: PORT },
      offer: this.#offer(this.client, 0),
      handler: pair.client,
    });
  }

  /** Unplugs the server's cable, or lets a host stand still, for a while, and again. */
  #breakNowAndThen(): void {
    const { simulation } = this;
    const random = this.#random;
    const later = () => simulation.clock.now() + below(random, this.setting.outage) * MILLISECOND;
    let left = 8;
    let mend: (() => void) | undefined;
    const breaker = {
      nextAt: later(),
      breath: () => {
        if (mend === undefined) mend = this.#breakSomething();
        else {
          mend();
          mend = undefined;
          left--;
        }
        breaker.nextAt = left > 0 ? later() : NEVER;
      },
    };
    simulation.add(breaker);
  }

  #breakSomething(): () => void {
    const { simulation, server, client } = this;
    const { link } = server;
    if (chance(this.#random, 0.5) && link instanceof SimulatedPort) {
      link.plugged = false;
      return () => {
        link.plugged = true;
      };
    }
    const stopped = chance(this.#random, 0.5) ? server : client;
    simulation.pause(stopped);
    return () => simulation.resume(stopped);
  }

  #crashLater(): void {
    const killer = {
      nextAt: below(this.#random, 2_000) * MILLISECOND,
      breath: () => {
        killer.nextAt = NEVER;
        this.crashed = true;
        this.simulation.remove(this.server);
      },
    };
    this.simulation.add(killer);
  }

  #isOver(): boolean {
    return this.pairs.every(
      ({ client, server }) =>
        client.closed && (server.closed || this.crashed || server.connection === undefined),
    );
  }

  #checkBounds(): void {
    const { inTransit } = this.simulation.network;
    if (inTransit > MAX_IN_TRANSIT) throw new Error(`${inTransit} frames are under way`);
    for (const { client, server } of this.pairs) {
      for (const { connection, plan } of [client, server]) {
        const length = connection?.sendBuffer.length ?? 0;
        if (length > SEND_LIMIT + plan.piece) throw new Error(`${length} bytes wait to be sent`);
      }
    }
  }

  /** What is wrong with a pair whose run is over. */
  #faults({ client, server, haunted }: Pair, index: number): string[] {
    const faults = [...client.faults, ...server.faults];
    // A wire that is out when a neighbour is asked for its MAC, or for a whole handshake, ends the attempt.
    const unreachable =
      client.error !== undefined && server.connection === undefined && this.setting.outage > 0;
    const disturbed = client.left || server.left || this.crashed || unreachable;
    const check = (hearer: Party, sayer: Party, who: string): void => {
      if (hearer.heard > sayer.said) faults.push(`${who} heard more than was said`);
      const cut = hearer.heard !== sayer.said && !(haunted && disturbed);
      if (hearer.ended && hearer.closed && !hearer.left && cut) {
        faults.push(`${who} was told of the end after ${hearer.heard} of ${sayer.said} bytes`);
      }
      if (disturbed) return;
      if (!hearer.closed) faults.push(`${who} did not close (${describe(hearer.connection)})`);
      if (hearer.error !== undefined) faults.push(`${who} failed: ${hearer.error.message}`);
      if (hearer.heard !== sayer.plan.length) {
        faults.push(`${who} heard ${hearer.heard} of ${sayer.plan.length} bytes`);
      }
    };
    check(client, server, 'the client');
    check(server, client, 'the server');
    if (!client.closed) faults.push(`the client hangs (${describe(client.connection)})`);
    return faults.map((fault) => `connection ${index}: ${fault}`);
  }

  #settle(): void {
    const { client, server, crashed, simulation } = this;
    new Invariants(crashed ? [client] : [client, server]).checkNothingLeft();
    if (simulation.network.inTransit > 0) throw new Error('frames are under way for ever');
  }

  #account(): Account {
    const parties = this.pairs.flatMap(({ client, server }) => [client, server]);
    const channels = [this.client.link, this.server.link].flatMap((link) =>
      link instanceof SimulatedPort ? [link.up.counters] : [],
    );
    const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0);
    return {
      connections: this.pairs.length,
      events: this.simulation.events,
      bytes: sum(parties.map(({ heard }) => heard)),
      broken: this.pairs.filter(({ client }) => client.error !== undefined || client.left).length,
      lost: sum(channels.map(({ lost }) => lost)),
      corrupted: sum(channels.map(({ corrupted }) => corrupted)),
      refused: sum(
        [this.client, this.server].map(
          ({ tcp, ip }) => tcp.counters.badChecksum + ip.counters.badChecksum,
        ),
      ),
    };
  }
}

const describe = (connection: Connection | undefined): string =>
  connection === undefined
    ? 'no connection'
    : `${connection.state} ${JSON.stringify({ snd: connection.snd, rcv: connection.rcv })}`;

/**
 * Runs the conversation of `seed`.
 * @throws Error that says what went wrong
 */
export const converse = (seed: number, setting: Setting): Account =>
  new Conversation(seed, setting).run();
