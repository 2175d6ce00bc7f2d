// What a member saw of a flow and others may not have: the packets of one flow may pass by way of several, and
// none of them sees the whole of its end, or hears every sign of life. Nothing is told where the packets of a flow
// pass by way of its home alone.
//
//   key of the record (16 or 40)   flags (1): facts, and below   ends of the two FINs (4 each)
import { type Clock, type Micros, SECOND } from '../env/clock.ts';
import { SEEN_BYTES } from '../replication/messages.ts';
import type { Replicator } from '../replication/replicator.ts';
import type { DualSplicer } from '../splice/dual.ts';
import { FACTS_MASK } from '../splice/facts.ts';
import { formOfKey, MAX_KEY_BYTES, MAX_RECORD_BYTES } from '../splice/form.ts';
import { recordEpoch, recordHome, TO_BACKEND, TO_CLIENT, writeKey } from '../splice/record.ts';
import type { Splicer } from '../splice/splicer.ts';

/** A flow is silent at the member that asks. */
const ASKS = 0x10;
/** It is not at the member that answers. */
const HEARD = 0x20;

/** It is told since somebody joins: packets need not go by way of several members. */
const SHOWN = 0x40;

/** How long other members are told, after a packet that passed by way of a member that is not its flow's home. */
const SPREAD: Micros = 60 * SECOND;

export interface SightingsOptions {
  readonly self: number;
  readonly splicer: DualSplicer;
  readonly replicator: () => Replicator | undefined;
  readonly clock: Clock;
}

export class Sightings {
  readonly counters = { sightingsTold: 0, sightingsHeard: 0 };
  readonly #self: number;
  readonly #splicer: DualSplicer;
  readonly #replicator: () => Replicator | undefined;
  readonly #clock: Clock;
  readonly #record = new Uint8Array(MAX_RECORD_BYTES);
  readonly #recordView = new DataView(this.#record.buffer);
  readonly #message = new Uint8Array(MAX_KEY_BYTES + SEEN_BYTES);
  readonly #view = new DataView(this.#message.buffer);
  /** The words of a flow, as tables are searched by them. */
  readonly #words = new Uint32Array(this.#record.buffer);
  #spreadUntil: Micros = 0;

  constructor({ self, splicer, replicator, clock }: SightingsOptions) {
    this.#self = self;
    this.#splicer = splicer;
    this.#replicator = replicator;
    this.#clock = clock;
  }

  /** Packets do not keep to the homes of their flows: what is seen is told for a while. */
  expect(now: Micros): void {
    this.#spreadUntil = now + SPREAD;
  }

  /** Whether packets pass by way of members that are not their flows' homes. */
  isExpectedAt(now: Micros): boolean {
    return now < this.#spreadUntil;
  }

  /** Tells the other members what was seen of a flow's end; false if there is no need. */
  tell(splicer: Splicer, slot: number, facts: number): boolean {
    splicer.table.copyRecord(slot, this.#record, 0);
    const home = recordHome(this.#recordView, 0, splicer.table.form);
    const active = this.#replicator()?.currentView.active ?? [];
    const now = this.#clock.now();
    if (home !== this.#self && active.includes(home)) this.expect(now);
    if (!this.isExpectedAt(now) || active.length < 2) return false;
    this.#send(splicer, slot, facts);
    return true;
  }

  /** Asks the other members whether they heard of a flow that is silent here. */
  ask(splicer: Splicer, slot: number): void {
    if ((this.#replicator()?.currentView.active.length ?? 0) > 1) {
      splicer.table.copyRecord(slot, this.#record, 0);
      this.#send(splicer, slot, splicer.lifecycle.facts(slot) | ASKS);
    }
  }

  /** Tells what is known of a flow's end: a member that joins has got its record alone. */
  show(splicer: Splicer, slot: number): void {
    const facts = splicer.lifecycle.facts(slot);
    if (facts === 0) return;
    splicer.table.copyRecord(slot, this.#record, 0);
    this.#send(splicer, slot, facts | SHOWN);
  }

  /** Takes what another member told; of a flow that is not here, or not the same any more, nothing. */
  hear(message: Uint8Array): void {
    const keyBytes = message.length - SEEN_BYTES;
    const form = formOfKey(keyBytes);
    if (form === undefined) return;
    this.counters.sightingsHeard++;
    const splicer = this.#splicer.of(form);
    const { table, lifecycle } = splicer;
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    this.#record.set(message.subarray(0, form.flowBytes));
    const flow = table.find(this.#words, 0);
    if (flow < 0 || (flow & 1) !== 0) return;
    const slot = flow >> 1;
    table.copyRecord(slot, this.#record, 0);
    if (recordEpoch(this.#recordView, 0, form) !== view.getUint32(form.flowBytes, true)) return;
    const now = this.#clock.now();
    const flags = view.getUint8(keyBytes);
    if ((flags & HEARD) !== 0) lifecycle.revive(slot, now);
    if ((flags & ASKS) !== 0 && lifecycle.isHeard(slot, now)) {
      this.#send(splicer, slot, lifecycle.facts(slot) | HEARD);
    }
    if ((flags & FACTS_MASK) === 0) return;
    if ((flags & SHOWN) === 0) this.expect(now);
    const ends = [view.getUint32(keyBytes + 1), view.getUint32(keyBytes + 5)] as const;
    lifecycle.learn(slot, flags & FACTS_MASK, ...ends, now);
  }

  /** Sends what is known of the flow whose record is in `#record`. */
  #send({ table: { form }, lifecycle }: Splicer, slot: number, flags: number): void {
    const length = writeKey(this.#recordView, 0, form, this.#message);
    this.#view.setUint8(length, flags);
    this.#view.setUint32(length + 1, lifecycle.finEnd(slot, TO_BACKEND));
    this.#view.setUint32(length + 5, lifecycle.finEnd(slot, TO_CLIENT));
    this.counters.sightingsTold++;
    this.#replicator()?.tell(this.#message.subarray(0, length + SEEN_BYTES));
  }
}
