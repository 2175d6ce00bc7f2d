// One to four proxies behind a router that spreads over them, by flow or packet by packet, what comes from the
// client, and what comes from the server, which is on a network of its own.
import type { TopologyInput } from '../../src/lab/topology.ts';

export const SERVICE = '10.0.0.100';
export const BULK_PORT = 5_201;
const MOST = 4;
/** The members' addresses towards the server, one network of four. */
const SOURCES = '10.1.0.24/30';

export const scaleMembers = (count: number): string[] =>
  Array.from({ length: Math.min(count, MOST) }, (_, index) => 'abcd'[index]);

/**
 * @param config the file with the configuration (`scaleConfiguration`)
 * @param files the folder that the server serves
 */
export function scaleTopology(
  count: number,
  spread: 'flow' | 'packet',
  config: string,
  files: string,
): TopologyInput {
  const members = scaleMembers(count);
  const hops = members.map((_, index) => `10.1.0.${11 + index}`);
  const over = (to: string): NonNullable<TopologyInput['hosts'][string]['routes']>[number] =>
    hops.length === 1 ? { to, via: hops[0] } : { to, via: hops, spread };
  const sysctls = {
    'net.ipv4.tcp_congestion_control': 'reno',
    'net.ipv4.ip_local_port_range': '1024 65535',
    'net.ipv4.tcp_tw_reuse': 1,
  };
  return {
    name: 'scale',
    switches: { edge: {}, lan: {}, farm: {} },
    hosts: {
      client: {
        interfaces: { eth0: { switch: 'edge', addresses: ['10.2.0.2/24'] } },
        routes: [{ to: 'default', via: '10.2.0.1' }],
        sysctls,
      },
      router: {
        forward: true,
        interfaces: {
          eth0: { switch: 'edge', addresses: ['10.2.0.1/24'] },
          eth1: { switch: 'lan', addresses: ['10.1.0.1/24'] },
          eth2: { switch: 'farm', addresses: ['10.3.0.1/24'] },
        },
        routes: [over(SERVICE), over(SOURCES)],
      },
      web: {
        interfaces: { eth0: { switch: 'farm', addresses: ['10.3.0.31/24'] } },
        routes: [{ to: 'default', via: '10.3.0.1' }],
        sysctls,
        files: { root: files },
        run: [{ name: 'iperf3', command: ['iperf3', '--server'], ready: { tcp: BULK_PORT } }],
      },
    },
    proxies: Object.fromEntries(
      members.map((name) => [name, { config, switch: 'lan', readyTimeoutMs: 60_000 }]),
    ),
  };
}

/** JSON is YAML. */
export function scaleConfiguration(count: number): string {
  const member = (index: number): object => ({
    mesh: `10.1.0.${41 + index}`,
    nextHop: `10.1.0.${11 + index}`,
    sources: [`10.1.0.${24 + index}`],
    link: { tap: `suture-${'abcd'[index]}` },
    admin: '127.0.0.1:9100',
  });
  return JSON.stringify({
    cluster: { name: `scale${count}`, secret: 'a secret for the bench alone' },
    network: { subnet: '10.1.0.0/24', gateway: '10.1.0.1' },
    members: Object.fromEntries(scaleMembers(count).map((name, index) => [name, member(index)])),
    pools: {
      web: { backends: ['10.3.0.31:80'] },
      bulk: { backends: [`10.3.0.31:${BULK_PORT}`] },
    },
    services: [
      { name: 'web', address: SERVICE, port: 80, protocol: 'tcp', pool: 'web' },
      { name: 'bulk', address: SERVICE, port: BULK_PORT, protocol: 'tcp', pool: 'bulk' },
    ],
    log: { level: 'warn' },
  });
}
