// What a script can set up of the system below it, as one record. The values are those of a Linux host on which
// nobody has changed anything.
import { type Micros, SECOND } from '../../src/env/clock.ts';

export interface Configuration {
  /** The largest IP packet of the link, in bytes. */
  mtu: number;
  timestamps: boolean;
  windowScaling: boolean;
  sack: boolean;
  /** 0: never; 1: offered and accepted; 2: accepted alone. */
  ecn: number;
  /** Receive buffer that a socket begins with, and the largest it grows to, in bytes. */
  receiveBuffer: number;
  maximumReceiveBuffer: number;
  sendBuffer: number;
  congestionControl: string;
  keepIdle: Micros;
  keepInterval: Micros;
  keepCount: number;
  /** How long a connection attempt may take; FreeBSD has it apart from the retries. */
  keepInit: Micros;
  finTimeout: Micros;
  /** Whether the window shrinks to its first size after an idle time (RFC 5681, 4.1). */
  slowStartAfterIdle: boolean;
  /** Whether the first acknowledgments of a connection are immediate, as Linux has them. */
  quickAcks: boolean;
  /** How much later than RFC 6298 says the script's system retransmits: FreeBSD adds it to its timers. */
  retransmissionSlop: Micros;
  /** Repeated SYNs that still ask for ECN: none of ours does, as on Linux. */
  ecnRetries: number;
  /** Whether a SYN with FIN opens a connection; ours never does, as on Linux. */
  takesSynFin: boolean;
  /** The system that the script was written for, as far as its commands tell. */
  system: 'linux' | 'freebsd' | undefined;
}

export const configuration = (): Configuration => ({
  mtu: 1_500,
  timestamps: true,
  windowScaling: true,
  sack: true,
  ecn: 2,
  receiveBuffer: 131_072,
  maximumReceiveBuffer: 6_291_456,
  sendBuffer: 4_194_304,
  congestionControl: 'cubic',
  keepIdle: 7_200 * SECOND,
  keepInterval: 75 * SECOND,
  keepCount: 9,
  keepInit: 75 * SECOND,
  finTimeout: 60 * SECOND,
  slowStartAfterIdle: true,
  quickAcks: true,
  retransmissionSlop: 0,
  ecnRetries: 0,
  takesSynFin: false,
  system: undefined,
});
