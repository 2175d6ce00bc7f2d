// Where proxies fail: two of ours behind one next hop, three of ours over which the router sprays packets, and two
// HAProxies that share an address by VRRP; between the same client and the same server.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TopologyInput } from '../../src/lab/topology.ts';
import type { Stage } from '../harness/stage.ts';
import { streamServer } from '../load/streams.ts';
import {
  clientHost,
  GATEWAY,
  LAN,
  type Route,
  routerHost,
  SERVER,
  SWITCHES,
  serverHost,
} from './hosts.ts';

export const PORT = 7_000;
export const FIRST_HAPROXY = 'h1';
const SECOND_HAPROXY = 'h2';
export const VRRP_ADDRESS = '10.1.0.100';

/** A cluster of ours: its members, the number of the first, and where clients reach it. */
export interface Cluster {
  readonly members: readonly string[];
  readonly first: number;
  readonly address: string;
  /** Where the members' source addresses lie, when the router sprays them. */
  readonly sources?: string;
}
const CLUSTERS = {
  'suture-1': { members: ['a', 'b'], first: 11, address: '10.0.0.100' },
  'suture-sprayed': {
    ...{ members: ['c', 'd', 'e'], first: 13, address: '10.0.0.101' },
    sources: '10.1.0.24/30',
  },
} as const satisfies Record<string, Cluster>;

/** How long a failure's cure may take, and between two looks, in milliseconds. */
const CURE_MS = 20_000;
/** A life that has just begun is given more time before it is suspected: what fails here shall be one that has not. */
const SETTLED_MS = 3_000;
const POLL_MS = 50;

const BENCH = join(import.meta.dirname, '..');

/** @param folder where the configurations of our clusters are: `NAME.yaml` */
export function failoverTopology(contestants: readonly string[], folder: string): TopologyInput {
  const clusters = Object.entries<Cluster>(CLUSTERS).filter(([name]) => contestants.includes(name));
  const withHaproxy = contestants.includes('haproxy-keepalived');
  return {
    name: 'failover',
    switches: SWITCHES,
    hosts: {
      client: clientHost,
      router: routerHost(clusters.flatMap(([, cluster]) => routesOf(cluster))),
      web: {
        ...serverHost,
        run: [
          {
            name: 'stream',
            command: streamServer(PORT),
            ready: { tcp: PORT },
          },
        ],
      },
      ...(withHaproxy
        ? {
            [FIRST_HAPROXY]: haproxyHost('10.1.0.31', 'first'),
            [SECOND_HAPROXY]: haproxyHost('10.1.0.32', 'second'),
          }
        : {}),
    },
    proxies: Object.fromEntries(
      clusters.flatMap(([name, { members }]) =>
        members.map((member) => [
          member,
          { config: join(folder, `${name}.yaml`), switch: 'lan', readyTimeoutMs: 60_000 },
        ]),
      ),
    ),
  };
}

function routesOf({ members, first, address, sources }: Cluster): Route[] {
  const hops = members.map((_, index) => `10.1.0.${first + index}`);
  if (sources === undefined) return [{ to: address, via: hops[0] }];
  return [address, sources].map((to) => ({ to, via: hops, spread: 'packet' }));
}

function haproxyHost(address: string, which: 'first' | 'second'): TopologyInput['hosts'][string] {
  const pids = ['--pid', `/run/keepalived-${which}.pid`, '--vrrp_pid', `/run/vrrp-${which}.pid`];
  return {
    interfaces: { eth0: { switch: 'lan', addresses: [`${address}/24`] } },
    routes: [{ to: 'default', via: GATEWAY }],
    run: [
      {
        name: 'haproxy',
        command: ['haproxy', '-L', which, '-db', '-f', join(BENCH, 'contestants/haproxy-vrrp.cfg')],
        ready: { tcp: PORT },
      },
      {
        name: 'keepalived',
        command: [
          ...['keepalived', '--dont-fork', '--log-console', '--vrrp', '--config-id', which],
          ...['--use-file', join(BENCH, 'contestants/keepalived.conf'), ...pids],
        ],
      },
    ],
  };
}

/** The configuration files of our clusters: name and text. */
export const failoverFiles = (): [name: string, text: string][] =>
  Object.entries(CLUSTERS).map(([name, cluster]) => [`${name}.yaml`, configuration(name, cluster)]);

/** JSON is YAML. */
function configuration(name: string, { members, first, address }: Cluster): string {
  const member = (index: number): object => ({
    mesh: `10.1.0.${first + 30 + index}`,
    nextHop: `10.1.0.${first + index}`,
    // 10.1.0.24/30 for the three that are sprayed.
    sources: [`10.1.0.${first + (first === 13 ? 11 : 10) + index}`],
    link: { tap: `suture-${members[index]}` },
    admin: '127.0.0.1:9100',
  });
  return JSON.stringify({
    cluster: { name, secret: 'a secret for the bench alone' },
    network: { subnet: LAN, gateway: GATEWAY },
    members: Object.fromEntries(members.map((each, index) => [each, member(index)])),
    pools: { stream: { backends: [`${SERVER}:${PORT}`] } },
    services: [{ name: 'stream', address, port: PORT, protocol: 'tcp', pool: 'stream' }],
    log: { level: 'info' },
  });
}

/** The cluster of that name; undefined for a contestant that is none of ours. */
export const clusterOf = (contestant: string): Cluster | undefined =>
  contestant in CLUSTERS ? CLUSTERS[contestant as keyof typeof CLUSTERS] : undefined;

/** Waits until all is as it was before a failure. @throws Error when that takes too long */
export async function untilWhole(stage: Stage, contestant: string): Promise<void> {
  const cluster = clusterOf(contestant);
  const deadline = performance.now() + CURE_MS;
  const hosts: readonly string[] = cluster?.members ?? [FIRST_HAPROXY];
  const look =
    cluster === undefined
      ? ['ip', '-o', 'address', 'show', 'dev', 'eth0']
      : ['curl', '-s', '--max-time', '1', 'http://127.0.0.1:9100/health'];
  for (const host of hosts) {
    for (;;) {
      const { stdout } = await stage.lab.exec(host, look);
      const back =
        cluster === undefined
          ? stdout.includes(`${VRRP_ADDRESS}/`)
          : stdout.includes('"status":"ok"') && stdout.includes('"adoptedAddresses":0');
      if (back) break;
      if (performance.now() > deadline) throw new Error(`${host} is not back: ${stdout.trim()}`);
      await delay(POLL_MS);
    }
  }
  if (cluster !== undefined) await delay(SETTLED_MS);
}
