// Hosts on a simulated network, for tests.
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { type Address, parseAddress, parsePrefix } from '../../src/ip/address.ts';
import type { PortOptions } from '../../src/sim/network.ts';
import type { Simulation } from '../../src/sim/simulation.ts';
import type { TcpOptions } from '../../src/tcp/stack.ts';

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

export interface SimulatedHostOptions {
  seed?: number;
  port?: PortOptions;
  tcp?: Omit<TcpOptions, 'ip' | 'clock' | 'timers' | 'random'>;
}

/** The address of host `number`: 10.0.0.`number`, or fd00::`number`. */
export const hostAddress = (number: number, family: 4 | 6 = 4): Address =>
  address(family === 4 ? `10.0.0.${number}` : `fd00::${number}`);

/** A host with both addresses of its number on the simulation's switch. */
export function simulatedHost(
  simulation: Simulation,
  number: number,
  { seed = number, port: portOptions, tcp }: SimulatedHostOptions = {},
): Host {
  const port = simulation.port(portOptions);
  const host = new Host({
    link: port,
    mac: 0x0200_0000_0000 + number,
    clock: simulation.clock,
    random: seededRandom(seed),
    ...(tcp === undefined ? {} : { tcp }),
  });
  for (const family of [4, 6] as const) {
    host.ip.addAddress(hostAddress(number, family));
    const prefix = parsePrefix(family === 4 ? '10.0.0.0/24' : 'fd00::/64');
    if (prefix !== undefined) host.ip.addRoute({ prefix });
  }
  return simulation.add(host, port);
}
