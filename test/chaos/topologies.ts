// The labs of the chaos: two backends, and two or three members on which the router spreads the connections, or the
// single packets, so that each serves some of them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE } from '../../src/lab/plan.ts';
import type { TopologyInput } from '../../src/lab/topology.ts';
import { program } from '../e2e/cluster.ts';

export const TOPOLOGIES = ['duo', 'trio', 'spray'] as const;
export type Topology = (typeof TOPOLOGIES)[number];

/** Where members serve health and metrics, each in a namespace of its own. */
export const ADMIN_PORT = 9100;

const NAMES = ['a', 'b', 'c'];
const BACKENDS = [31, 32];
/** What the machine's load may make of a start, in milliseconds. */
const READY_MS = 60_000;

/** Packets of one connection pass several members; backends are behind the router then, too. */
const isSprayed = (kind: Topology): boolean => kind === 'spray';
const backendAddress = (kind: Topology, number: number): string =>
  `${isSprayed(kind) ? '10.3.0' : '10.1.0'}.${number}`;
const nextHop = (index: number): string => `10.1.0.${11 + index}`;

/** A topology whose proxies read a configuration that is written into `folder`. */
export function chaosTopology(
  kind: Topology,
  folder: string,
): { readonly topology: TopologyInput; readonly members: readonly string[] } {
  const members = kind === 'duo' ? NAMES.slice(0, 2) : NAMES;
  const config = join(folder, 'proxy.yaml');
  // JSON is YAML.
  writeFileSync(config, `${JSON.stringify(proxyFile(kind, members), null, 2)}\n`);
  const via = members.map((_, index) => nextHop(index));
  const spread = isSprayed(kind) ? 'packet' : 'flow';
  const topology: TopologyInput = {
    name: `chaos-${kind}`,
    switches: { edge: {}, lan: {}, ...(isSprayed(kind) ? { farm: {} } : {}) },
    hosts: {
      client: host('edge', '10.2.0', 2),
      // wrk leaves connections behind in the middle, and the kernel counts that.
      bench: host('edge', '10.2.0', 3),
      router: {
        forward: true,
        interfaces: {
          eth0: { switch: 'edge', addresses: ['10.2.0.1/24'] },
          eth1: { switch: 'lan', addresses: ['10.1.0.1/24'] },
          ...(isSprayed(kind) ? { eth2: { switch: 'farm', addresses: ['10.3.0.1/24'] } } : {}),
        },
        routes: [
          { to: '10.0.0.100', via, spread },
          ...(isSprayed(kind) ? [{ to: '10.1.0.20/30', via, spread } as const] : []),
        ],
      },
      web1: backend(kind, 31),
      web2: backend(kind, 32),
    },
    proxies: Object.fromEntries(
      members.map((name) => [name, { config, switch: 'lan', readyTimeoutMs: READY_MS }]),
    ),
  };
  return { topology, members };
}

type Host = TopologyInput['hosts'][string];

function host(on: string, network: string, number: number): Host {
  return {
    interfaces: { eth0: { switch: on, addresses: [`${network}.${number}/24`] } },
    routes: [{ to: 'default', via: `${network}.1` }],
  };
}

function backend(kind: Topology, number: number): Host {
  const common = { readyTimeoutMs: READY_MS };
  const streams = [...NODE, join(import.meta.dirname, 'programs/backend.ts')];
  const own = isSprayed(kind) ? host('farm', '10.3.0', number) : host('lan', '10.1.0', number);
  return {
    ...own,
    files: { port: 8080 },
    run: [
      { name: 'backend', command: program('backend'), ready: { tcp: 28 }, ...common },
      { name: 'streams', command: streams, ready: { tcp: 8081 }, ...common },
    ],
  };
}

function proxyFile(kind: Topology, members: readonly string[]): object {
  const backendsAt = (port: number): string[] =>
    BACKENDS.map((number) => `${backendAddress(kind, number)}:${port}`);
  return {
    cluster: { name: `chaos-${kind}`, secret: 'a secret for the tests alone' },
    network: { subnet: '10.1.0.0/24', gateway: '10.1.0.1' },
    members: Object.fromEntries(
      members.map((name, index) => [
        name,
        {
          mesh: `10.1.0.${41 + index}`,
          nextHop: nextHop(index),
          sources: [`10.1.0.${21 + index}`],
          link: { tap: `suture-${name}` },
          admin: `127.0.0.1:${ADMIN_PORT}`,
        },
      ]),
    ),
    pools: {
      node: { backends: backendsAt(80) },
      nginx: { backends: backendsAt(8080) },
      streams: { backends: backendsAt(8081) },
      greeter: { backends: backendsAt(25) },
      hasher: { backends: backendsAt(26) },
    },
    services: [
      {
        ...{ name: 'web', address: '10.0.0.100', port: 80, protocol: 'http' },
        // On a busy machine clients that speak in pieces take their time.
        headTimeoutMs: 60_000,
        routes: [
          { path: '/files', pool: 'nginx' },
          { path: '/events', pool: 'streams' },
          { path: '/echo', pool: 'streams' },
          { pool: 'node' },
        ],
      },
      { name: 'greeter', address: '10.0.0.100', port: 25, protocol: 'tcp', pool: 'greeter' },
      { name: 'hasher', address: '10.0.0.100', port: 26, protocol: 'tcp', pool: 'hasher' },
    ],
    // A member that was away missed the end of some connections: their ends are asked soon.
    splice: { lingerMs: 300, idleTimeoutMs: 5_000 },
    log: { level: 'info' },
  };
}
