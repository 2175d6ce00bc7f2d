/**
 * The table for a member that joins: its peer streams all records in steps, while new inserts and deletes
 * flow beside it. What the joiner heard of a record directly is later than what the snapshot says of it.
 */
import type { ReplicationCounters } from './counters.ts';
import type { Datagram } from './datagram.ts';
import * as messages from './messages.ts';
import type { Peer } from './peer.ts';
import { WINDOW } from './stream.ts';

/** Where records come from; the table's side of a snapshot. */
export interface RecordSource {
  /**
   * Calls `visit` for at most `limit` committed records from `cursor` on (0 at first) and returns the cursor
   * to go on from, or -1 at the end. A call may visit none and go on. A record that is in the table from the
   * first call to the last is visited at least once, whatever is inserted, deleted or moved between the
   * calls. `record` need be valid during `visit` only.
   */
  forEachRecord(cursor: number, limit: number, visit: (record: Uint8Array) => void): number;
  /**
   * Writes what identifies `record`, its flow and then its epoch, into `key`, which has room for the longest.
   * @returns the bytes written
   */
  keyOf(record: Uint8Array, key: Uint8Array): number;
  /** A member that joins has been sent `record`, and may be told what was seen of its flow. */
  shown?(record: Uint8Array): void;
}

/** Records in one step: a breath must not wait for a large table. */
const STEP = 512;

/** The giving side, one for each member that joins. */
export class SnapshotSender {
  readonly peer: Peer;
  readonly #id: number;
  readonly #source: RecordSource;
  readonly #counters: ReplicationCounters;
  /** Whether the table shows all that was committed before the request. */
  readonly #isWhole: () => boolean;
  #cursor = 0;
  #count = 0;

  /** @param isWhole whether the table shows all records that were settled before now */
  constructor(
    peer: Peer,
    id: number,
    source: RecordSource,
    counters: ReplicationCounters,
    isWhole: () => boolean,
  ) {
    this.peer = peer;
    this.#isWhole = isWhole;
    this.#id = id;
    this.#source = source;
    this.#counters = counters;
    const datagram = peer.outgoing.room(4);
    if (datagram === undefined) this.#cursor = -1;
    else messages.writeSnapshotMark(datagram, messages.SNAPSHOT_BEGIN, id);
  }

  /** True once all is written, or there is no way to. */
  get finished(): boolean {
    return this.#cursor < 0;
  }

  /** True if a step may be made now; otherwise others' messages must come first. */
  get ready(): boolean {
    return !this.finished && this.peer.outgoing.backlog < WINDOW && this.#isWhole();
  }

  step(): void {
    const { outgoing } = this.peer;
    this.#cursor = this.#source.forEachRecord(this.#cursor, STEP, (record) => {
      const datagram = outgoing.room(record.length);
      // A window of backlog and one step are far below what the stream takes.
      if (datagram === undefined) throw new Error('a snapshot step did not fit its stream');
      messages.writeBytes(datagram, messages.SNAPSHOT_RECORD, record, record.length);
      this.#count++;
      this.#counters.snapshotRecordsOut++;
      this.#source.shown?.(record);
    });
    if (this.#cursor >= 0) return;
    const datagram: Datagram | undefined = outgoing.room(8);
    if (datagram !== undefined) messages.writeSnapshotEnd(datagram, this.#id, this.#count);
  }
}

/** Flows that one join remembers at most: far more than are inserted and deleted while it lasts. */
const MAX_TOUCHED = 1 << 20;

/** The joiner's memory of what it heard of directly, and from whom. */
export class Touched {
  readonly #inserted = new Map<string, number>();
  readonly #deleted = new Map<string, number>();

  /** A flow has a record now: whatever the snapshot says of it is older. False if there are too many. */
  inserted(from: number, key: Uint8Array): boolean {
    this.#inserted.set(String.fromCharCode(...messages.flowOfKey(key)), from);
    return this.#inserted.size <= MAX_TOUCHED;
  }

  /** A record is gone; another epoch of its flow may still be in the snapshot. False if there are too many. */
  deleted(from: number, key: Uint8Array): boolean {
    this.#deleted.set(String.fromCharCode(...key), from);
    return this.#deleted.size <= MAX_TOUCHED;
  }

  /**
   * A peer's life is over. What it said may have been void: it may have gone on while others did without it, who
   * prevailed. What was not, the others will say again.
   */
  forget(from: number): void {
    for (const heard of [this.#inserted, this.#deleted]) {
      for (const [name, by] of heard) if (by === from) heard.delete(name);
    }
  }

  /** True if the record with `key` in a snapshot is not to be used. */
  overrules(key: Uint8Array): boolean {
    const name = String.fromCharCode(...key);
    const flow = String.fromCharCode(...messages.flowOfKey(key));
    return this.#deleted.has(name) || this.#inserted.has(flow);
  }

  clear(): void {
    this.#inserted.clear();
    this.#deleted.clear();
  }
}
