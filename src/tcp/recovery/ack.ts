// What one acknowledgment says, gathered while it is taken apart. One instance serves all connections, one
// acknowledgment at a time.
import type { Micros } from '../../env/clock.ts';

export class AckFacts {
  /** SND.UNA before it. */
  priorUna = 0;
  /** The highest reported number before it. */
  priorFack = 0;
  priorSacked = 0;
  /** It acknowledges something new. */
  advanced = false;
  /** It carries text or a FIN, so that it is no duplicate. */
  hasData = false;
  windowUpdated = false;
  /** It echoes a congestion mark (RFC 3168). */
  echo = false;
  /** It covers a segment that was not acknowledged; one that was sent only once; one sent again. */
  acked = false;
  originalDelivered = false;
  retransAcked = false;
  /** It reports something new out of order. */
  sacked = false;
  /** It reports something received twice (RFC 2883); that something is a tail loss probe. */
  dsack = false;
  dsackTlp = false;
  /** What it acknowledges ends before something reported: the peer may have thrown that away. */
  reneging = false;
  /** It showed that a retransmission is lost. */
  lostRetrans = false;
  /** The timer is to be set anew. */
  setTimer = false;
  /** It may have waited in the peer for a second segment. */
  maybeDelayed = false;
  /** The lowest number that was delivered later than something behind it. */
  reordered = 0;
  /** When the first and the last segment left that it reports for the first time; -1 for none. */
  firstSackedAt: Micros = -1;
  lastSackedAt: Micros = -1;
  /** Segments delivered when the latest of those that it covers was sent; -1 for none. */
  priorDelivered = -1;

  begin(una: number, fack: number, sackedOut: number, nxt: number): void {
    this.priorUna = una;
    this.priorFack = fack;
    this.priorSacked = sackedOut;
    this.advanced = false;
    this.hasData = false;
    this.windowUpdated = false;
    this.echo = false;
    this.acked = false;
    this.originalDelivered = false;
    this.retransAcked = false;
    this.sacked = false;
    this.dsack = false;
    this.dsackTlp = false;
    this.reneging = false;
    this.lostRetrans = false;
    this.setTimer = false;
    this.maybeDelayed = false;
    this.reordered = nxt;
    this.firstSackedAt = -1;
    this.lastSackedAt = -1;
    this.priorDelivered = -1;
  }

  /** True if it cannot be a duplicate (RFC 5681, section 2). */
  get isNoDuplicate(): boolean {
    return this.hasData || this.windowUpdated || this.acked;
  }
}
