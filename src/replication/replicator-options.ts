// What a replicator is given, and whom it tells: its edge to the proxy.
import type { Clock, Micros } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import type { Random } from '../env/random.ts';
import type { Timers } from '../env/timers.ts';
import type { Handshakes } from './handshakes.ts';
import type { Head } from './heads.ts';
import type { Incarnation } from './incarnation.ts';
import type { Member } from './member.ts';
import type { Patiences } from './patience.ts';
import type { DatagramPort } from './port.ts';
import type { RecordSource } from './snapshot.ts';
import type { View } from './takeover.ts';

export interface ReplicatorOptions {
  readonly port: DatagramPort;
  /** The UDP port of all members. */
  readonly udpPort: number;
  /** The cluster's name, and its secrets (none empty): the first seals, all open. */
  readonly cluster: string;
  readonly secrets: readonly (Uint8Array | string)[];
  /** All members in the order of the configuration, and the id of this one. */
  readonly members: readonly Member[];
  readonly self: number;
  /** Time between two heartbeats; 10 ms if not given. */
  readonly heartbeat?: Micros;
  /** A peer silent for so long is suspected, on a calm machine; 30 ms if not given. */
  readonly suspectAfter?: Micros;
  /** What earlier lives of this process learnt of the others' silences, made for the same `suspectAfter`. */
  readonly patiences?: Patiences;
  /** How long a flow not in the table is not called unknown after a change of view; 3 s if not given. */
  readonly grace?: Micros;
  /** The life that this one must be later than: what `fenced` said. */
  readonly above?: Incarnation;
  readonly table: RecordSource;
  /** Asked before this member starts without a table from another, until it says yes; it may when not given. */
  readonly isPrepared?: () => boolean;
  /** See `MeshOptions`; false if not given. */
  readonly isBusy?: () => boolean;
  /** See `MembershipOptions`; 0 if not given. */
  readonly evidence?: () => number;
  /** See `MembershipOptions.frames`; those of the mesh when absent. */
  readonly frames?: () => number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** All are called within `onDatagram`, a timer, `flush`, or the call that causes them. */
export interface ReplicatorEvents {
  /**
   * Put `record` (64 or 112 bytes, valid during the call) into the table, in the place of one with the same
   * flow: every member has it.
   */
  insert(from: number, record: Uint8Array): void;
  /** Another member's `record` (valid during the call) will be the flow's, unless it is taken back. */
  proposed(from: number, record: Uint8Array): void;
  /** The record in the table that `record` cannot take the place of, if there is one; valid until the next call. */
  standsAgainst(record: Uint8Array): Uint8Array | undefined;
  /** True if `first` prevails over `second`, a record for the same flow that was proposed at the same time. */
  prevails(first: Uint8Array, second: Uint8Array): boolean;
  /** Take the record with `key` (16 or 40 bytes, valid during the call) out, if it is there with this epoch. */
  delete(from: number, key: Uint8Array): void;
  /** A peer has told what it saw of a flow (`tell`); valid during the call. */
  seen(message: Uint8Array): void;
  /** A peer goes on with the client of a flow, whose head it has logged: nobody else does. Valid during the call. */
  taken(flow: Uint8Array): void;
  /** The owner of `head` is gone. Go on with it: `logHead` makes this member its owner. May come again. */
  orphan(head: Head): void;
  /**
   * The member that began these handshakes is gone: answer again those whose clients nobody knows. Its records
   * and heads come first.
   */
  abandoned(handshakes: Handshakes): void;
  /** Called after addresses were claimed and released for it. */
  view(view: View): void;
  /**
   * A member that was declared dead speaks, or what another sees of the cluster has changed: what was said of
   * addresses that are held here is to be put right.
   */
  returned(): void;
  /** Hold the addresses of the member with this id, which may be our own. */
  claim(member: number): void;
  release(member: number): void;
  /** The others went on without this member: drop all addresses, forget all flows, start anew above `floor`. */
  fenced(floor: Incarnation): void;
}
