// The splices of one member and what ties them to the other members: a record is known to all of them
// before the first packet goes by it (invariant I2), and forgotten by all.
import type { Logger } from '../env/logger.ts';
import type { Host } from '../host/host.ts';
import type { Address, Endpoint } from '../ip/address.ts';
import type { Done } from '../replication/pending.ts';
import type { Replicator } from '../replication/replicator.ts';
import type { RecordSource } from '../replication/snapshot.ts';
import type { Keeper } from '../replication/store/keeper.ts';
import { DualSplicer } from '../splice/dual.ts';
import {
  formOfAddress,
  formOfFlow,
  formOfKey,
  formOfRecord,
  IPV4_FORM,
  IPV6_FORM,
  MAX_KEY_BYTES,
  MAX_RECORD_BYTES,
  type RecordForm,
} from '../splice/form.ts';
import { Handover, isSourceTaken, recordOf } from '../splice/join.ts';
import {
  destinationOf,
  encodeRecord,
  RECOVERY_NONE,
  recordEpoch,
  recordHome,
  type SpliceRecord,
  sourceOf,
  writeFlow,
  writeKey,
} from '../splice/record.ts';
import { LINGERING } from '../splice/slot.ts';
import { Splicer, type SplicerCounters, splicerCounters } from '../splice/splicer.ts';
import { SpliceTable, type SpliceTableCounters } from '../splice/table.ts';
import type { Connection } from '../tcp/connection.ts';
import { Sightings } from './sightings.ts';

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
  /** Records of each address family at the most. */
  readonly maximum: number;
  readonly lingerMillis: number;
  readonly idleMillis: number;
  readonly logger: Logger;
  /** Another member splices a client's connection to a virtual end point. */
  readonly onProposed: (client: Endpoint, virtual: Endpoint) => void;
  /** See `SplicerOptions.isAnothers`. */
  readonly isAnothers: (client: Endpoint, virtual: Endpoint, seq: number, ack: number) => boolean;
}

export class Splices implements RecordSource {
  readonly splicer: DualSplicer;
  readonly sightings: Sightings;
  readonly passed: SplicerCounters = splicerCounters();
  /** Records are shared through it; another one after this member was fenced. */
  replicator: Replicator | undefined;
  /** Keeps records in a store, too, if there is one. */
  keeper: Keeper | undefined;
  /** Records that are being taken back. */
  readonly #restoring = new Set<Uint8Array>();
  readonly #options: SplicesOptions;
  readonly #handover: Handover;
  /** A record of either form, as bytes and as the words that the tables are searched by. */
  readonly #record = new Uint8Array(MAX_RECORD_BYTES);
  readonly #view = new DataView(this.#record.buffer);
  readonly #words = new Uint32Array(this.#record.buffer);
  readonly #key = new Uint8Array(MAX_KEY_BYTES);
  readonly #keyView = new DataView(this.#key.buffer);
  readonly #keyWords = new Uint32Array(this.#key.buffer);
  readonly #standing = new Uint8Array(MAX_RECORD_BYTES);
  readonly #standingView = new DataView(this.#standing.buffer);

  constructor(options: SplicesOptions) {
    const { host } = options;
    this.#options = options;
    this.splicer = new DualSplicer(this.#splicerOf(IPV4_FORM), this.#splicerOf(IPV6_FORM));
    this.sightings = new Sightings({
      self: options.self,
      splicer: this.splicer,
      replicator: () => this.replicator,
      clock: host.clock,
    });
    this.#handover = new Handover(host.ip, this.splicer);
    host.fastPath = this.splicer;
  }

  /** Records, of both address families. */
  get size(): number {
    return this.#tables.reduce((sum, { size }) => sum + size, 0);
  }

  /** What happened to records of both address families. */
  get counters(): SpliceTableCounters {
    const [ipv4, ipv6] = this.#tables.map(({ counters }) => counters);
    const names = Object.keys(ipv4) as (keyof SpliceTableCounters)[];
    const sum = { ...ipv4 };
    for (const name of names) sum[name] += ipv6[name];
    return sum;
  }

  get #tables(): readonly SpliceTable[] {
    return [this.splicer.ipv4.table, this.splicer.ipv6.table];
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
    const epoch = this.#epochFor(client);
    const terms = { home: self, service, recovery: RECOVERY_NONE, epoch };
    const record = recordOf(client, backend, terms);
    if (replicator === undefined || !this.#makeRoom(record)) {
      done(replicator === undefined ? 'lost' : 'full');
      return;
    }
    const { table } = this.splicer.ofAddress(client.remote.address);
    encodeRecord(record, this.#view, 0);
    this.#share(replicator, this.#record.slice(0, table.form.recordBytes), (ok) => {
      if (!ok) {
        done('lost');
        return;
      }
      done({
        begin: (offset, held) => {
          const now = host.clock.now();
          const room = this.#makeRoom(record);
          if (!room || table.insert(record, now) < 0) return this.#takeBack(record);
          this.#handover.send(client, offset, held, backend.snd.wnd, now);
          return 'begun';
        },
        cancel: () => {
          this.#takeBack(record);
        },
      });
    });
  }

  /**
   * Has all members take back a record that they have lost; `done(false)` if it contradicts what is here. Its
   * source address must be held here: so what it contradicts is known.
   * @param record 64 or 112 bytes, which stay as they are
   */
  restore(record: Uint8Array, done: Done): void {
    const form = formOfRecord(record.length);
    const { replicator } = this;
    if (form === undefined || replicator === undefined || this.#contradicts(record, form)) {
      done(false);
      return;
    }
    if (this.#isHere(record, form)) {
      done(true);
      return;
    }
    this.#restoring.add(record);
    replicator.commit(record, (ok) => {
      this.#restoring.delete(record);
      const isTaken = ok && this.take(record);
      if (ok && !isTaken) {
        this.#record.set(record);
        this.#removeEverywhere(form);
      }
      done(isTaken);
    });
  }

  /** Takes a record that no other member needs to know of; false if it contradicts what is here. */
  take(record: Uint8Array): boolean {
    const form = formOfRecord(record.length);
    if (form === undefined || this.#contradicts(record, form)) return false;
    this.#record.set(record);
    const { table } = this.splicer.of(form);
    return table.insertEncoded(this.#view, 0, this.#options.host.clock.now()) >= 0;
  }

  /** True if no splice uses this source towards a backend. */
  isFree(source: Address, port: number, backend: Address, backendPort: number): boolean {
    const from = { address: backend, port: backendPort };
    const to = { address: source, port };
    return (
      !isSourceTaken(this.splicer.ofAddress(backend).table, to, from) &&
      (this.#restoring.size === 0 || !this.#isRestoring(from, to))
    );
  }

  /** True if there is a record for a flow: bytes as a record begins. */
  has(flow: Uint8Array): boolean {
    const form = formOfFlow(flow.length);
    if (form === undefined) return false;
    this.#record.set(flow);
    return this.#find(form, 0) >= 0;
  }

  /** Another member proposes a record: it serves the client. */
  proposed(record: Uint8Array): void {
    const form = formOfRecord(record.length);
    if (form === undefined) return;
    this.#record.set(record);
    this.#options.onProposed(sourceOf(this.#view, 0, form), destinationOf(this.#view, 0, form));
  }

  /**
   * The record in the table that a proposed one cannot take the place of: of a flow that is alive, and not
   * older. Valid until the next call.
   */
  standsAgainst(record: Uint8Array): Uint8Array | undefined {
    const form = formOfRecord(record.length);
    if (form === undefined) return undefined;
    const { table } = this.splicer.of(form);
    this.#record.set(record);
    const slot = this.#find(form, 0);
    if (slot < 0 || table.state(slot) >= LINGERING) return undefined;
    const epoch = recordEpoch(this.#view, 0, form);
    const standing = this.#standing.subarray(0, form.recordBytes);
    table.copyRecord(slot, standing, 0);
    const isSame = standing.every((byte, index) => byte === record[index]);
    return isSame || epoch > recordEpoch(this.#standingView, 0, form) ? undefined : standing;
  }

  /** True if of two records for a flow the first prevails: the higher (epoch, home) pair (invariant I3). */
  prevails(first: Uint8Array, second: Uint8Array): boolean {
    const form = formOfRecord(first.length);
    if (form === undefined) return false;
    const epochs = [first, second].map((record) => recordEpoch(viewOf(record), 0, form));
    if (epochs[0] !== epochs[1]) return epochs[0] > epochs[1];
    return recordHome(viewOf(first), 0, form) > recordHome(viewOf(second), 0, form);
  }

  /** Takes a record that every member has. What stands in its way here is over, or of an earlier connection. */
  insert(record: Uint8Array): void {
    const { host, logger } = this.#options;
    const form = formOfRecord(record.length);
    if (form === undefined) return;
    const { table } = this.splicer.of(form);
    // The client may have come here after the record was proposed.
    this.proposed(record);
    this.#record.set(record);
    const byClient = this.#find(form, 0);
    // Who owns a source address gives out its ports, and knows which are free.
    const byBackend = this.#find(form, form.keyWords);
    if (byBackend >= 0 && byBackend !== byClient) table.remove(byBackend);
    if (table.insertEncoded(this.#view, 0, host.clock.now()) < 0) {
      logger.error({ counters: table.counters }, 'a record that every member has found no place');
    }
  }

  /** Forgets a record that another member forgot. */
  delete(key: Uint8Array): void {
    const form = formOfKey(key.length);
    if (form === undefined) return;
    const { table } = this.splicer.of(form);
    this.#key.set(key);
    const flow = table.find(this.#keyWords, 0);
    if (flow < 0 || (flow & 1) !== 0) return;
    table.copyRecord(flow >> 1, this.#record, 0);
    if (recordEpoch(this.#view, 0, form) === this.#keyView.getUint32(form.flowBytes, true)) {
      this.keeper?.remove(this.#record.subarray(0, form.recordBytes));
      table.remove(flow >> 1);
    }
  }

  /** Empties the tables: the others went on without this member, and what it knows may be wrong. */
  forgetAll(): void {
    for (const table of this.#tables) {
      for (let slot = table.nextUsed(0); slot >= 0; slot = table.nextUsed(slot + 1)) {
        table.remove(slot);
      }
    }
  }

  /** A cursor counts through the slots of the IPv4 table and then through those of the other. */
  forEachRecord(cursor: number, limit: number, visit: (record: Uint8Array) => void): number {
    let next = cursor;
    let left = limit;
    let first = 0;
    for (const table of this.#tables) {
      if (next < first + table.maximum) {
        const record = this.#record.subarray(0, table.form.recordBytes);
        let slot = table.nextUsed(next - first);
        for (; left > 0 && slot >= 0; left--) {
          table.copyRecord(slot, this.#record, 0);
          visit(record);
          slot = table.nextUsed(slot + 1);
        }
        if (slot >= 0) return first + slot;
        next = first + table.maximum;
      }
      first += table.maximum;
    }
    return -1;
  }

  keyOf(record: Uint8Array, key: Uint8Array): number {
    const form = formOfRecord(record.length);
    if (form === undefined) throw new RangeError(`no record has ${record.length} bytes`);
    const view = new DataView(record.buffer, record.byteOffset, record.length);
    return writeKey(view, 0, form, key);
  }

  /** What was seen of a flow is no part of its record. */
  shown(record: Uint8Array): void {
    const form = formOfRecord(record.length);
    if (form === undefined) return;
    const splicer = this.splicer.of(form);
    this.#record.set(record);
    const slot = this.#find(form, 0);
    if (slot >= 0) this.sightings.show(splicer, slot);
  }

  /**
   * A later connection between the same ends must win over what a member may still hold of an earlier one: so
   * epochs are the time, and grow even if the clocks of two members differ.
   */
  #epochFor({ remote, local }: Connection): number {
    const { table } = this.splicer.ofAddress(remote.address);
    writeFlow(this.#view, 0, remote, local);
    const slot = this.#find(table.form, 0);
    const wall = this.#options.host.clock.wall();
    if (slot < 0) return wall;
    table.copyRecord(slot, this.#record, 0);
    return Math.max(wall, recordEpoch(this.#view, 0, table.form) + 1);
  }

  #splicerOf(form: RecordForm): Splicer {
    const { host, maximum, lingerMillis, idleMillis } = this.#options;
    const table = new SpliceTable({ maximum, form, random: host.random });
    const splicer: Splicer = new Splicer({
      table,
      network: host.ip,
      gathers: true,
      isBusy: () => host.isBusy,
      isAnothers: (...segment) =>
        this.sightings.isExpectedAt(host.clock.now()) && this.#options.isAnothers(...segment),
      counters: this.passed,
      lingerMillis,
      idleMillis,
      isResponsible: (slot) => this.#isOurs(table, slot),
      onExpire: (slot, atOnce) => this.#expired(table, slot, atOnce),
      onFacts: (slot, facts) => this.sightings.tell(splicer, slot, facts),
      onSilent: (slot) => this.sightings.ask(splicer, slot),
    });
    return splicer;
  }

  /** Makes all members forget flows that are over and in the way of a record; false if it has no room yet. */
  #makeRoom(record: SpliceRecord): boolean {
    const form = formOfAddress(record.client.address);
    const { table } = this.splicer.of(form);
    for (const way of [0, form.keyWords]) {
      encodeRecord(record, this.#view, 0);
      this.#endIfOver(form, this.#find(form, way));
    }
    if (table.size < table.maximum) return true;
    this.#endIfOver(form, table.reset.first >= 0 ? table.reset.first : table.lingering.first);
    return table.size < table.maximum;
  }

  #endIfOver(form: RecordForm, slot: number): void {
    const { table, lifecycle } = this.splicer.of(form);
    if (slot >= 0 && table.state(slot) >= LINGERING) lifecycle.end(slot);
  }

  /** Has all members forget a record that was committed and is of no use. */
  #takeBack(record: SpliceRecord): SpliceFailure {
    const form = formOfAddress(record.client.address);
    encodeRecord(record, this.#view, 0);
    const slot = this.#find(form, 0);
    if (slot < 0) {
      this.#removeEverywhere(form);
      return 'full';
    }
    // Another member's record for the same flow is not ours to take away.
    this.splicer.of(form).table.copyRecord(slot, this.#record, 0);
    if (recordEpoch(this.#view, 0, form) !== record.epoch) {
      encodeRecord(record, this.#view, 0);
      this.#removeEverywhere(form);
    }
    return 'lost';
  }

  /** The slot of the flow whose packets in one way look as the words of `#record` from `way` on say, or -1. */
  #find(form: RecordForm, way: number): number {
    return this.splicer.of(form).table.find(this.#words, way) >> 1;
  }

  /** The home watches over a silent flow, or who holds its addresses when it is gone. */
  #isOurs(table: SpliceTable, slot: number): boolean {
    table.copyRecord(slot, this.#record, 0);
    return this.replicator?.holds(recordHome(this.#view, 0, table.form)) ?? true;
  }

  #expired(table: SpliceTable, slot: number, atOnce: boolean): void {
    table.copyRecord(slot, this.#record, 0);
    this.#removeEverywhere(table.form);
    // If this member dies before the others know, they take the next connection's packets for the last one's.
    if (atOnce) this.replicator?.confirm(() => {});
  }

  /** Tells `done` once every live member has the record, and the store if there is one that answers. */
  #share(replicator: Replicator, record: Uint8Array, done: Done): void {
    const { keeper } = this;
    if (keeper === undefined) {
      replicator.commit(record, done);
      return;
    }
    let waits = 2;
    let isAgreed = false;
    const settle = (): void => {
      if (--waits === 0) done(isAgreed);
    };
    keeper.commit(record, settle);
    replicator.commit(record, (ok) => {
      isAgreed = ok;
      if (!ok) keeper.remove(record);
      settle();
    });
  }

  /** True if a record that is being taken back has this way to the client. */
  #isRestoring(backend: Endpoint, source: Endpoint): boolean {
    const length = writeFlow(this.#view, 0, backend, source);
    for (const record of this.#restoring) {
      const way = record.subarray(length, 2 * length);
      if (way.every((byte, index) => byte === this.#record[index])) return true;
    }
    return false;
  }

  /** True if exactly this record is in the table. */
  #isHere(record: Uint8Array, form: RecordForm): boolean {
    this.#record.set(record);
    return this.splicer.of(form).table.slotOf(this.#view, 0) >= 0;
  }

  /** True if a record is for ends of which another record, or a connection of this member's, has one. */
  #contradicts(record: Uint8Array, form: RecordForm): boolean {
    this.#record.set(record);
    const { tcp } = this.#options.host;
    for (const way of [0, form.keyWords]) {
      const from = sourceOf(this.#view, 4 * way, form);
      const to = destinationOf(this.#view, 4 * way, form);
      if (tcp.has(to.address, to.port, from.address, from.port)) return true;
      const slot = this.#find(form, way);
      if (slot >= 0 && this.splicer.of(form).table.slotOf(this.#view, 0) !== slot) return true;
    }
    return false;
  }

  /** Has the other members forget what is in `#record`, and the store. */
  #removeEverywhere({ recordBytes }: RecordForm): void {
    this.keeper?.remove(this.#record.subarray(0, recordBytes));
    const length = this.keyOf(this.#record.subarray(0, recordBytes), this.#key);
    this.replicator?.remove(this.#key.subarray(0, length));
  }
}

const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, length);
