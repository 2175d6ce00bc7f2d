// What a stack, and a connection that it opens, can be told.
import type { Clock, Micros } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import type { Timers } from '../env/timers.ts';
import type { Address, Endpoint } from '../ip/address.ts';
import type { Ip } from '../ip/ip.ts';
import type { ConnectionHandler, Offer } from './handler.ts';
import type { EcnMode, TcpSettings } from './options.ts';

export interface TcpOptions {
  ip: Ip;
  clock: Clock;
  timers: Timers;
  random: Random;
  /** Bytes that may wait for the reader of a connection at most (the last of Linux's tcp_rmem); 6 MiB. */
  receiveLimit?: number;
  /** The same of a young connection, before tuning has raised it (half of the second of tcp_rmem); 64 KiB. */
  receiveInitial?: number;
  /** Bytes that may wait to be acknowledged before a stream's writer has to wait; 1 MiB. */
  sendLimit?: number;
  /** Bytes that all connections together may hold (Linux: tcp_mem); 512 MiB. */
  memoryLimit?: number;
  /** Connections at most, of any state. */
  maximumConnections?: number;
  /** How long TIME-WAIT lasts; 60 s as in Linux. */
  timeWait?: Micros;
  /** Connections in TIME-WAIT at most; the oldest gives way. */
  maximumTimeWait?: number;
  /** Connections that nobody uses any more and that are not yet closed; one more is reset. 16,384. */
  maximumOrphans?: number;
  /** How long FIN-WAIT-2 lasts when nobody reads any more; 60 s (Linux: tcp_fin_timeout). */
  finWait2Timeout?: Micros;
  /** `passive` as in Linux when absent. */
  ecn?: EcnMode;
  /** Drops segments without timestamps where they were agreed on (RFC 7323, 3.2); Linux does not. */
  requireTimestamps?: boolean;
  /**
   * Whether the window shrinks while it is not used (RFC 5681, 4.1; RFC 2861; Linux: tcp_slow_start_after_idle). True when
   * absent.
   */
  slowStartAfterIdle?: boolean;
  /** By name: `cubic`, the default, or `newreno`. */
  congestionControl?: string;
}

export interface ConnectOptions {
  remote: Endpoint;
  /** The address to connect from. */
  local: Address;
  /** The port to connect from; chosen when absent. */
  localPort?: number | undefined;
  /** False for ports that something outside this stack holds. */
  isFree?: ((port: number) => boolean) | undefined;
  /** Our initial sequence number; a keyed hash of the flow when absent (RFC 6528). */
  iss?: number | undefined;
  offer?: Offer | undefined;
  /** Options that the connection begins with. */
  settings?: TcpSettings | undefined;
  handler: ConnectionHandler;
}
