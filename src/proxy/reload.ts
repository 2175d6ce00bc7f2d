/**
 * A configuration that is read again by a member that runs: what may change while connections live, and what only
 * a restart can change.
 */
import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from '../config/config-error.ts';
import type { FieldPath } from '../config/yaml-file.ts';
import { loadProxySource, type MemberConfig, type ProxyConfig } from './config.ts';

const RESTART = 'cannot change without a restart';

/**
 * Loads the configuration at `path` for a member that runs with `current`.
 * @throws ConfigError with file, line and field: what is wrong in itself, or cannot change without a restart
 */
export function loadAgain(path: string, current: ProxyConfig, member: string): ProxyConfig {
  const { config, problem } = loadProxySource(path);
  const problems = fixedDifferences(current, config, member);
  if (problems.length > 0) {
    throw new ConfigError(problems.map(({ path: field, text }) => problem(field, text)));
  }
  return config;
}

/** What differs between two configurations of which the second may follow the first, by sections. */
export function differences(from: ProxyConfig, to: ProxyConfig): string[] {
  const changed: string[] = [];
  const compare = (name: string, a: unknown, b: unknown): void => {
    if (!isDeepStrictEqual(a, b)) changed.push(name);
  };
  compare('cluster.secret', from.cluster.secrets, to.cluster.secrets);
  compare('members', [...from.members.keys()], [...to.members.keys()]);
  for (const name of new Set([...Object.keys(from.pools), ...Object.keys(to.pools)])) {
    compare(`pools.${name}`, from.pools[name], to.pools[name]);
  }
  for (const [index, service] of to.services.entries()) {
    compare(`services.${service.name}`, from.services[index], service);
  }
  compare('drainTimeoutMs', from.drainTimeoutMs, to.drainTimeoutMs);
  compare('log.level', from.log.level, to.log.level);
  return changed;
}

interface Difference {
  readonly path: FieldPath;
  readonly text: string;
}

function fixedDifferences(from: ProxyConfig, to: ProxyConfig, self: string): Difference[] {
  const found: Difference[] = [];
  const fix = (path: FieldPath, a: unknown, b: unknown, text = RESTART): void => {
    if (!isDeepStrictEqual(a, b)) found.push({ path, text });
  };
  for (const key of ['name', 'port', 'heartbeatMs', 'suspectAfterMs'] as const) {
    fix(['cluster', key], from.cluster[key], to.cluster[key]);
  }
  fix(['network', 'subnet'], from.network.subnets, to.network.subnets);
  fix(['network', 'gateway'], from.network.gateways, to.network.gateways);
  fix(['network', 'mtu'], from.network.mtu, to.network.mtu);
  const names = [...from.members.keys()];
  fix(
    ['members'],
    names,
    [...to.members.keys()].slice(0, names.length),
    `${RESTART}, but for members added at the end: the first must be ${names.join(', ')}`,
  );
  for (const [name, member] of from.members) {
    const other = to.members.get(name);
    if (other !== undefined) fixMember(member, other, name === self, fix);
  }
  fix(
    ['services'],
    from.services.length,
    to.services.length,
    `${RESTART} in number: ${from.services.length} are served`,
  );
  for (const [index, a] of from.services.entries()) {
    const b = to.services.at(index);
    if (b === undefined) continue;
    fix(['services', index, 'name'], a.name, b.name);
    fix(['services', index, 'address'], a.addresses, b.addresses);
    fix(['services', index, 'port'], a.port, b.port);
    fix(['services', index, 'protocol'], a.protocol, b.protocol);
  }
  for (const key of ['idleTimeoutMs', 'lingerMs', 'maxRecords', 'resume'] as const) {
    fix(['splice', key], from.splice[key], to.splice[key]);
  }
  fix(['store'], from.store, to.store);
  fix(['user'], from.user, to.user);
  fix(['adminToken'], from.adminToken, to.adminToken);
  return found;
}

/** How others are linked and watched is their own affair. */
function fixMember(
  from: MemberConfig,
  to: MemberConfig,
  isSelf: boolean,
  fix: (path: FieldPath, a: unknown, b: unknown) => void,
): void {
  const path = ['members', from.name];
  fix([...path, 'mesh'], from.mesh, to.mesh);
  fix([...path, 'nextHop'], from.nextHops, to.nextHops);
  fix([...path, 'sources'], from.sources, to.sources);
  fix([...path, 'mac'], from.mac, to.mac);
  if (!isSelf) return;
  fix([...path, 'link'], from.link, to.link);
  fix([...path, 'admin'], from.admin, to.admin);
}
