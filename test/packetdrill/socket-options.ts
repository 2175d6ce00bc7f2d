// Socket options by name, and what of the stack they set. They are kept by name until there is a connection, and
// the sockets of a listener inherit them.
import { SECOND } from '../../src/env/clock.ts';
import type { Connection } from '../../src/tcp/connection.ts';
import type { Configuration } from './configuration.ts';
import type { TcpSocket } from './tcp-socket.ts';
import { settingsOf } from './tuning.ts';

/** What an option is before anybody sets it. */
type Initial = (configuration: Configuration, connection: Connection | undefined) => number;

const seconds = (micros: number): number => Math.round(micros / SECOND);

/** The options that we have, and their first values. */
const INITIAL: Readonly<Record<string, Initial>> = {
  SO_REUSEADDR: () => 0,
  SO_REUSEPORT: () => 0,
  SO_KEEPALIVE: () => 0,
  SO_OOBINLINE: () => 0,
  SO_RCVBUF: (configuration, connection) => connection?.rcv.limit ?? configuration.receiveBuffer,
  SO_SNDBUF: (configuration) => configuration.sendBuffer,
  SO_PRIORITY: () => 0,
  SO_MARK: () => 0,
  SO_BUSY_POLL: () => 0,
  SO_RCVLOWAT: () => 1,
  SO_TYPE: () => 1,
  SO_LINGER: () => -1,
  TCP_NODELAY: () => 0,
  TCP_CORK: () => 0,
  TCP_MAXSEG: (_, connection) => connection?.mss ?? 536,
  TCP_KEEPIDLE: ({ keepIdle }) => seconds(keepIdle),
  TCP_KEEPINTVL: ({ keepInterval }) => seconds(keepInterval),
  TCP_KEEPCNT: ({ keepCount }) => keepCount,
  TCP_KEEPINIT: ({ keepInit }) => seconds(keepInit),
  TCP_USER_TIMEOUT: () => 0,
  TCP_SYNCNT: () => 6,
  TCP_LINGER2: ({ finTimeout }) => seconds(finTimeout),
  TCP_QUICKACK: () => 1,
  TCP_WINDOW_CLAMP: () => 0,
  IP_TOS: () => 0,
  IP_TTL: () => 64,
  IPV6_TCLASS: () => 0,
  IPV6_UNICAST_HOPS: () => 64,
  IPV6_V6ONLY: () => 0,
  IP_MTU_DISCOVER: () => 1,
  IPV6_MTU_DISCOVER: () => 1,
};

/** Options that change nothing of what the peer sees. */
const LOCAL = new Set([
  'SO_REUSEADDR',
  'SO_REUSEPORT',
  'SO_PRIORITY',
  'SO_MARK',
  'SO_BUSY_POLL',
  'SO_OOBINLINE',
  'SO_TYPE',
  'IPV6_V6ONLY',
]);

export const isKnown = (name: string): boolean => Object.hasOwn(INITIAL, name);

export function getOption(
  socket: TcpSocket,
  name: string,
  configuration: Configuration,
): number | undefined {
  const kept = socket.options.get(name);
  if (kept !== undefined && name !== 'TCP_MAXSEG') return kept;
  return INITIAL[name]?.(configuration, socket.connection);
}

/** @returns false for an option that we do not have, or not on a connection */
export function setOption(socket: TcpSocket, name: string, value: number): boolean {
  if (!isKnown(name)) return false;
  socket.options.set(name, value);
  if (LOCAL.has(name)) return true;
  const settings = settingsOf(name, value);
  if (settings === undefined) return false;
  socket.connection?.configure(settings);
  return true;
}
