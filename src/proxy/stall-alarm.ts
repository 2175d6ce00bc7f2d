// Says once that replication does not get on, and once that it does again.
import { type Micros, SECOND } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';

/** What a peer has not acknowledged for longer is stalled: longer than it takes to suspect the peer. */
const STALLED: Micros = SECOND;

export class StallAlarm {
  readonly #logger: Logger;
  #since: Micros | undefined;
  /** How often it began. */
  stalls = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get isOn(): boolean {
    return this.#since !== undefined;
  }

  /** @param lag age of the oldest message that a peer has not acknowledged */
  look(lag: Micros, unacked: number, now: Micros): void {
    const since = this.#since;
    if (lag > STALLED === (since !== undefined)) return;
    if (since === undefined) {
      this.#since = now - lag;
      this.stalls++;
      this.#logger.warn({ event: 'stalled', lag, unacked }, 'replication stalls: commits wait');
    } else {
      this.#since = undefined;
      this.#logger.info({ event: 'unstalled', lasted: now - since }, 'replication gets on again');
    }
  }
}
