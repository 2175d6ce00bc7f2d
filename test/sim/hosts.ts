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

/** A host with the address 10.0.0.`number` on the simulation's switch. */
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
  host.ip.addAddress(address(`10.0.0.${number}`));
  const prefix = parsePrefix('10.0.0.0/24');
  if (prefix !== undefined) host.ip.addRoute({ prefix });
  return simulation.add(host, port);
}
