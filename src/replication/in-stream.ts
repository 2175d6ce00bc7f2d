// The receiving end of a stream: each datagram once, in order; what comes early waits.
import type { Datagram, DatagramPool } from './datagram.ts';
import { distance, FIRST_NUMBER, WINDOW } from './stream.ts';

/** What became of a datagram. */
export type Arrival = 'delivered' | 'early' | 'duplicate' | 'beyond';

export class InStream {
  readonly #early: (Datagram | undefined)[] = new Array(WINDOW).fill(undefined);
  readonly #pool: DatagramPool;
  readonly #deliver: (datagram: Datagram) => void;
  #expected = FIRST_NUMBER;
  /** By datagram: how many of its proposals wait to be accepted. */
  readonly #waiting = new Map<number, number>();
  #low = 0;
  #high = 0;
  /** Raised by `reset`, which a handler may cause in the middle of a delivery. */
  #life = 0;

  constructor(pool: DatagramPool, deliver: (datagram: Datagram) => void) {
    this.#pool = pool;
    this.#deliver = deliver;
  }

  /** The number not delivered yet: all before it were. */
  get expected(): number {
    return this.#expected;
  }

  /** The lowest number not delivered, or with a proposal that is not accepted yet. */
  get accepted(): number {
    let lowest = this.#expected;
    for (const number of this.#waiting.keys()) {
      if (distance(number, lowest) < 0x8000_0000) lowest = number;
    }
    return lowest;
  }

  /** Withholds the acceptance of the datagram that is being delivered. */
  defer(): void {
    this.#waiting.set(this.#expected, (this.#waiting.get(this.#expected) ?? 0) + 1);
  }

  /** A proposal of a datagram is decided that was deferred. */
  decided(number: number): void {
    const left = (this.#waiting.get(number) ?? 0) - 1;
    if (left > 0) this.#waiting.set(number, left);
    else this.#waiting.delete(number);
  }

  /** Bit i: number `expected` + 1 + i is here, for i below 32. */
  get sackLow(): number {
    return this.#low;
  }

  /** The same for i from 32 to 63. */
  get sackHigh(): number {
    return this.#high;
  }

  reset(): void {
    for (let index = 0; index < WINDOW; index++) {
      const datagram = this.#early[index];
      if (datagram !== undefined) this.#pool.give(datagram);
      this.#early[index] = undefined;
    }
    this.#expected = FIRST_NUMBER;
    this.#waiting.clear();
    this.#low = this.#high = 0;
    this.#life++;
  }

  /**
   * Takes `datagram` with its number in the stream and delivers what is in order now. It goes back to the
   * pool, here or later: the caller must not use it again.
   */
  receive(datagram: Datagram, number: number): Arrival {
    const ahead = distance(this.#expected, number);
    if (ahead === 0) {
      this.#deliverFrom(datagram);
      return 'delivered';
    }
    if (ahead > WINDOW) {
      this.#pool.give(datagram);
      return distance(number, this.#expected) <= 0x7fff_ffff ? 'duplicate' : 'beyond';
    }
    const slot = number % WINDOW;
    if (this.#early[slot] !== undefined) {
      this.#pool.give(datagram);
      return 'duplicate';
    }
    this.#early[slot] = datagram;
    if (ahead <= 32) this.#low |= 1 << (ahead - 1);
    else this.#high |= 1 << (ahead - 33);
    return 'early';
  }

  #deliverFrom(first: Datagram): void {
    const life = this.#life;
    let datagram: Datagram | undefined = first;
    while (datagram !== undefined) {
      this.#deliver(datagram);
      this.#pool.give(datagram);
      if (life !== this.#life) return;
      this.#expected = (this.#expected + 1) >>> 0;
      const slot: number = this.#expected % WINDOW;
      // The bit of the number that is expected now leaves the map.
      datagram = (this.#low & 1) === 0 ? undefined : this.#early[slot];
      this.#low = (this.#low >>> 1) | (this.#high << 31);
      this.#high >>>= 1;
      if (datagram !== undefined) this.#early[slot] = undefined;
    }
  }
}
