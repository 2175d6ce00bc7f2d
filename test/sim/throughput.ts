// What a path gives: goodput of one flow over loss and buffers, and how several flows share a bottleneck. On the
// virtual clock every number is the same on every machine.
import { type Micros, SECOND } from '../../src/env/clock.ts';
import type { Host } from '../../src/host/host.ts';
import type { Conditions } from '../../src/link/channel.ts';
import { SimulatedPort } from '../../src/sim/network.ts';
import { Simulation } from '../../src/sim/simulation.ts';
import type { ConnectionHandler } from '../../src/tcp/connection.ts';
import type { TcpOptions } from '../../src/tcp/stack.ts';
import { hostAddress, simulatedHost } from './hosts.ts';

const PORT = 80;
/** Bytes that a sender keeps ready. */
const AHEAD = 4_194_304;
const PIECE = new Uint8Array(65_536);

export type HostTcp = Omit<TcpOptions, 'ip' | 'clock' | 'timers' | 'random'>;

/** Writes for as long as it lasts. */
const tireless: ConnectionHandler = {
  onConnect: (connection) => {
    while (connection.sendBuffer.length < AHEAD) connection.write(PIECE);
  },
  onAcknowledged: (connection) => {
    while (connection.sendBuffer.length < AHEAD) connection.write(PIECE);
  },
};

export interface Path {
  readonly seed: number;
  /** Tcp of the hosts at both ends. */
  readonly tcp: HostTcp;
  /** Of the bottleneck, in bytes a second. */
  readonly rate: number;
  /** Round trip without any queue. */
  readonly roundTrip: Micros;
  /** Bytes that wait before the bottleneck at most. */
  readonly queue: number;
  readonly conditions?: Partial<Conditions>;
  readonly seconds: number;
}

/** Flows from one host, whose cable is the bottleneck, each to a host of its own. */
class Bottleneck {
  readonly simulation: Simulation;
  readonly server: Host;
  readonly received: number[] = [];
  readonly #path: Path;

  constructor(path: Path) {
    this.#path = path;
    this.simulation = new Simulation(path.seed);
    this.server = this.#host(1, {
      rate: path.rate,
      queue: path.queue,
      delay: path.roundTrip / 2,
      ...path.conditions,
    });
    this.server.tcp.listen({
      local: { address: hostAddress(1), port: PORT },
      accept: () => tireless,
    });
  }

  /** Begins a flow. */
  addFlow(): void {
    const index = this.received.push(0) - 1;
    const host = this.#host(index + 2, { delay: this.#path.roundTrip / 2 });
    host.tcp.connect({
      local: hostAddress(index + 2),
      remote: { address: hostAddress(1), port: PORT },
      handler: {
        onReadable: (connection) => {
          for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) {
            this.received[index] += bytes.length;
          }
        },
        onClose: (_, error) => {
          throw new Error(`flow ${index} ended: ${error?.message}`);
        },
      },
    });
  }

  pass(seconds: number): void {
    const end = this.simulation.runFor(seconds * SECOND, 20_000_000);
    if (end !== 'time') throw new Error(`the run ended by ${end}`);
  }

  #host(number: number, conditions: Partial<Conditions>): Host {
    const host = simulatedHost(this.simulation, number, {
      seed: this.#path.seed + number,
      tcp: this.#path.tcp,
      port: { capacity: 100_000 },
    });
    if (host.link instanceof SimulatedPort) Object.assign(host.link.up.conditions, conditions);
    if (number > 1 && this.server !== undefined) {
      host.ip.neighbours.learn(hostAddress(1), this.server.ip.mac, true, 0);
      this.server.ip.neighbours.learn(hostAddress(number), host.ip.mac, true, 0);
    }
    return host;
  }
}

/** Payload bytes a second that one flow brings over the path. */
export function goodput(path: Path): number {
  const bottleneck = new Bottleneck(path);
  bottleneck.addFlow();
  bottleneck.pass(path.seconds);
  return bottleneck.received[0] / path.seconds;
}

export interface Shares {
  /** Payload bytes a second of each flow in the second half of the time. */
  readonly rates: readonly number[];
  /** Jain's index: 1 when all have the same, 1 / n when one has all. */
  readonly fairness: number;
  /** Part of the bottleneck's rate that is payload. */
  readonly use: number;
}

/** How `flows` that begin one after the other, `apart` seconds each, share the path. */
export function shares(path: Path, flows: number, apart: number): Shares {
  const bottleneck = new Bottleneck(path);
  for (let flow = 0; flow < flows; flow++) {
    if (flow > 0) bottleneck.pass(apart);
    bottleneck.addFlow();
  }
  bottleneck.pass(path.seconds / 2);
  const before = [...bottleneck.received];
  bottleneck.pass(path.seconds / 2);
  const rates = bottleneck.received.map(
    (bytes, index) => (bytes - before[index]) / (path.seconds / 2),
  );
  const sum = rates.reduce((total, rate) => total + rate, 0);
  const squares = rates.reduce((total, rate) => total + rate * rate, 0);
  return { rates, fairness: sum ** 2 / (flows * squares), use: sum / path.rate };
}

/** Mbit/s as tables show it. */
export const megabits = (bytesPerSecond: number): string => ((bytesPerSecond * 8) / 1e6).toFixed(2);

/** Bytes a second of so many Mbit/s. */
export const rateOf = (megabit: number): number => (megabit * 1e6) / 8;

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `${[line(head), line(head.map(() => '---:')), ...rows.map(line)].join('\n')}\n`;
}
