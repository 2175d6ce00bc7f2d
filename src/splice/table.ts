// The splices of a member in one address family: records, what was seen of each flow, and the index to
// both ways through it.
import type { Micros } from '../env/clock.ts';
import type { Random } from '../env/random.ts';
import { formOfAddress, IPV4_FORM, type RecordForm } from './form.ts';
import {
  decodeRecord,
  encodeRecord,
  isValidRecord,
  recordEpoch,
  type SpliceRecord,
  TO_BACKEND,
  TO_CLIENT,
} from './record.ts';
import {
  ACKED,
  ACKED_KNOWN,
  ACTIVITY,
  FIN_END,
  FIN_SEEN,
  FOLLOWING,
  FREE,
  HALF_CLOSED,
  HOP,
  LINGERING,
  NEXT,
  NEXT_KNOWN,
  OPEN,
  RESET,
  STATE_MASK,
  STATUS,
  TIMESTAMP,
} from './slot.ts';
import { SlotQueue } from './slot-queue.ts';
import { TupleIndex } from './tuple-index.ts';

const LARGEST_MAXIMUM = 2 ** 24;
const NO_HOP_WORD = -1;

export interface SpliceTableOptions {
  /** The most records that the table takes, 1 to 2^24. Memory is used as they come. */
  readonly maximum: number;
  /** The form of its records; IPv4 when absent. */
  readonly form?: RecordForm;
  /** Seeds the hash. */
  readonly random: Random;
  /**
   * Records for which the index has room from the start. It doubles when it must, which takes some 20 ms at
   * half a million records; while it is larger than needed, lookups are a little slower.
   */
  readonly reserve?: number;
}

export interface SpliceTableCounters {
  inserted: number;
  /** Records that took the place of one with a lower epoch. */
  replaced: number;
  removed: number;
  /** Refused: the table is full. */
  full: number;
  /** Refused: a tuple belongs to another record. */
  conflicts: number;
  /** Refused: a record with a higher epoch is there. */
  stale: number;
  /** Refused: not a record. */
  invalid: number;
  /** Closed flows that gave way to a new one before their time. */
  superseded: number;
}

/** @see slot.ts and record.ts for what stands in a slot */
export class SpliceTable {
  readonly form: RecordForm;
  readonly maximum: number;
  /** Words of a slot. */
  readonly slotWords: number;
  /** Where in a slot starts what was seen of its flow. */
  readonly seen: number;
  /** All slots. */
  readonly words: Int32Array<ArrayBuffer>;
  /** The same as bytes. */
  readonly view: DataView<ArrayBuffer>;
  /** Flows that ended with FINs, and with a reset, by their last packet. */
  readonly lingering: SlotQueue;
  readonly reset: SlotQueue;
  readonly counters: SpliceTableCounters = {
    inserted: 0,
    replaced: 0,
    removed: 0,
    full: 0,
    conflicts: 0,
    stale: 0,
    invalid: 0,
    superseded: 0,
  };
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #scratch: DataView<ArrayBuffer>;
  readonly #scratchWords: Uint32Array<ArrayBuffer>;
  readonly #index: TupleIndex;
  #size = 0;
  #high = 0;
  #free = -1;

  /** @throws RangeError if `maximum` is out of range */
  constructor({ maximum, form = IPV4_FORM, random, reserve = 0 }: SpliceTableOptions) {
    if (!Number.isInteger(maximum) || maximum < 1 || maximum > LARGEST_MAXIMUM) {
      throw new RangeError(`a splice table holds 1 to ${LARGEST_MAXIMUM} records, not ${maximum}`);
    }
    this.form = form;
    this.maximum = maximum;
    this.slotWords = form.slotWords;
    this.seen = form.seen;
    // The system hands out the pages of this array when they are first written.
    this.words = new Int32Array(maximum * form.slotWords);
    this.view = new DataView(this.words.buffer);
    this.#bytes = new Uint8Array(this.words.buffer);
    this.#index = new TupleIndex(this.words, form, random, 2 * Math.min(reserve, maximum));
    this.#scratch = new DataView(new ArrayBuffer(form.recordBytes));
    this.#scratchWords = new Uint32Array(this.#scratch.buffer);
    this.lingering = new SlotQueue(this.words, form);
    this.reset = new SlotQueue(this.words, form);
  }

  /** Records in the table. */
  get size(): number {
    return this.#size;
  }

  /** All slots in use are below this one. */
  get high(): number {
    return this.#high;
  }

  /** Bytes a record that slots and index take together, with what is free among them. */
  get bytesPerRecord(): number {
    return (this.#high * 4 * this.slotWords + this.#index.bytes) / Math.max(1, this.#size);
  }

  /**
   * The flow of a packet, by its source, destination and ports: the words from `key[at]` on, as they lie in a
   * frame.
   * @returns `slot * 2 + direction`, or -1
   */
  find(key: Uint32Array, at: number): number {
    return this.#index.find(key, at);
  }

  /**
   * Takes a record. The same record again changes nothing; a higher epoch for the same client replaces
   * what is there; a flow that only lingers gives way to a new one.
   * @returns its slot, or -1 if it was refused (`counters` say why)
   */
  insert(record: SpliceRecord, now: Micros): number {
    if (formOfAddress(record.client.address) !== this.form) {
      this.counters.invalid++;
      return -1;
    }
    encodeRecord(record, this.#scratch, 0);
    return this.#insertScratch(now);
  }

  /** Like `insert`, for the bytes at `at` that another member sent. */
  insertEncoded(view: DataView, at: number, now: Micros): number {
    if (!this.#takeScratch(view, at)) {
      this.counters.invalid++;
      return -1;
    }
    return this.#insertScratch(now);
  }

  /** The slot of exactly this record, or -1: what a deletion refers to. */
  slotOf(view: DataView, at: number): number {
    if (!this.#takeScratch(view, at)) return -1;
    const slot = this.#findScratch(TO_BACKEND);
    return slot >= 0 && this.#equalsScratch(slot) ? slot : -1;
  }

  /** Frees a slot; nothing happens if it is free. */
  remove(slot: number): void {
    if (!this.isUsed(slot)) return;
    this.#leaveQueue(slot);
    this.#index.remove(2 * slot + TO_BACKEND);
    this.#index.remove(2 * slot + TO_CLIENT);
    this.words[slot * this.slotWords + this.seen + STATUS] = FREE;
    this.words[slot * this.slotWords + this.seen + FOLLOWING] = this.#free;
    this.#free = slot;
    this.#size--;
    this.counters.removed++;
  }

  isUsed(slot: number): boolean {
    return slot >= 0 && slot < this.#high && this.state(slot) !== FREE;
  }

  /** `OPEN` to `RESET`, or `FREE`. */
  state(slot: number): number {
    return this.words[slot * this.slotWords + this.seen + STATUS] & STATE_MASK;
  }

  /**
   * The record in a slot, as an object.
   * @throws RangeError if the slot is free
   */
  get(slot: number): SpliceRecord {
    const record = this.isUsed(slot)
      ? decodeRecord(this.view, this.#recordAt(slot), this.form)
      : undefined;
    if (record === undefined) throw new RangeError(`slot ${slot} of the splice table is free`);
    return record;
  }

  /** Copies the bytes of the record in a slot in use to `at` of `target`. */
  copyRecord(slot: number, target: Uint8Array, at: number): void {
    // A loop: to make a view of the bytes takes longer than to copy them.
    const bytes = this.#bytes;
    const from = this.#recordAt(slot);
    for (let byte = 0; byte < this.form.recordBytes; byte++) target[at + byte] = bytes[from + byte];
  }

  /**
   * The first slot in use from `from` on, or -1. Walking on from the slot after it visits every record
   * that stays; those that come or go meanwhile may be missed.
   */
  nextUsed(from: number): number {
    for (let slot = Math.max(0, from); slot < this.#high; slot++) {
      if (this.state(slot) !== FREE) return slot;
    }
    return -1;
  }

  #insertScratch(now: Micros): number {
    if (!isValidRecord(this.#scratch, 0, this.form)) {
      this.counters.invalid++;
      return -1;
    }
    const byClient = this.#findScratch(TO_BACKEND);
    const byBackend = this.#findScratch(TO_CLIENT);
    if (byClient >= 0) {
      if (byClient === byBackend && this.#equalsScratch(byClient)) return byClient;
      const epoch = recordEpoch(this.view, this.#recordAt(byClient), this.form);
      const offered = recordEpoch(this.#scratch, 0, this.form);
      if (!this.#isOver(byClient)) {
        if (offered > epoch && (byBackend < 0 || byBackend === byClient)) {
          return this.#replace(byClient, now);
        }
        if (offered < epoch) {
          this.counters.stale++;
          return -1;
        }
      }
    }
    if (!this.#isOver(byClient) || !this.#isOver(byBackend)) {
      this.counters.conflicts++;
      return -1;
    }
    this.#supersede(byClient);
    if (byBackend !== byClient) this.#supersede(byBackend);
    return this.#add(now);
  }

  #add(now: Micros): number {
    if (this.#size === this.maximum) {
      this.#supersede(this.reset.first >= 0 ? this.reset.first : this.lingering.first);
    }
    if (this.#size === this.maximum) {
      this.counters.full++;
      return -1;
    }
    let slot = this.#free;
    if (slot >= 0) this.#free = this.words[slot * this.slotWords + this.seen + FOLLOWING];
    else slot = this.#high++;
    const start = slot * this.slotWords;
    this.words.fill(0, start, start + this.slotWords);
    const at = start + this.seen;
    this.words[at + HOP + TO_CLIENT] = NO_HOP_WORD;
    this.#write(slot, now);
    this.words[at + STATUS] = OPEN;
    this.#size++;
    this.counters.inserted++;
    return slot;
  }

  /** The client stays and its backend changes: what was seen of the client still holds. */
  #replace(slot: number, now: Micros): number {
    this.#leaveQueue(slot);
    this.#index.remove(2 * slot + TO_BACKEND);
    this.#index.remove(2 * slot + TO_CLIENT);
    const at = slot * this.slotWords + this.seen;
    const known = this.words[at + STATUS] & (NEXT_KNOWN | ACKED_KNOWN | FIN_SEEN);
    for (const word of [NEXT, ACKED, TIMESTAMP, FIN_END]) this.words[at + word + TO_CLIENT] = 0;
    this.#write(slot, now);
    this.words[at + STATUS] = known | ((known & FIN_SEEN) !== 0 ? HALF_CLOSED : OPEN);
    this.counters.replaced++;
    return slot;
  }

  #write(slot: number, now: Micros): void {
    this.words.set(this.#scratchWords, slot * this.slotWords);
    this.words[slot * this.slotWords + this.seen + HOP + TO_BACKEND] = NO_HOP_WORD;
    this.words[slot * this.slotWords + this.seen + ACTIVITY] = Math.floor(now / 1_000);
    this.#index.add(2 * slot + TO_BACKEND);
    this.#index.add(2 * slot + TO_CLIENT);
  }

  #isOver(slot: number): boolean {
    return slot < 0 || this.state(slot) >= LINGERING;
  }

  /** A flow that is over makes room: news of its deletion may come after the new record. */
  #supersede(slot: number): void {
    if (slot < 0) return;
    this.remove(slot);
    this.counters.superseded++;
  }

  #leaveQueue(slot: number): void {
    const state = this.state(slot);
    if (state === LINGERING) this.lingering.remove(slot);
    else if (state === RESET) this.reset.remove(slot);
  }

  /** Where the record of a slot starts, in bytes. */
  #recordAt(slot: number): number {
    return slot * 4 * this.slotWords;
  }

  /** False if there are not as many bytes as a record has. */
  #takeScratch(view: DataView, at: number): boolean {
    const { recordBytes } = this.form;
    if (at < 0 || at + recordBytes > view.byteLength) return false;
    for (let byte = 0; byte < recordBytes; byte += 4) {
      this.#scratch.setUint32(byte, view.getUint32(at + byte));
    }
    return true;
  }

  #findScratch(direction: number): number {
    return this.find(this.#scratchWords, direction * this.form.keyWords) >> 1;
  }

  #equalsScratch(slot: number): boolean {
    const start = slot * this.slotWords;
    return this.#scratchWords.every((word, index) => this.words[start + index] === (word | 0));
  }
}
