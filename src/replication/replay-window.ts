// Which datagram numbers were seen already, as RFC 4303 (3.4.3) has it for IPsec.

const BITS = 1_024;

/** Numbers from 1; those more than 1,023 below the highest count as seen. */
export class ReplayWindow {
  readonly #seen = new Uint32Array(BITS / 32);
  #highest = 0;

  /** The highest number marked, or 0. */
  get highest(): number {
    return this.#highest;
  }

  /** True if `number` was not marked and is not too old to tell. */
  isFresh(number: number): boolean {
    if (number > this.#highest) return true;
    if (number <= this.#highest - BITS || number < 1) return false;
    const bit = number % BITS;
    return (this.#seen[bit >>> 5] & (1 << (bit & 31))) === 0;
  }

  /** Marks a number for which `isFresh` held. Call it only for what was authenticated. */
  mark(number: number): void {
    if (number > this.#highest) {
      if (number - this.#highest >= BITS) this.#seen.fill(0);
      else {
        for (let skipped = this.#highest + 1; skipped <= number; skipped++) {
          const bit = skipped % BITS;
          this.#seen[bit >>> 5] &= ~(1 << (bit & 31));
        }
      }
      this.#highest = number;
    }
    const bit = number % BITS;
    this.#seen[bit >>> 5] |= 1 << (bit & 31);
  }
}
