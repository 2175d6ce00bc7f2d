// What a connection is made from, and what it and its user say to each other.
import type { Endpoint } from '../ip/address.ts';
import type { Connection } from './connection.ts';
import type { TcpError } from './errors.ts';
import type { TcpStack } from './stack.ts';

/** What a connection tells its user. Every call may close or abort the connection. */
export interface ConnectionHandler {
  /** The handshake is complete. */
  onConnect?(connection: Connection): void;
  /** There is something to `read`. */
  onReadable?(connection: Connection): void;
  /** The peer's FIN came: nothing follows what is there to read. */
  onEnd?(connection: Connection): void;
  /** Written bytes were acknowledged. */
  onAcknowledged?(connection: Connection, bytes: number): void;
  /** It is over: without an error after an orderly close. Nothing follows. */
  onClose?(connection: Connection, error: TcpError | undefined): void;
}

/** What our SYN or SYN-ACK offers. */
export interface Offer {
  /** The largest payload that we take in a segment. */
  mss: number;
  /** Shift from 0 to 14, or -1 not to offer scaling. */
  windowScale: number;
  sack: boolean;
  timestamps: boolean;
}

export interface ConnectionOptions {
  stack: TcpStack;
  local: Endpoint;
  remote: Endpoint;
  iss: number;
  offer: Offer;
  handler: ConnectionHandler;
}

/** Reads what has come, for nobody. */
export function discardArrived(connection: Connection): void {
  while (connection.read() !== undefined);
}
