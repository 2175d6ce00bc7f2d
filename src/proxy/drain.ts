// A member that leaves in order. Its addresses go first, so that nothing new comes to it; what it began it
// finishes; and only then it is gone. Its splices need none of that: every member has them. Only if nobody else
// serves they would end with it: then it waits for their end, or for somebody who takes over.
import { MILLISECOND, type Micros } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { ACTIVE, JOINING } from '../replication/member.ts';
import type { Replicator } from '../replication/replicator.ts';

/** How long a member stays after another has its addresses: as long as neighbours may not know of that. */
const STAY: Micros = 250 * MILLISECOND;

/** What became of a drain. */
export interface DrainOutcome {
  /** `left`: nothing was lost. `late`: it was not done in time. `fenced`: the others went on without it before. */
  readonly result: 'left' | 'late' | 'fenced';
  /** True if the addresses are with another member. */
  readonly handedOver: boolean;
  /** Clients whose connection was at its beginning: the others go on with them when they speak. */
  readonly yielded: number;
  /** Relayed connections that were cut. */
  readonly cut: number;
  /** Spliced connections that end because no other member has them. */
  readonly lost: number;
  readonly took: Micros;
}

/** What is to be finished. */
export interface DrainWork {
  readonly counters: {
    readonly pending: number;
    readonly activeRelays: number;
    readonly yielded: number;
  };
  /** Records in the table. */
  readonly splices: number;
  /** Leaves clients that have not said anything yet to the others. */
  yieldSilent(): void;
  /** Takes no more clients. */
  refuse(): void;
}

export class Drain {
  readonly #replicator: Replicator;
  readonly #work: DrainWork;
  readonly #done: (outcome: DrainOutcome) => void;
  readonly #yieldedBefore: number;
  readonly #startedAt: Micros;
  #limitAt: Micros;
  /** When nothing was held any more. */
  #freeAt: Micros | undefined;
  #isOver = false;

  /** Hands the addresses over. */
  constructor(
    replicator: Replicator,
    work: DrainWork,
    logger: Logger,
    now: Micros,
    limit: Micros,
    done: (outcome: DrainOutcome) => void,
  ) {
    this.#replicator = replicator;
    this.#work = work;
    this.#done = done;
    this.#yieldedBefore = work.counters.yielded;
    this.#startedAt = now;
    this.#limitAt = now + limit;
    if (replicator.state === JOINING) this.#freeAt = now - STAY;
    logger.info({ event: 'draining', limit }, 'draining: the addresses are handed over');
    replicator.leave();
    // Nobody else would take them, and they would end with this member.
    if (replicator.state === ACTIVE) work.refuse();
  }

  /** Somebody else wants it done by then, too. */
  hurry(limitAt: Micros): void {
    this.#limitAt = Math.min(this.#limitAt, limitAt);
  }

  /** Looks how far it is. Once a breath. */
  step(now: Micros): void {
    if (this.#isOver) return;
    const { counters } = this.#work;
    const { holdsNothing, state, unacked } = this.#replicator;
    if (state === ACTIVE) this.#replicator.leave();
    const isFree = holdsNothing || (state === ACTIVE && this.#work.splices === 0);
    if (!isFree) this.#freeAt = undefined;
    else this.#freeAt ??= now;
    if (this.#freeAt !== undefined) this.#work.yieldSilent();
    const stayed = this.#freeAt !== undefined && (!holdsNothing || now >= this.#freeAt + STAY);
    const idle = counters.pending === 0 && counters.activeRelays === 0 && unacked === 0;
    if (stayed && idle) this.#finish('left', now);
    else if (now >= this.#limitAt) this.#finish('late', now);
  }

  /** The others went on without this member. */
  fenced(now: Micros): void {
    if (!this.#isOver) this.#finish('fenced', now);
  }

  #finish(result: DrainOutcome['result'], now: Micros): void {
    this.#isOver = true;
    const { counters, splices } = this.#work;
    const handedOver = this.#replicator.holdsNothing;
    this.#done({
      result,
      handedOver,
      yielded: counters.pending + counters.yielded - this.#yieldedBefore,
      cut: counters.activeRelays,
      lost: handedOver || result === 'fenced' ? 0 : splices,
      took: now - this.#startedAt,
    });
  }
}
