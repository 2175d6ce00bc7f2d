// How many ICMP errors we send (RFC 1812, section 4.3.2.8; RFC 4443, section 2.4 f): a bucket that fills with
// time.
import { type Micros, SECOND } from '../env/clock.ts';

/** Errors a second at most, to everybody together. */
const ERRORS_PER_SECOND = 100;

export class ErrorLimit {
  #allowance = ERRORS_PER_SECOND;
  #filledAt: Micros = 0;

  /** True if one more may be sent now. */
  allow(now: Micros): boolean {
    const filled = ((now - this.#filledAt) / SECOND) * ERRORS_PER_SECOND;
    this.#allowance = Math.min(ERRORS_PER_SECOND, this.#allowance + filled);
    this.#filledAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}
