// The library's face: what a program may build on.

// Proxies and testbeds.
export { ConfigError } from './config/config-error.ts';
// The machine and the world around a host.
export { type Clock, MILLISECOND, type Micros, NEVER, SECOND, systemClock } from './env/clock.ts';
export { type Logger, type LogLine, silentLogger } from './env/logger.ts';
export { type Random, seededRandom, systemRandom } from './env/random.ts';
export { Timer, Timers } from './env/timers.ts';
// A host.
export { keepConnectionsYoung } from './host/engine.ts';
export { type FastPath, Host, type HostOptions, type Ipv6Options } from './host/host.ts';
// The Internet protocols.
export {
  type Address,
  type Endpoint,
  formatAddress,
  formatEndpoint,
  type Prefix,
  parseAddress,
  parsePrefix,
} from './ip/address.ts';
export type { Ip } from './ip/ip.ts';
export type { Route } from './ip/routes.ts';
export { type Udp, UdpSocket } from './ip/udp.ts';
export { Lab, type LabOptions } from './lab/lab.ts';
// Links.
export { Frame } from './link/frame.ts';
export { ImpairedLink } from './link/impairment.ts';
export type { Link, LinkCounters } from './link/link.ts';
export { MemoryLink, type MemoryLinkOptions } from './link/memory.ts';
export { CaptureLink } from './link/pcapng.ts';
export { TapLink, type TapOptions } from './link/tap.ts';
export { loadProxyConfig, type ProxyConfig, parseProxyConfig } from './proxy/config.ts';
export type { StoreFactory } from './proxy/keeping.ts';
export { ProxyMember, type ProxyMemberOptions } from './proxy/proxy.ts';
// Replication.
export type { Member } from './replication/member.ts';
export { Replicator } from './replication/replicator.ts';
export type { ReplicatorEvents, ReplicatorOptions } from './replication/replicator-options.ts';
export { MemoryServer, MemoryStore } from './replication/store/memory.ts';
export type { Entry, PutOutcome, ScanPage, Store } from './replication/store/store.ts';
export { ownerOf, type View } from './replication/takeover.ts';
// Simulation.
export * from './sim/index.ts';
// Splicing.
export type { SpliceRecord } from './splice/record.ts';
export { Splicer, type SplicerCounters, type SplicerOptions } from './splice/splicer.ts';
export { SpliceTable, type SpliceTableOptions } from './splice/table.ts';
export { Connection, type ConnectionHandler, type Offer } from './tcp/connection.ts';
export { TcpError, type TcpErrorCode } from './tcp/errors.ts';
export type { TcpInfo } from './tcp/info.ts';
export type { Listener, ListenOptions } from './tcp/listener.ts';
export type { EcnMode, TcpSettings } from './tcp/options.ts';
export { TcpServer } from './tcp/server.ts';
export { connectSocket, TcpSocket } from './tcp/socket.ts';
export type { ConnectOptions, TcpOptions, TcpStack } from './tcp/stack.ts';
export { formatMac, type Mac, parseMac } from './wire/ethernet.ts';
