// One to four proxies behind a router that spreads over them, by flow or packet by packet, what comes from the
// client, and what comes from the server, which is on a network of its own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FIRST_MARK } from '../../src/lab/spreading.ts';
import type { TopologyInput } from '../../src/lab/topology.ts';
import { Stage } from '../harness/stage.ts';
import {
  clientHost,
  GATEWAY,
  LAN,
  type Route,
  routerHost,
  SERVER,
  SWITCHES,
  SYSCTLS,
  serverHost,
} from './hosts.ts';

export const SERVICE = '10.0.0.100';
export const BULK_PORT = 5_201;
const MOST = 4;
/** The members' addresses towards the server, one network of four. */
const SOURCES = '10.1.0.24/30';

export const spreadMembers = (count: number): string[] =>
  Array.from({ length: Math.min(count, MOST) }, (_, index) => 'abcd'[index]);

const hopsOf = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `10.1.0.${11 + index}`);

/** A testbed with `count` proxies; the server has a file `/1k`. */
export async function openSpread(count: number, spread: 'flow' | 'packet'): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'suture-spread-'));
  const config = join(folder, 'proxy.yaml');
  writeFileSync(config, configuration(count));
  writeFileSync(join(folder, '1k'), Buffer.alloc(1_024, 'suture '));
  const onClose = (): void => rmSync(folder, { recursive: true, force: true });
  return Stage.open({ topology: topology(count, spread, config, folder), folder, onClose });
}

/**
 * Has the router of a testbed with as many proxies, spread by packet, choose otherwise from now on.
 * @param run packets in a row that go to the same proxy
 */
export async function spreadOtherwise(
  stage: Stage,
  count: number,
  how: 'one' | 'flow' | 'packet',
  run = 1,
): Promise<void> {
  const hops = hopsOf(how === 'one' ? 1 : count).map((hop) => `nexthop via ${hop}`);
  const marks = hopsOf(count).map(
    (_, turn) => `${turn * run}-${(turn + 1) * run - 1} : ${FIRST_MARK + turn}`,
  );
  const turns = `numgen inc mod ${run * count} map { ${marks.join(', ')} }`;
  const rule = `ip daddr { ${SERVICE}, ${SOURCES} } meta mark set ${turns}`;
  const script = [
    ...[SERVICE, SOURCES].map((to) => `ip route replace ${to} ${hops.join(' ')}`),
    "nft -f - <<'END'",
    'table inet spread',
    'delete table inet spread',
    'table inet spread {',
    '  chain prerouting {',
    '    type filter hook prerouting priority mangle; policy accept;',
    ...(how === 'packet' ? [`    ${rule}`] : []),
    '  }',
    '}',
    'END',
  ];
  await stage.exec('router', ['sh', '-ec', script.join('\n')]);
}

/**
 * @param config the file with the configuration
 * @param files the folder that the server serves
 */
function topology(
  count: number,
  spread: 'flow' | 'packet',
  config: string,
  files: string,
): TopologyInput {
  const members = spreadMembers(count);
  const hops = hopsOf(count);
  const over = (to: string): Route =>
    hops.length === 1 ? { to, via: hops[0] } : { to, via: hops, spread };
  return {
    name: 'spread',
    switches: SWITCHES,
    hosts: {
      client: { ...clientHost, sysctls: SYSCTLS },
      router: routerHost([over(SERVICE), over(SOURCES)]),
      web: {
        ...serverHost,
        sysctls: SYSCTLS,
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
function configuration(count: number): string {
  const member = (index: number): object => ({
    mesh: `10.1.0.${41 + index}`,
    nextHop: `10.1.0.${11 + index}`,
    sources: [`10.1.0.${24 + index}`],
    link: { tap: `suture-${'abcd'[index]}` },
    admin: '127.0.0.1:9100',
  });
  return JSON.stringify({
    cluster: { name: `spread${count}`, secret: 'a secret for the bench alone' },
    network: { subnet: LAN, gateway: GATEWAY },
    members: Object.fromEntries(spreadMembers(count).map((name, index) => [name, member(index)])),
    pools: {
      web: { backends: [`${SERVER}:80`] },
      bulk: { backends: [`${SERVER}:${BULK_PORT}`] },
    },
    services: [
      { name: 'web', address: SERVICE, port: 80, protocol: 'tcp', pool: 'web' },
      { name: 'bulk', address: SERVICE, port: BULK_PORT, protocol: 'tcp', pool: 'bulk' },
    ],
    log: { level: 'warn' },
  });
}
