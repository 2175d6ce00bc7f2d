// The testbed of the contest: one LAN with a client, a server, and the contestants between them, each on a host
// of its own. It is made to measure: who is not asked for is not there.
import { join } from 'node:path';
import type { TopologyInput } from '../../src/lab/topology.ts';
import {
  CLIENT,
  type Contestant,
  LOOP,
  membersOf,
  PROGRAMS,
  RELAY_BULK,
  RELAY_WEB,
  SERVER,
  SERVER_IPV6,
  serviceOf,
} from '../contestants/contestants.ts';
import { SYSCTLS } from './hosts.ts';

const CONTESTANTS = join(import.meta.dirname, '../contestants');
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];
/** Ten members that start at once on a busy machine take their time. */
const READY_MS = 60_000;
/** Of the cluster with one member; the others follow, each with as many as it has members. */
const HOST_PARTS = { mesh: 140, nextHop: 160, source: 180 };

/**
 * @param contestants those that take part
 * @param files the folder that the server serves
 * @param folder where the configurations of our proxies are (`clusterFiles`)
 */
export function contestTopology(
  contestants: readonly Contestant[],
  files: string,
  folder: string,
): TopologyInput {
  const names = new Set(contestants.map(({ name }) => name));
  const clusters = clustersOf(contestants);
  const ipv6 = speaksIpv6(contestants);
  const host = (address: string): object => ({
    interfaces: { eth0: { switch: 'lan', addresses: [address] } },
    sysctls: SYSCTLS,
  });
  return {
    name: 'contest',
    ipv6,
    switches: { lan: {} },
    hosts: {
      client: {
        ...host(`${CLIENT}/24`),
        routes: clusters.map((members) => ({
          to: serviceOf(members),
          via: address('nextHop', members, 0),
        })),
      },
      web: {
        interfaces: {
          eth0: {
            switch: 'lan',
            addresses: [`${SERVER}/24`, ...(ipv6 ? [`${SERVER_IPV6}/64`] : [])],
          },
        },
        sysctls: SYSCTLS,
        files: { root: files },
        run: [{ name: 'iperf3', command: ['iperf3', '--server'], ready: { tcp: 5_201 } }],
      },
      ...Object.fromEntries(
        PROGRAMS.filter(([name]) => names.has(name)).map(([name, address]) => [
          name,
          {
            ...host(`${address}/24`),
            run: [
              {
                name,
                command: [...programOf(name)],
                ready: { tcp: 80 },
                readyTimeoutMs: READY_MS,
              },
            ],
          },
        ]),
      ),
      ...(names.has('tap-loop') ? { 'tap-loop': { run: [loop()] } } : {}),
    },
    proxies: Object.fromEntries(
      clusters.flatMap((members) =>
        membersOf(members).map((name) => [
          name,
          { config: join(folder, configName(members)), switch: 'lan', readyTimeoutMs: READY_MS },
        ]),
      ),
    ),
  };
}

/** The configuration files of our clusters: name and text. */
export function clusterFiles(contestants: readonly Contestant[]): [name: string, text: string][] {
  const ipv6 = speaksIpv6(contestants);
  return clustersOf(contestants).map((members) => [
    configName(members),
    configuration(members, ipv6),
  ]);
}

/** Only the relay needs it: its server is of another address family than its clients. */
const speaksIpv6 = (contestants: readonly Contestant[]): boolean =>
  contestants.some(({ name }) => name === 'suture-relay');

const configName = (members: number): string => `cluster${members}.yaml`;

function clustersOf(contestants: readonly Contestant[]): number[] {
  const sizes = contestants.flatMap(({ members }) => (members === undefined ? [] : [members]));
  return [...new Set(sizes)];
}

function programOf(name: (typeof PROGRAMS)[number][0]): readonly string[] {
  const file = join(CONTESTANTS, name);
  if (name === 'node-pipe') return [...NODE, `${file}.ts`, SERVER, '80', '5201'];
  if (name.startsWith('nginx-')) return ['nginx', '-e', 'stderr', '-c', `${file}.conf`];
  return ['haproxy', '-db', '-f', `${file}.cfg`];
}

function loop(): { name: string; command: string[] } {
  const place = ['--tap', 'suture-loop', '--namespace', '/run/netns/lan', '--bridge', 'br0'];
  const addresses = { client: CLIENT, ...LOOP, server: SERVER };
  const options = Object.entries(addresses).flatMap(([name, value]) => [`--${name}`, value]);
  return {
    name: 'loop',
    command: [...NODE, join(CONTESTANTS, 'tap-loop.ts'), ...place, ...options],
  };
}

/** An address of a cluster's member. */
function address(part: keyof typeof HOST_PARTS, members: number, index: number): string {
  return `10.1.0.${HOST_PARTS[part] + 4 * (members - 1) + index}`;
}

/** JSON is YAML. */
function configuration(members: number, ipv6: boolean): string {
  const names = membersOf(members);
  const pools = { web: `${SERVER}:80`, bulk: `${SERVER}:5201` };
  const pools6 = { 'web-ipv6': `[${SERVER_IPV6}]:80`, 'bulk-ipv6': `[${SERVER_IPV6}]:5201` };
  const services = [
    { name: 'http', port: 80, protocol: 'http', routes: [{ pool: 'web' }] },
    { name: 'tcp', port: 81, protocol: 'tcp', pool: 'web' },
    { name: 'bulk', port: 5_201, protocol: 'tcp', pool: 'bulk' },
  ];
  const services6 = [
    { name: 'relay', port: RELAY_WEB, protocol: 'tcp', pool: 'web-ipv6' },
    { name: 'relay-bulk', port: RELAY_BULK, protocol: 'tcp', pool: 'bulk-ipv6' },
  ];
  const member = (name: string, index: number): object => {
    const source = HOST_PARTS.source + 4 * (members - 1) + index;
    return {
      mesh: address('mesh', members, index),
      nextHop: address('nextHop', members, index),
      sources: [`10.1.0.${source}`, ...(ipv6 ? [`2001:db8:1::${source}`] : [])],
      link: { tap: `suture-${name}` },
      admin: '127.0.0.1:9100',
    };
  };
  const backends = Object.entries({ ...pools, ...(ipv6 ? pools6 : {}) });
  return JSON.stringify({
    cluster: { name: `contest${members}`, secret: 'a secret for the bench alone' },
    network: { subnet: ['10.1.0.0/24', ...(ipv6 ? ['2001:db8:1::/64'] : [])] },
    members: Object.fromEntries(names.map((name, index) => [name, member(name, index)])),
    pools: Object.fromEntries(backends.map(([name, backend]) => [name, { backends: [backend] }])),
    services: [...services, ...(ipv6 ? services6 : [])].map((service) => ({
      ...service,
      address: serviceOf(members),
    })),
    log: { level: 'warn' },
  });
}
