// How a link's reader waits for the next frame: the event loop does it where little happens; a thread that is attentive
// waits itself, and looks again and again first where answers come sooner than the kernel would wake it.
import { MILLISECOND, type Micros } from '../env/clock.ts';

/**
 * The thread itself waits for the next frame where the last one came this soon, and so long at the most. To sleep in the event
 * loop takes longer, which a busy link would pay at every lull.
 */
const LULL: Micros = MILLISECOND;
/** How long it looks before it sleeps, which the kernel takes about as long to end. */
const SPIN: Micros = 100;
/**
 * It does so only where at least this share of the last waits were short, rest and waking included, and came after so few
 * frames at most: a packet and its answer. Who has more to handle leaves others more to do, and needs their processor less.
 */
const ENOUGH = 0.4;
const SHORT: Micros = 2 * SPIN;
const FEW = 4;
/** Weight of the last wait in that share. */
const RECENT = 1 / 8;

export class Attention {
  #waitsItself = false;
  /** Frames received until the wait before. */
  #received = 0;
  /** The share of short waits among the last ones. */
  #short = 0;

  /** Whether the thread itself waits; otherwise the event loop does. */
  get waitsItself(): boolean {
    return this.#waitsItself;
  }

  /** For how long the thread looks before it sleeps; 0 where that is in vain. */
  get spin(): Micros {
    return this.#short < ENOUGH ? 0 : SPIN;
  }

  /**
   * A wait is over.
   * @param received frames received so far, before it
   * @param isThere whether a frame ended it
   */
  waited(from: Micros, now: Micros, received: number, isThere: boolean): void {
    const isShort = isThere && now - from < SHORT && received - this.#received <= FEW;
    this.#short += ((isShort ? 1 : 0) - this.#short) * RECENT;
    this.#received = received;
    this.#waitsItself = isThere && now - from < LULL;
  }
}
