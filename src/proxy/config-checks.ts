/**
 * What a schema cannot see: that the parts of a configuration file fit each other. Every check
 * reports the field to change; nothing is thrown.
 */
import { canonical, listOf, splitEndpoint } from '../config/fields.ts';
import { nearest } from '../config/nearest.ts';
import { Subnet } from '../config/subnet.ts';
import type { FieldPath } from '../config/yaml-file.ts';
import type { HttpServiceFile, ProxyFile } from './config.ts';
import { derivedMac } from './derived-mac.ts';
import { normalPath } from './route.ts';

const LINK_LOCAL = new Subnet('fe80::/10');

/** Secrets that are good at a time: each costs a try for what is not authentic. */
export const MAX_SECRETS = 4;

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
  const secrets = cluster.secret === undefined ? [] : listOf(cluster.secret);
  if (secrets.length > MAX_SECRETS) {
    report(['cluster', 'secret'], `has too many entries: at most ${MAX_SECRETS}`);
  }
  for (const [index, secret] of secrets.entries()) {
    if (secrets.indexOf(secret) < index) {
      report(['cluster', 'secret', index], 'is the same as one before it');
    }
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
  const cidrs = listOf(network.subnet);
  const subnets = cidrs.map((cidr) => new Subnet(cidr));
  const owners = new Map<string, string>();

  const claim = (address: string, path: FieldPath, owner: string): void => {
    const key = canonical(address);
    const other = owners.get(key);
    if (other !== undefined) report(path, `${address} is already ${other}`);
    else owners.set(key, owner);
  };
  const onLink = (address: string, path: FieldPath): void => {
    const index = subnets.findIndex((subnet) => subnet.contains(address));
    if (index < 0) {
      const what = cidrs.length === 1 ? "network's subnet" : "network's subnets";
      report(path, `${address} is outside the ${what} ${cidrs.join(', ')}`);
    } else if (!subnets[index].isHost(address)) {
      report(path, `${address} is the network or broadcast address of ${cidrs[index]}`);
    }
  };

  const gateways = new Map<Family, string>();
  for (const { value, path } of entries(network.gateway, ['network', 'gateway'])) {
    // A router may be known by its link-local address alone (RFC 4861, section 2.3).
    if (!LINK_LOCAL.contains(value)) onLink(value, path);
    claim(value, path, 'the gateway');
    const other = gateways.get(familyOf(value));
    if (other !== undefined) {
      report(path, `${other} is the gateway of ${familyOf(value)} already`);
    }
    gateways.set(familyOf(value), value);
  }
  for (const [name, member] of Object.entries(file.members)) {
    onLink(member.mesh, ['members', name, 'mesh']);
    claim(member.mesh, ['members', name, 'mesh'], `the mesh address of member ${name}`);
    for (const { value, path } of entries(member.nextHop, ['members', name, 'nextHop'])) {
      onLink(value, path);
      claim(value, path, `the next hop of member ${name}`);
    }
    for (const [index, source] of member.sources.entries()) {
      onLink(source, ['members', name, 'sources', index]);
      claim(source, ['members', name, 'sources', index], `a source of member ${name}`);
    }
  }
  for (const [name, pool] of Object.entries(file.pools)) {
    for (const [index, backend] of pool.backends.entries()) {
      const { address } = splitEndpoint(backend);
      const path = ['pools', name, 'backends', index];
      const owner = owners.get(canonical(address));
      if (owner !== undefined) report(path, `${address} is ${owner}, not a backend`);
      else if (subnets.some((subnet) => subnet.contains(address))) onLink(address, path);
      else if (!gateways.has(familyOf(address))) {
        const needed = network.gateway === undefined ? '' : ` of ${familyOf(address)}`;
        report(
          path,
          `${address} is outside ${cidrs.join(', ')} and there is no network.gateway${needed}`,
        );
      }
    }
  }
  checkServiceAddresses(file, owners, report);
  checkFamilies(file, report);
}

function checkServiceAddresses(
  { pools, services }: ProxyFile,
  owners: ReadonlyMap<string, string>,
  report: Report,
): void {
  const backends = new Set(
    Object.values(pools).flatMap((pool) =>
      pool.backends.map((backend) => canonical(splitEndpoint(backend).address)),
    ),
  );
  const taken = new Map<string, string>();
  for (const [index, { name, address, port }] of services.entries()) {
    for (const { value, path } of entries(address, ['services', index, 'address'])) {
      const key = canonical(value);
      const owner = owners.get(key) ?? (backends.has(key) ? 'a backend' : undefined);
      if (owner !== undefined) report(path, `${value} is already ${owner}`);
      const at = `${key.includes(':') ? `[${key}]` : key}:${port}`;
      const other = taken.get(at);
      if (other !== undefined) {
        report(['services', index, 'port'], `service ${other} already has ${at}`);
      }
      taken.set(at, name);
    }
  }
}

/** A member that has no address of a family can neither be reached by it nor reach anybody. */
function checkFamilies({ members, pools, services }: ProxyFile, report: Report): void {
  const clients = familiesOf(services.flatMap(({ address }) => listOf(address)));
  const backends = familiesOf(
    Object.values(pools).flatMap((pool) => pool.backends.map((b) => splitEndpoint(b).address)),
  );
  for (const [name, { nextHop, sources }] of Object.entries(members)) {
    const hops = familiesOf(listOf(nextHop));
    for (const family of clients) {
      if (!hops.has(family)) {
        report(
          ['members', name, 'nextHop'],
          `has no ${family} address, and a service is ${family}`,
        );
      }
    }
    const starts = familiesOf(sources);
    for (const family of backends) {
      if (sources.length > 0 && !starts.has(family)) {
        report(
          ['members', name, 'sources'],
          `has no ${family} address, and a backend is ${family}`,
        );
      }
    }
  }
}

type Family = 'IPv4' | 'IPv6';
const familyOf = (address: string): Family => (address.includes(':') ? 'IPv6' : 'IPv4');
const familiesOf = (addresses: readonly string[]): ReadonlySet<Family> =>
  new Set(addresses.map(familyOf));

/** The values of a field that holds one or a list, and where each stands. */
function entries(
  field: string | readonly string[] | undefined,
  path: FieldPath,
): readonly { readonly value: string; readonly path: FieldPath }[] {
  if (field === undefined) return [];
  if (typeof field === 'string') return [{ value: field, path }];
  return field.map((value, index) => ({ value, path: [...path, index] }));
}

function checkMembers({ members, adminToken }: ProxyFile, report: Report): void {
  if (Object.keys(members).length === 0) report(['members'], 'at least one member is needed');
  const loopbacks = [new Subnet('127.0.0.0/8'), new Subnet('::1/128')];
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
    if (!loopbacks.some((loopback) => loopback.contains(address))) {
      report(
        ['members', name, 'admin'],
        `${address} is not a loopback address (127.0.0.0/8, ::1): set adminToken to serve beyond it`,
      );
    }
  }
}

function checkPools({ pools }: ProxyFile, report: Report): void {
  if (Object.keys(pools).length === 0) report(['pools'], 'at least one pool is needed');
  for (const [name, { backends }] of Object.entries(pools)) {
    for (const [index, backend] of backends.entries()) {
      if (backends.findIndex((other) => isSame(other, backend)) < index) {
        report(['pools', name, 'backends', index], `${backend} is listed twice`);
      }
    }
  }
}

function isSame(a: string, b: string): boolean {
  const [first, second] = [splitEndpoint(a), splitEndpoint(b)];
  return first.port === second.port && canonical(first.address) === canonical(second.address);
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
function checkRoutes({ routes }: HttpServiceFile, path: FieldPath, report: Report): void {
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
