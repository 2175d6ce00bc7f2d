/** What a topology's parts say of each other, which its schema cannot check. */
import { isIP } from 'node:net';
import { canonical } from '../config/fields.ts';
import { nearest } from '../config/nearest.ts';
import { Subnet } from '../config/subnet.ts';
import { hopsOf } from './spreading.ts';
import type { HostTopology, Topology } from './topology.ts';

/** Takes one problem: the field's path and the message that follows it. */
export type Problem = (path: readonly PropertyKey[], message: string) => void;

/** Reports every reference to something absent, every name or address that is used twice. */
export function checkTopology(topology: Topology, problem: Problem): void {
  checkNames(topology, problem);
  const owners = new Map<string, string>();
  for (const [name, host] of Object.entries(topology.hosts)) {
    checkInterfaces(topology, name, host, owners, problem);
    checkRoutes(name, host, problem);
    checkProcesses(name, host, problem);
  }
  for (const [name, proxy] of Object.entries(topology.proxies)) {
    checkSwitch(topology, proxy.switch, ['proxies', name, 'switch'], problem);
  }
  topology.checks.forEach((check, index) => {
    if (!Object.hasOwn(topology.hosts, check.host)) {
      const known = Object.keys(topology.hosts);
      problem(['checks', index, 'host'], unknown('host', check.host, known));
    }
    if (check.output !== undefined && !isPattern(check.output)) {
      problem(
        ['checks', index, 'output'],
        `${JSON.stringify(check.output)} is not a regular expression`,
      );
    }
  });
}

function checkNames(topology: Topology, problem: Problem): void {
  const taken = new Map<string, string>();
  for (const [kind, nodes] of [
    ['switches', topology.switches],
    ['hosts', topology.hosts],
    ['proxies', topology.proxies],
  ] as const) {
    for (const name of Object.keys(nodes)) {
      const other = taken.get(name);
      if (other === undefined) taken.set(name, kind);
      else
        problem([kind, name], `${JSON.stringify(name)} is already the name of one of the ${other}`);
    }
  }
}

function checkInterfaces(
  topology: Topology,
  name: string,
  host: HostTopology,
  owners: Map<string, string>,
  problem: Problem,
): void {
  for (const [device, { switch: on, addresses }] of Object.entries(host.interfaces)) {
    const path = ['hosts', name, 'interfaces', device] as const;
    checkSwitch(topology, on, [...path, 'switch'], problem);
    addresses.forEach((text, index) => {
      const address = text.split('/')[0];
      const key = canonical(address);
      const owner = owners.get(key);
      if (owner !== undefined) {
        problem([...path, 'addresses', index], `${address} is already an address of ${owner}`);
      } else if (isIP(address) === 6 && !topology.ipv6) {
        problem([...path, 'addresses', index], `${address} needs "ipv6: true" in the topology`);
      }
      owners.set(key, name);
    });
  }
}

function checkRoutes(name: string, host: HostTopology, problem: Problem): void {
  const networks = Object.values(host.interfaces).flatMap(({ addresses }) => addresses);
  host.routes.forEach((route, index) => {
    const path = ['hosts', name, 'routes', index, 'via'];
    const hops = hopsOf(route.via);
    for (const hop of hops) {
      const family = isIP(hop);
      const reachable = networks.some(
        (network) => isIP(network.split('/')[0]) === family && new Subnet(network).contains(hop),
      );
      if (family !== isIP(hops[0])) problem(path, `${hop} is not of the family of ${hops[0]}`);
      else if (!reachable) {
        const known = networks.join(', ') || 'none';
        problem(path, `${hop} is on no network of ${name}; it has: ${known}`);
      }
    }
  });
}

function checkProcesses(name: string, host: HostTopology, problem: Problem): void {
  const taken = new Set(host.files === undefined ? [] : ['files']);
  host.run.forEach((process, index) => {
    if (taken.has(process.name)) {
      const path = ['hosts', name, 'run', index, 'name'];
      problem(path, `${JSON.stringify(process.name)} is already a process of ${name}`);
    }
    taken.add(process.name);
  });
}

function checkSwitch(
  topology: Topology,
  name: string,
  path: readonly PropertyKey[],
  problem: Problem,
): void {
  if (Object.hasOwn(topology.switches, name)) return;
  problem(path, unknown('switch', name, Object.keys(topology.switches)));
}

function unknown(what: string, name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`;
  return `there is no ${what} ${JSON.stringify(name)}; there is: ${known.join(', ') || 'none'}${hint}`;
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
