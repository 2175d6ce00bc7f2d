// The splices of one member and what ties them to the other members: a record is known to all of them
// before the first packet goes by it (invariant I2), and forgotten by all.
import type { Logger } from '../env/logger.ts';
import type { Host } from '../host/host.ts';
import type { Address } from '../ip/address.ts';
import type { RecordSource } from '../replication/snapshot.ts';
import type { Replicator } from '../replication/replicator.ts';
import { Handover, isSourceTaken, recordOf } from '../splice/join.ts';
import { encodeRecord, IPV4_RECORD_LENGTH, RECOVERY_NONE } from '../splice/record.ts';
import { Splicer } from '../splice/splicer.ts';
import { SpliceTable } from '../splice/table.ts';
import type { Connection } from '../tcp/connection.ts';

/** Bytes of a record that name its flow: client and virtual address and port. */
const FLOW_LENGTH = 12;
const EPOCH_AT = 48;
const HOME_AT = 52;

/** A committed splice whose packets may flow. */
export interface Splice {
  /**
   * Sends what the client has said and nobody acknowledged.
   * @param offset what it had said before
   */
  begin(offset: number, held: Uint8Array): void;
  /** Takes the splice back: nothing has flowed. */
  cancel(): void;
}

export interface SplicesOptions {
  readonly host: Host;
  readonly self: number;
  readonly maximum: number;
  readonly lingerMillis: number;
  readonly idleMillis: number;
  readonly logger: Logger;
}

export class Splices implements RecordSource {
  readonly table: SpliceTable;
  readonly splicer: Splicer;
  /** Set once; records are shared through it. */
  replicator: Replicator | undefined;
  readonly #options: SplicesOptions;
  readonly #handover: Handover;
  readonly #record = new Uint8Array(IPV4_RECORD_LENGTH);
  readonly #view = new DataView(this.#record.buffer);
  readonly #key = new Uint8Array(FLOW_LENGTH + 4);
  readonly #keyWords = new Uint32Array(this.#key.buffer);

  constructor(options: SplicesOptions) {
    const { host, maximum, lingerMillis, idleMillis } = options;
    this.#options = options;
    this.table = new SpliceTable({ maximum, random: host.random });
    this.splicer = new Splicer({
      table: this.table,
      network: host.ip,
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
    done: (splice: Splice | undefined) => void,
  ): void {
    const { host, self } = this.#options;
    const { replicator } = this;
    if (replicator === undefined || this.table.size >= this.table.maximum) {
      done(undefined);
      return;
    }
    // A later connection between the same ends must win over what a member may still hold of an earlier
    // one, so epochs begin with the time.
    const terms = { home: self, service, recovery: RECOVERY_NONE, epoch: host.clock.wall() };
    const record = recordOf(client, backend, terms);
    encodeRecord(record, this.#view, 0);
    replicator.commit(this.#record, (ok) => {
      const slot = ok ? this.table.insert(record, host.clock.now()) : -1;
      if (slot < 0) {
        if (ok) this.#removeEverywhere(this.#encoded(record));
        done(undefined);
        return;
      }
      done({
        begin: (offset, held) => {
          const now = host.clock.now();
          this.#handover.send(client, offset, held, backend.snd.wnd, now);
        },
        cancel: () => {
          this.#removeEverywhere(this.#encoded(record));
          this.table.remove(slot);
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

  /** Takes a record from another member. */
  insert(record: Uint8Array): void {
    const view = new DataView(record.buffer, record.byteOffset, record.length);
    if (this.table.insertEncoded(view, 0, this.#options.host.clock.now()) < 0) {
      this.#options.logger.warn({ counters: this.table.counters }, 'a record of a peer was refused');
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

  /** The home watches over a silent flow, or who holds its addresses when it is gone. */
  #isOurs(slot: number): boolean {
    this.table.copyRecord(slot, this.#record, 0);
    return this.replicator?.holds(this.#record[HOME_AT]) ?? true;
  }

  #expired(slot: number): void {
    this.table.copyRecord(slot, this.#record, 0);
    this.#removeEverywhere(this.#record);
  }

  #encoded(record: Parameters<typeof encodeRecord>[0]): Uint8Array {
    encodeRecord(record, this.#view, 0);
    return this.#record;
  }

  #removeEverywhere(record: Uint8Array): void {
    this.keyOf(record, this.#key);
    this.replicator?.remove(this.#key);
  }
}
