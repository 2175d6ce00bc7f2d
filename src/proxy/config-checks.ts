/**
 * What a schema cannot see: that the parts of a configuration file fit each other. Every check
 * reports the field to change; nothing is thrown.
 */
import { splitEndpoint } from '../config/fields.ts';
import { nearest } from '../config/nearest.ts';
import { Subnet } from '../config/subnet.ts';
import type { FieldPath } from '../config/yaml-file.ts';
import type { HttpServiceConfig, ProxyFile } from './config.ts';
import { derivedMac } from './derived-mac.ts';
import { normalPath } from './route.ts';

type Report = (path: FieldPath, message: string) => void;

/** Reports every contradiction in `file`, in the order of its sections. */
export function checkReferences(file: ProxyFile, report: Report): void {
  checkCluster(file, report);
  checkAddresses(file, report);
  checkMembers(file, report);
  checkPools(file, report);
  checkServices(file, report);
}

function checkCluster({ cluster }: ProxyFile, report: Report): void {
  if (cluster.secret === undefined && cluster.secretFile === undefined) {
    report(['cluster', 'secret'], 'is missing: give secret, or secretFile with a path');
  }
  if (cluster.secret !== undefined && cluster.secretFile !== undefined) {
    report(['cluster', 'secretFile'], 'secret is given too: keep one of the two');
  }
  const shortest = 2 * cluster.heartbeatMs;
  if (cluster.suspectAfterMs < shortest) {
    report(
      ['cluster', 'suspectAfterMs'],
      `${cluster.suspectAfterMs} is too short: it must be at least ${shortest} (two heartbeats)`,
    );
  }
}

/** Who has which address: each of the cluster's own addresses has one owner on the link. */
function checkAddresses(file: ProxyFile, report: Report): void {
  const { network } = file;
  const subnet = new Subnet(network.subnet);
  const owners = new Map<string, string>();

  const claim = (address: string, path: FieldPath, owner: string): void => {
    const other = owners.get(address);
    if (other !== undefined) report(path, `${address} is already ${other}`);
    else owners.set(address, owner);
  };
  const onLink = (address: string, path: FieldPath): void => {
    if (!subnet.contains(address)) {
      report(path, `${address} is outside the network's subnet ${network.subnet}`);
    } else if (!subnet.isHost(address)) {
      report(path, `${address} is the network or broadcast address of ${network.subnet}`);
    }
  };

  if (network.gateway !== undefined) {
    onLink(network.gateway, ['network', 'gateway']);
    claim(network.gateway, ['network', 'gateway'], 'the gateway');
  }
  for (const [name, member] of Object.entries(file.members)) {
    onLink(member.mesh, ['members', name, 'mesh']);
    claim(member.mesh, ['members', name, 'mesh'], `the mesh address of member ${name}`);
    onLink(member.nextHop, ['members', name, 'nextHop']);
    claim(member.nextHop, ['members', name, 'nextHop'], `the next hop of member ${name}`);
    for (const [index, source] of member.sources.entries()) {
      onLink(source, ['members', name, 'sources', index]);
      claim(source, ['members', name, 'sources', index], `a source of member ${name}`);
    }
  }
  for (const [name, pool] of Object.entries(file.pools)) {
    for (const [index, backend] of pool.backends.entries()) {
      const { address } = splitEndpoint(backend);
      const path = ['pools', name, 'backends', index];
      const owner = owners.get(address);
      if (owner !== undefined) report(path, `${address} is ${owner}, not a backend`);
      else if (subnet.contains(address)) onLink(address, path);
      else if (network.gateway === undefined) {
        report(path, `${address} is outside ${network.subnet} and there is no network.gateway`);
      }
    }
  }
  checkServiceAddresses(file, owners, report);
}

function checkServiceAddresses(
  { pools, services }: ProxyFile,
  owners: ReadonlyMap<string, string>,
  report: Report,
): void {
  const backends = new Set(
    Object.values(pools).flatMap((pool) => pool.backends.map((b) => splitEndpoint(b).address)),
  );
  const taken = new Map<string, string>();
  for (const [index, { name, address, port }] of services.entries()) {
    const owner = owners.get(address) ?? (backends.has(address) ? 'a backend' : undefined);
    if (owner !== undefined) {
      report(['services', index, 'address'], `${address} is already ${owner}`);
    }
    const other = taken.get(`${address}:${port}`);
    if (other !== undefined) {
      report(['services', index, 'port'], `service ${other} already has ${address}:${port}`);
    }
    taken.set(`${address}:${port}`, name);
  }
}

function checkMembers({ members, adminToken }: ProxyFile, report: Report): void {
  if (Object.keys(members).length === 0) report(['members'], 'at least one member is needed');
  const loopback = new Subnet('127.0.0.0/8');
  const macs = new Map<string, string>();
  for (const [name, member] of Object.entries(members)) {
    const mac = member.mac?.toLowerCase() ?? derivedMac(member.mesh);
    const other = macs.get(mac);
    if (other !== undefined) {
      report(['members', name, 'mac'], `${mac} is already the MAC address of member ${other}`);
    }
    macs.set(mac, name);
    if (member.admin === undefined || adminToken !== undefined) continue;
    const { address } = splitEndpoint(member.admin);
    if (!loopback.contains(address)) {
      report(
        ['members', name, 'admin'],
        `${address} is not a loopback address (127.0.0.0/8): set adminToken to serve beyond it`,
      );
    }
  }
}

function checkPools({ pools }: ProxyFile, report: Report): void {
  if (Object.keys(pools).length === 0) report(['pools'], 'at least one pool is needed');
  for (const [name, { backends }] of Object.entries(pools)) {
    for (const [index, backend] of backends.entries()) {
      if (backends.indexOf(backend) < index) {
        report(['pools', name, 'backends', index], `${backend} is listed twice`);
      }
    }
  }
}

function checkServices({ pools, services }: ProxyFile, report: Report): void {
  const refer = (pool: string, path: FieldPath): void => {
    if (Object.hasOwn(pools, pool)) return;
    const known = Object.keys(pools);
    const meant = nearest(pool, known);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    report(path, `there is no pool "${pool}"${hint} (pools: ${known.join(', ')})`);
  };
  const names = new Set<string>();
  for (const [index, service] of services.entries()) {
    const path = ['services', index];
    if (names.has(service.name)) {
      report([...path, 'name'], `another service is called "${service.name}" too`);
    }
    names.add(service.name);
    if (service.protocol === 'tcp') {
      refer(service.pool, [...path, 'pool']);
      continue;
    }
    for (const [at, route] of service.routes.entries()) {
      refer(route.pool, [...path, 'routes', at, 'pool']);
    }
    checkRoutes(service, [...path, 'routes'], report);
  }
}

/** A route that repeats another, or stands after the one for everything else, is a mistake. */
function checkRoutes({ routes }: HttpServiceConfig, path: FieldPath, report: Report): void {
  const earlier = new Map<string, number>();
  let catchAll: number | undefined;
  for (const [index, route] of routes.entries()) {
    const key = `${route.host?.toLowerCase() ?? ''} ${normalPath(route.path)}`;
    const same = earlier.get(key);
    if (same !== undefined) {
      report([...path, index], `is never reached: routes[${same}] has the same host and path`);
    } else if (catchAll !== undefined) {
      report(
        [...path, index],
        `stands after routes[${catchAll}], which takes every request: put that one last`,
      );
    }
    earlier.set(key, index);
    if (route.host === undefined && normalPath(route.path) === '/') catchAll ??= index;
  }
}
