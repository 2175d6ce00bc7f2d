/**
 * What was sent to the peers and is not acknowledged by all of them, in the order of its tickets. Tickets
 * count from 1; each peer acknowledges them in order, so one number a peer says how far it is.
 */
import type { Micros } from '../env/clock.ts';
import { MAX_KEPT_BYTES } from './messages.ts';

/** Called once: true when every member that was up has it, false if this member gave up before. */
export type Done = (ok: boolean) => void;

const FIRST_CAPACITY = 256;

export class Pending {
  /** The oldest ticket that is not settled. */
  #first = 1;
  #next = 1;
  #capacity = FIRST_CAPACITY;
  #types = new Uint8Array(FIRST_CAPACITY);
  #payloads = new Uint8Array(FIRST_CAPACITY * MAX_KEPT_BYTES);
  #lengths = new Uint8Array(FIRST_CAPACITY);
  #started = new Float64Array(FIRST_CAPACITY);
  #done: (Done | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);

  /** Tickets not settled. */
  get size(): number {
    return this.#next - this.#first;
  }

  /** The last ticket given out, or 0. */
  get last(): number {
    return this.#next - 1;
  }

  /** The last ticket settled, or 0. */
  get settled(): number {
    return this.#first - 1;
  }

  /** When the oldest ticket was given out; undefined if none is open. */
  get oldest(): Micros | undefined {
    return this.size > 0 ? this.#started[this.#first % this.#capacity] : undefined;
  }

  /** Keeps `payload` (at most `MAX_KEPT_BYTES`) of a message of `type`; returns its ticket. */
  add(type: number, payload: Uint8Array, done: Done | undefined, now: Micros): number {
    if (this.size === this.#capacity) this.#grow();
    const ticket = this.#next++;
    const index = ticket % this.#capacity;
    this.#types[index] = type;
    this.#lengths[index] = payload.length;
    this.#payloads.set(payload, index * MAX_KEPT_BYTES);
    this.#started[index] = now;
    this.#done[index] = done;
    return ticket;
  }

  /** Settles the tickets up to `ticket`; `observe` learns how long each waited that somebody waits for. */
  settle(ticket: number, ok: boolean, now: Micros, observe: (waited: Micros) => void): void {
    while (this.#first <= ticket && this.#first < this.#next) {
      const index = this.#first++ % this.#capacity;
      const done = this.#done[index];
      this.#done[index] = undefined;
      if (done === undefined) continue;
      observe(now - this.#started[index]);
      done(ok);
    }
  }

  /** All that is not settled, in order; `payload` is valid during the call only. */
  forEach(visit: (ticket: number, type: number, payload: Uint8Array) => void): void {
    for (let ticket = this.#first; ticket < this.#next; ticket++) {
      const index = ticket % this.#capacity;
      const at = index * MAX_KEPT_BYTES;
      visit(ticket, this.#types[index], this.#payloads.subarray(at, at + this.#lengths[index]));
    }
  }

  #grow(): void {
    const from = this.#capacity;
    const to = from * 2;
    const types = new Uint8Array(to);
    const payloads = new Uint8Array(to * MAX_KEPT_BYTES);
    const lengths = new Uint8Array(to);
    const started = new Float64Array(to);
    const done: (Done | undefined)[] = new Array(to).fill(undefined);
    for (let ticket = this.#first; ticket < this.#next; ticket++) {
      const source = ticket % from;
      const target = ticket % to;
      types[target] = this.#types[source];
      lengths[target] = this.#lengths[source];
      started[target] = this.#started[source];
      done[target] = this.#done[source];
      const at = source * MAX_KEPT_BYTES;
      payloads.set(this.#payloads.subarray(at, at + MAX_KEPT_BYTES), target * MAX_KEPT_BYTES);
    }
    this.#capacity = to;
    this.#types = types;
    this.#payloads = payloads;
    this.#lengths = lengths;
    this.#started = started;
    this.#done = done;
  }
}
