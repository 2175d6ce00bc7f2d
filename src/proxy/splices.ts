// The splices of one member and what ties them to the other members: a record is known to all of them
// before the first packet goes by it (invariant I2), and forgotten by all.
import type { Logger } from '../env/logger.ts';
import type { Host } from '../host/host.ts';
import { type Address, type Endpoint, fromIpv4 } from '../ip/address.ts';
import type { Replicator } from '../replication/replicator.ts';
import type { RecordSource } from '../replication/snapshot.ts';
import { Handover, isSourceTaken, recordOf } from '../splice/join.ts';
import {
  encodeRecord,
  IPV4_KEY_WORDS,
  IPV4_RECORD_LENGTH,
  RECOVERY_NONE,
  type SpliceRecord,
} from '../splice/record.ts';
import { LINGERING } from '../splice/slot.ts';
import { Splicer } from '../splice/splicer.ts';
import { SpliceTable } from '../splice/table.ts';
import type { Connection } from '../tcp/connection.ts';

/** Bytes of a record that name its flow: client and virtual address and port. */
const FLOW_LENGTH = 12;
const CLIENT_PORT_AT = 8;
const EPOCH_AT = 48;
const HOME_AT = 52;
const SERVICE_AT = 54;

/** A splice that every live member knows. Exactly one of its methods is called, once. */
export interface Splice {
  /**
   * Lets the packets flow, first of all what the client has said and nobody acknowledged.
   * @param offset what it had said before
   */
  begin(offset: number, held: Uint8Array): 'begun' | SpliceFailure;
  /** Takes the splice back. */
  cancel(): void;
}

/** Why there is no splice: no room, or another member serves the client, or may do so. */
export type SpliceFailure = 'full' | 'lost';

export interface SplicesOptions {
  readonly host: Host;
  readonly self: number;
  readonly maximum: number;
  readonly lingerMillis: number;
  readonly idleMillis: number;
  readonly logger: Logger;
  /**
   * Another member has spliced a client's connection to a service.
   * @param wins whether a splice of ours that is being committed prevails
   * @returns false if there is one, and it does
   */
  readonly concede: (service: number, client: Endpoint, wins: boolean) => boolean;
}

export class Splices implements RecordSource {
  readonly table: SpliceTable;
  readonly splicer: Splicer;
  /** Records are shared through it; another one after this member was fenced. */
  replicator: Replicator | undefined;
  readonly #options: SplicesOptions;
  readonly #handover: Handover;
  /** A record, as bytes and as the words that the table is searched by. */
  readonly #record = new Uint8Array(IPV4_RECORD_LENGTH);
  readonly #view = new DataView(this.#record.buffer);
  readonly #words = new Uint32Array(this.#record.buffer);
  readonly #key = new Uint8Array(FLOW_LENGTH + 4);
  readonly #keyWords = new Uint32Array(this.#key.buffer);

  constructor(options: SplicesOptions) {
    const { host, maximum, lingerMillis, idleMillis } = options;
    this.#options = options;
    this.table = new SpliceTable({ maximum, random: host.random });
    this.splicer = new Splicer({
      table: this.table,
      network: host.ip,
      gathers: true,
      lingerMillis,
      idleMillis,
      isResponsible: (slot) => this.#isOurs(slot),
      onExpire: (slot) => this.#expired(slot),
    });
    this.#handover = new Handover(host.ip, this.splicer);
    host.fastPath = this.splicer;
  }

  /**
   * Joins two established connections; tells `done` when every live member knows, or that it cannot be.
   * Both must stay as they are until then.
   */
  commit(
    client: Connection,
    backend: Connection,
    service: number,
    done: (outcome: Splice | SpliceFailure) => void,
  ): void {
    const { host, self } = this.#options;
    const { replicator } = this;
    // A later connection between the same ends must win over what a member may still hold of an earlier
    // one, so epochs begin with the time.
    const terms = { home: self, service, recovery: RECOVERY_NONE, epoch: host.clock.wall() };
    const record = recordOf(client, backend, terms);
    if (replicator === undefined || !this.#makeRoom(record)) {
      done(replicator === undefined ? 'lost' : 'full');
      return;
    }
    encodeRecord(record, this.#view, 0);
    replicator.commit(this.#record, (ok) => {
      if (!ok) {
        done('lost');
        return;
      }
      done({
        begin: (offset, held) => {
          const now = host.clock.now();
          const room = this.#makeRoom(record);
          if (!room || this.table.insert(record, now) < 0) return this.#takeBack(record);
          this.#handover.send(client, offset, held, backend.snd.wnd, now);
          return 'begun';
        },
        cancel: () => {
          this.#takeBack(record);
        },
      });
    });
  }

  /** True if no splice uses this source towards a backend. */
  isFree(source: Address, port: number, backend: Address, backendPort: number): boolean {
    return !isSourceTaken(
      this.table,
      { address: source, port },
      { address: backend, port: backendPort },
    );
  }

  /** True if there is a record for a flow: 12 bytes, as a record begins. */
  has(flow: Uint8Array): boolean {
    this.#record.set(flow.subarray(0, FLOW_LENGTH));
    return this.#find(0) >= 0;
  }

  /** Takes a record from another member. Of two homes that raced the one with the higher id prevails. */
  insert(record: Uint8Array): void {
    const { host, self, concede, logger } = this.#options;
    this.#record.set(record);
    const home = record[HOME_AT];
    const service = this.#view.getUint16(SERVICE_AT, true);
    const client = {
      address: fromIpv4(this.#view.getUint32(0)),
      port: this.#view.getUint16(CLIENT_PORT_AT),
    };
    if (home !== self && !concede(service, client, self > home)) return;
    this.#record.set(record);
    const epoch = this.#view.getUint32(EPOCH_AT, true);
    const slot = this.#find(0);
    if (slot >= 0) {
      this.table.copyRecord(slot, this.#record, 0);
      const raced = this.#view.getUint32(EPOCH_AT, true) === epoch;
      if (raced && this.#record[HOME_AT] < home) this.table.remove(slot);
      this.#record.set(record);
    }
    if (this.table.insertEncoded(this.#view, 0, host.clock.now()) < 0) {
      logger.debug({ counters: this.table.counters }, 'a record of a peer was refused');
    }
  }

  /** Forgets a record that another member forgot. */
  delete(key: Uint8Array): void {
    this.#key.set(key);
    const flow = this.table.find(this.#keyWords[0], this.#keyWords[1], this.#keyWords[2]);
    if (flow < 0 || (flow & 1) !== 0) return;
    this.table.copyRecord(flow >> 1, this.#record, 0);
    if (this.#view.getUint32(EPOCH_AT, true) === this.#keyWords[FLOW_LENGTH / 4]) {
      this.table.remove(flow >> 1);
    }
  }

  /** Empties the table: the others went on without this member, and what it knows may be wrong. */
  forgetAll(): void {
    for (let slot = this.table.nextUsed(0); slot >= 0; slot = this.table.nextUsed(slot + 1)) {
      this.table.remove(slot);
    }
  }

  forEachRecord(cursor: number, limit: number, visit: (record: Uint8Array) => void): number {
    let slot = this.table.nextUsed(cursor);
    for (let count = 0; count < limit && slot >= 0; count++) {
      this.table.copyRecord(slot, this.#record, 0);
      visit(this.#record);
      slot = this.table.nextUsed(slot + 1);
    }
    return slot;
  }

  keyOf(record: Uint8Array, key: Uint8Array): void {
    key.set(record.subarray(0, FLOW_LENGTH));
    key.set(record.subarray(EPOCH_AT, EPOCH_AT + 4), FLOW_LENGTH);
  }

  /** Makes all members forget flows that are over and in the way of a record; false if it has no room yet. */
  #makeRoom(record: SpliceRecord): boolean {
    const { table } = this;
    for (const way of [0, IPV4_KEY_WORDS]) {
      encodeRecord(record, this.#view, 0);
      this.#endIfOver(this.#find(way));
    }
    if (table.size < table.maximum) return true;
    this.#endIfOver(table.reset.first >= 0 ? table.reset.first : table.lingering.first);
    return table.size < table.maximum;
  }

  #endIfOver(slot: number): void {
    if (slot >= 0 && this.table.state(slot) >= LINGERING) this.splicer.lifecycle.end(slot);
  }

  /** Has all members forget a record that was committed and is of no use. */
  #takeBack(record: SpliceRecord): SpliceFailure {
    encodeRecord(record, this.#view, 0);
    const slot = this.#find(0);
    if (slot < 0) {
      this.#removeEverywhere();
      return 'full';
    }
    // Another member's record for the same flow is not ours to take away.
    this.table.copyRecord(slot, this.#record, 0);
    if (this.#view.getUint32(EPOCH_AT, true) !== record.epoch) {
      encodeRecord(record, this.#view, 0);
      this.#removeEverywhere();
    }
    return 'lost';
  }

  /** The slot of the flow whose packets in one way look as the words of `#record` from `way` on say, or -1. */
  #find(way: number): number {
    const words = this.#words;
    return this.table.find(words[way], words[way + 1], words[way + 2]) >> 1;
  }

  /** The home watches over a silent flow, or who holds its addresses when it is gone. */
  #isOurs(slot: number): boolean {
    this.table.copyRecord(slot, this.#record, 0);
    return this.replicator?.holds(this.#record[HOME_AT]) ?? true;
  }

  #expired(slot: number): void {
    this.table.copyRecord(slot, this.#record, 0);
    this.#removeEverywhere();
  }

  /** Has the other members forget what is in `#record`. */
  #removeEverywhere(): void {
    this.keyOf(this.#record, this.#key);
    this.replicator?.remove(this.#key);
  }
}
