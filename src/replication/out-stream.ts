// The sending end of a stream: what waits, what is in flight, when to send it again.
import { MILLISECOND, type Micros, NEVER } from '../env/clock.ts';
import type { Datagram, DatagramPool } from './datagram.ts';
import { MAX_PLAIN } from './envelope.ts';
import { MESSAGE_HEADER } from './messages.ts';
import { distance, FIRST_NUMBER, WINDOW } from './stream.ts';

/** Datagrams that may wait or be in flight; a power of two. About 170,000 records. */
const CAPACITY = 8_192;
const MIN_RTO: Micros = 3 * MILLISECOND;
const MAX_RTO: Micros = 50 * MILLISECOND;
const FIRST_RTO: Micros = 5 * MILLISECOND;

/**
 * Numbers run from `una` (oldest unaccepted) over `next` (first not sent yet) to `open` (being filled).
 * The round trip is estimated as RFC 6298 has it, from datagrams sent once (Karn's rule).
 */
export class OutStream {
  readonly #ring: (Datagram | undefined)[] = new Array(CAPACITY).fill(undefined);
  readonly #pool: DatagramPool;
  #una = FIRST_NUMBER;
  #next = FIRST_NUMBER;
  #open = FIRST_NUMBER;
  #smoothed: Micros = 0;
  #variation: Micros = 0;
  #rto: Micros = FIRST_RTO;
  /** All tickets up to this one were accepted by the peer. */
  ackedTicket = 0;
  #lastTicket = 0;
  /** Datagrams in flight with something that somebody waits for. */
  #awaited = 0;
  /** When a datagram that was not full went out last. */
  #partAt: Micros = Number.NEGATIVE_INFINITY;

  constructor(pool: DatagramPool) {
    this.#pool = pool;
  }

  /** Datagrams sent and not accepted. */
  get inFlight(): number {
    return distance(this.#una, this.#next);
  }

  /** Datagrams that hold messages and are not accepted. */
  get backlog(): number {
    const opened = this.#ring[this.#open % CAPACITY] === undefined ? 0 : 1;
    return distance(this.#una, this.#open) + opened;
  }

  /** The smoothed round trip, or 0 while none was measured. */
  get roundTrip(): Micros {
    return this.#smoothed;
  }

  /** Forgets everything: the peer's next incarnation starts with the first number. */
  reset(ackedTicket: number): void {
    for (let index = 0; index < CAPACITY; index++) {
      const datagram = this.#ring[index];
      if (datagram !== undefined) this.#pool.give(datagram);
      this.#ring[index] = undefined;
    }
    this.#una = this.#next = this.#open = FIRST_NUMBER;
    this.#smoothed = this.#variation = 0;
    this.#rto = FIRST_RTO;
    this.ackedTicket = this.#lastTicket = ackedTicket;
    this.#partAt = Number.NEGATIVE_INFINITY;
    this.#awaited = 0;
  }

  /**
   * Says that the messages up to `ticket` are written. Tickets grow, or the acknowledgment of one would stand
   * for another that was not delivered (invariants I1 and I2).
   */
  stamp(datagram: Datagram, ticket: number): void {
    if (ticket <= this.#lastTicket) throw new Error('tickets out of order');
    datagram.ticket = this.#lastTicket = ticket;
  }

  /**
   * Where a message with a payload of `length` bytes may be written; undefined if the queue is full.
   * @param awaited whether somebody waits for its acknowledgment
   */
  room(length: number, awaited = true): Datagram | undefined {
    let datagram = this.#ring[this.#open % CAPACITY];
    if (datagram !== undefined) {
      if (datagram.end + MESSAGE_HEADER + length <= MAX_PLAIN) {
        datagram.awaited ||= awaited;
        return datagram;
      }
      this.#open = (this.#open + 1) >>> 0;
    }
    if (distance(this.#una, this.#open) >= CAPACITY - 1) return undefined;
    datagram = this.#pool.take();
    datagram.number = this.#open;
    datagram.awaited = awaited;
    this.#ring[this.#open % CAPACITY] = datagram;
    return datagram;
  }

  /**
   * The next datagram to be sent for the first time, if the window is open for it. One that is not full
   * waits for company while another that is awaited is in flight, and for `pace` after the last that was not full:
   * the more there is to do, the more each carries. One that is urgent waits for `pace` alone, and one that nobody
   * waits for goes when `all` do.
   */
  take(all: boolean, pace: Micros, now: Micros): Datagram | undefined {
    const datagram = this.#ring[this.#next % CAPACITY];
    if (datagram === undefined || this.inFlight >= WINDOW) return undefined;
    if (this.#next === this.#open) {
      if (!all && now < this.partAt(pace)) return undefined;
      this.#partAt = now;
      this.#open = (this.#open + 1) >>> 0;
    }
    if (datagram.awaited) this.#awaited++;
    this.#next = (this.#next + 1) >>> 0;
    return datagram;
  }

  /** When the next datagram to be sent, which is not full, need not wait any more; `NEVER` if that is not known. */
  partAt(pace: Micros): Micros {
    const datagram = this.#ring[this.#open % CAPACITY];
    if (datagram === undefined || this.#next !== this.#open) return NEVER;
    const goes = datagram.urgent || (datagram.awaited && this.#awaited === 0);
    return goes ? this.#partAt + pace : NEVER;
  }

  /**
   * Applies an acknowledgment; false if it speaks of what was never sent.
   * @param ack all before it was delivered
   * @param accepted and all before this one accepted
   */
  acknowledge(ack: number, accepted: number, low: number, high: number, now: Micros): boolean {
    const inFlight = this.inFlight;
    const delivered = distance(this.#una, ack);
    if (delivered > inFlight) return distance(ack, this.#una) < 0x8000_0000;
    // One that was overtaken by a later one may know of less.
    const advance = distance(this.#una, accepted);
    if (advance > delivered) return distance(accepted, this.#una) < 0x8000_0000;
    if (low !== 0 || high !== 0) this.#hold(delivered, low, high, now);
    for (let ahead = advance; ahead < delivered; ahead++) this.#holdOne(ahead, now);
    for (let count = 0; count < advance; count++) {
      const index = this.#una % CAPACITY;
      const datagram = this.#ring[index];
      this.#ring[index] = undefined;
      this.#una = (this.#una + 1) >>> 0;
      if (datagram === undefined) continue;
      if (datagram.awaited) this.#awaited--;
      this.#measure(datagram, now);
      if (datagram.ticket !== 0) this.ackedTicket = datagram.ticket;
      this.#pool.give(datagram);
    }
    return true;
  }

  /** Marks what came early; bit 0 stands for the one after the first that is missing, `first` from `una` on. */
  #hold(first: number, low: number, high: number, now: Micros): void {
    const last = Math.min(this.inFlight - first - 1, WINDOW);
    for (let bit = 0; bit < last; bit++) {
      const bits = bit < 32 ? low : high;
      if ((bits & (1 << (bit & 31))) !== 0) this.#holdOne(first + 1 + bit, now);
    }
  }

  /** What the peer has need not be sent again. */
  #holdOne(ahead: number, now: Micros): void {
    const datagram = this.#ring[((this.#una + ahead) >>> 0) % CAPACITY];
    if (datagram === undefined || datagram.held) return;
    this.#measure(datagram, now);
    datagram.held = true;
  }

  #measure(datagram: Datagram, now: Micros): void {
    if (datagram.held || datagram.sends !== 1) return;
    const sample = now - datagram.sentAt;
    if (this.#smoothed === 0) {
      this.#smoothed = Math.max(sample, 1);
      this.#variation = sample / 2;
    } else {
      this.#variation += (Math.abs(this.#smoothed - sample) - this.#variation) / 4;
      this.#smoothed += (sample - this.#smoothed) / 8;
    }
    this.#rto = Math.min(Math.max(this.#smoothed + 4 * this.#variation, MIN_RTO), MAX_RTO);
  }

  /** When `datagram` must be sent again: doubled each time, at most 50 ms after the last. */
  #deadline(datagram: Datagram): Micros {
    return datagram.sentAt + Math.min(this.#rto * 2 ** Math.min(datagram.sends - 1, 8), MAX_RTO);
  }

  /** When the next datagram must be sent again, or `NEVER`. */
  nextDeadline(): Micros {
    let at = NEVER;
    for (let number = this.#una; number !== this.#next; number = (number + 1) >>> 0) {
      const datagram = this.#ring[number % CAPACITY];
      if (datagram !== undefined && !datagram.held) at = Math.min(at, this.#deadline(datagram));
    }
    return at;
  }

  /** A datagram that must be sent again now; the caller sends it, which moves its deadline. */
  due(now: Micros): Datagram | undefined {
    for (let number = this.#una; number !== this.#next; number = (number + 1) >>> 0) {
      const datagram = this.#ring[number % CAPACITY];
      if (datagram !== undefined && !datagram.held && this.#deadline(datagram) <= now) {
        return datagram;
      }
    }
    return undefined;
  }
}
