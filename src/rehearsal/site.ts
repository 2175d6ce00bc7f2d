// The simulated site: who has which address on its one LAN, and the configuration that its proxies share.
import { type Address, type Prefix, parseAddress, parsePrefix } from '../ip/address.ts';
import { type ProxyConfig, parseProxyConfig } from '../proxy/config.ts';

export type Family = 4 | 6;

/** The proxies by name, in the order of their ids. */
export const MEMBERS = ['a', 'b', 'c', 'd'] as const;
export type MemberName = (typeof MEMBERS)[number];

/** Numbers of hosts on the LAN: the first of each kind. */
export const ROUTER = 1;
export const CLIENT = 2;
export const NEXT_HOP = 10;
export const SOURCE = 20;
export const BACKEND = 31;
export const MESH = 40;
export const BACKENDS = 2;

/** Where clients find the services, outside the LAN. */
const VIRTUAL: Readonly<Record<Family, string>> = { 4: '10.0.0.100', 6: '2001:db8:ffff::100' };
const SUBNET: Readonly<Record<Family, string>> = { 4: '10.1.0.0/24', 6: '2001:db8:1::/64' };

/** HTTP, and plain TCP whose server speaks first. */
export const WEB_PORT = 80;
export const MAIL_PORT = 25;
/** UDP port of the messages between members. */
export const MESH_PORT = 7_946;

const hostText = (number: number, family: Family): string =>
  family === 4 ? `10.1.0.${number}` : `2001:db8:1::${number}`;

function must<T>(parsed: T | undefined, text: string): T {
  if (parsed === undefined) throw new Error(`${text} is not what it should be`);
  return parsed;
}

const prefixOf = (text: string): Prefix => must(parsePrefix(text), text);

/** The address of a host on the LAN. */
export function hostAddress(number: number, family: Family): Address {
  const text = hostText(number, family);
  return must(parseAddress(text), text);
}

/** What tells the addresses of the LAN apart: their last byte. */
export const hostNumber = (address: Address): number =>
  typeof address === 'number' ? address & 0xff : (address as string).charCodeAt(15);

export const virtualAddress = (family: Family): Address =>
  must(parseAddress(VIRTUAL[family]), VIRTUAL[family]);
export const subnet = (family: Family): Prefix => prefixOf(SUBNET[family]);
/** The prefix of one address alone. */
export const virtualPrefix = (family: Family): Prefix =>
  prefixOf(`${VIRTUAL[family]}/${family === 4 ? 32 : 128}`);
export const hostPrefix = (number: number, family: Family): Prefix =>
  prefixOf(`${hostText(number, family)}/${family === 4 ? 32 : 128}`);

export interface SiteOptions {
  readonly members: number;
  readonly family: Family;
  readonly heartbeatMs: number;
  readonly suspectAfterMs: number;
}

const known = new Map<string, ProxyConfig>();

/** The configuration of a site's proxies. */
export function siteConfig(options: SiteOptions): ProxyConfig {
  const key = JSON.stringify(options);
  let config = known.get(key);
  if (config === undefined) {
    config = parseProxyConfig(textOf(options), 'simulated.yaml');
    known.set(key, config);
  }
  return config;
}

function textOf({ members, family, heartbeatMs, suspectAfterMs }: SiteOptions): string {
  const quote = (number: number): string => `"${hostText(number, family)}"`;
  const lines = MEMBERS.slice(0, members).map(
    (name, id) =>
      `  ${name}: { mesh: ${quote(MESH + id)}, nextHop: ${quote(NEXT_HOP + id)}, ` +
      `sources: [${quote(SOURCE + id)}], link: { tap: ${name} } }`,
  );
  const pool = (port: number): string => {
    const backends = Array.from({ length: BACKENDS }, (_, index) => {
      const text = hostText(BACKEND + index, family);
      return family === 4 ? `"${text}:${port}"` : `"[${text}]:${port}"`;
    });
    return `{ backends: [${backends.join(', ')}], connectTimeoutMs: 4000, penaltyMs: 100 }`;
  };
  // Nothing that is rightly refused or timed out is to happen: an answer of a proxy's own is a fault.
  return `
cluster: { name: simulated, secret: "a secret for the simulator", port: ${MESH_PORT}, heartbeatMs: ${heartbeatMs}, suspectAfterMs: ${suspectAfterMs} }
network: { subnet: "${SUBNET[family]}" }
members:
${lines.join('\n')}
pools:
  web: ${pool(WEB_PORT)}
  mail: ${pool(MAIL_PORT)}
services:
  - { name: web, address: "${VIRTUAL[family]}", port: ${WEB_PORT}, protocol: http, headTimeoutMs: 60000, maxHeadBytes: 65536, routes: [{ pool: web }] }
  - { name: mail, address: "${VIRTUAL[family]}", port: ${MAIL_PORT}, protocol: tcp, pool: mail }
splice: { lingerMs: 1500, idleTimeoutMs: 2000, maxRecords: 512 }
`;
}
