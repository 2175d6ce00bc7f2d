// What testbeds have in common: hosts that measure, and a client and a server with a router between them and the
// proxies' network.
import type { TopologyInput } from '../../src/lab/topology.ts';

type Host = TopologyInput['hosts'][string];
export type Route = NonNullable<Host['routes']>[number];

/**
 * The same for every host that measures, whatever the machine's defaults are. A client that opens thousands of
 * connections a second keeps each for a minute in TIME-WAIT. When all its 14,000 ports of the default range's even half
 * are taken, each connect() walks them all, which takes milliseconds and looks as if the proxy stalled. Hence more
 * ports, and those in TIME-WAIT are used again after a second (ip-sysctl, tcp_tw_reuse).
 */
export const SYSCTLS = {
  'net.ipv4.tcp_congestion_control': 'reno',
  'net.ipv4.ip_local_port_range': '1024 65535',
  'net.ipv4.tcp_tw_reuse': 1,
} as const satisfies Host['sysctls'];

/** The client's network, the proxies' and the server's. */
export const SWITCHES = { edge: {}, lan: {}, farm: {} } as const;

export const SERVER = '10.3.0.31';
/** The network of the proxies, and the router there. */
export const LAN = '10.1.0.0/24';
export const GATEWAY = '10.1.0.1';

export const clientHost = {
  interfaces: { eth0: { switch: 'edge', addresses: ['10.2.0.2/24'] } },
  routes: [{ to: 'default', via: '10.2.0.1' }],
} satisfies Host;

export const serverHost = {
  interfaces: { eth0: { switch: 'farm', addresses: [`${SERVER}/24`] } },
  routes: [{ to: 'default', via: '10.3.0.1' }],
} satisfies Host;

/** @param routes the ways to what the proxies answer for */
export const routerHost = (routes: readonly Route[]): Host => ({
  forward: true,
  interfaces: {
    eth0: { switch: 'edge', addresses: ['10.2.0.1/24'] },
    eth1: { switch: 'lan', addresses: [`${GATEWAY}/24`] },
    eth2: { switch: 'farm', addresses: ['10.3.0.1/24'] },
  },
  routes: [...routes],
});
