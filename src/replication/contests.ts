/**
 * What of two members that each hold the other for dead the one has to say for itself: how much the world outside the
 * cluster said to it since it went without the other.
 */
import type { Micros } from '../env/clock.ts';
import type { Peer } from './peer.ts';

export interface ContestsOptions {
  /** See `MembershipOptions`. */
  readonly evidence: () => number;
  /** Peers that went silent within so long were lost together. */
  readonly together: Micros;
  /** For so long who woke from a long sleep has nothing to say. */
  readonly grace: Micros;
}

/** A peer went silent, and may hold this member for dead, too. */
interface Contest {
  readonly since: Micros;
  /** `evidence()` then. */
  readonly evidence: number;
}

export class Contests {
  readonly #options: ContestsOptions;
  readonly #contests = new Map<Peer, Contest>();
  /** `evidence()` when this life began. */
  #atStart = 0;
  #wokeAt: Micros = Number.NEGATIVE_INFINITY;

  constructor(options: ContestsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#atStart = this.#options.evidence();
  }

  /** This process runs again after it had not for so long that all others suspect it. */
  woke(now: Micros): void {
    this.#wokeAt = now;
  }

  /**
   * Begins to count what the world says to this member without the peer. It counts on until the peer is here
   * again (`end`), whatever the view does meanwhile: of two that compare, each must have told less than it has, or both
   * yield. Peers that were lost together are counted from one moment, so that nobody's yielding goes round in a ring.
   */
  begin(peer: Peer, now: Micros): void {
    let contest: Contest = { since: now, evidence: this.#options.evidence() };
    for (const [other, begun] of this.#contests) {
      const together = now - begun.since < this.#options.together && !other.isUp;
      if (together && begun.since < contest.since) contest = begun;
    }
    this.#contests.set(peer, contest);
  }

  end(peer: Peer): void {
    this.#contests.delete(peer);
  }

  /**
   * What the world said to this member since the peer went silent, or in this life. Who woke from a long sleep just before
   * has nothing to say: the world went on without it. (Short ones a busy machine has all the time.)
   */
  evidence(peer: Peer): number {
    const { evidence, grace } = this.#options;
    const contest = this.#contests.get(peer);
    const { since = Number.NEGATIVE_INFINITY } = contest ?? {};
    const then = contest?.evidence ?? this.#atStart;
    if (since >= this.#wokeAt && since < this.#wokeAt + grace) return 0;
    return Math.min(1 + evidence() - then, 0xffff_ffff);
  }
}
