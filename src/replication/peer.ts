// All that a member knows of one other member.
import { type Micros, NEVER } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Datagram, DatagramPool } from './datagram.ts';
import { InStream } from './in-stream.ts';
import { type Incarnation, NO_INCARNATION, PastLives } from './incarnation.ts';
import { JOINING, type Member, type MemberState } from './member.ts';
import { OutStream } from './out-stream.ts';
import type { Patience } from './patience.ts';
import type { Sealer, Session } from './seal.ts';

/**
 * `unknown`: not heard yet, or not in both directions. `joining`: it gets everything but serves nothing.
 * `live`: it serves, or is leaving. `suspected`, `left`: its incarnation is over for us, whatever it still says.
 */
export type PeerStatus = 'unknown' | 'joining' | 'live' | 'suspected' | 'left';

/** What a peer's callbacks need; the mesh gives them. */
export interface PeerHandlers {
  deliver(peer: Peer, datagram: Datagram): void;
  retransmit(peer: Peer, now: Micros): void;
  /** The time of the peer's deadline has come. */
  silent(peer: Peer, now: Micros): void;
}

export class Peer {
  readonly member: Member;
  readonly sealer: Sealer;
  readonly patience: Patience;
  readonly outgoing: OutStream;
  readonly incoming: InStream;
  readonly retransmitTimer: Timer;
  readonly silenceTimer: Timer;
  /** Wakes the mesh when the peer must be told what is settled. */
  readonly settledTimer = new Timer(() => {});
  /** Wakes it when a datagram has waited for company long enough. */
  readonly paceTimer = new Timer(() => {});
  /** The incarnations that were in the mesh with us, or were refused. */
  readonly pastLives: PastLives = new PastLives();

  status: PeerStatus = 'unknown';
  /** What it last said of itself. */
  declared: MemberState = JOINING;
  /** The incarnation that is, or was before it was suspected, in the mesh with us. */
  session: Session | undefined = undefined;
  /** A later incarnation that was heard, but has not shown yet that it hears us. */
  candidate: Session | undefined = undefined;
  /** An incarnation that is over and was heard again: it must be told. */
  stale: Incarnation | undefined = undefined;
  /** True once it told us that it counts us in: whatever it commits from then on reaches us. */
  confirmed = false;
  /** We owe it an acknowledgment at the end of this breath. */
  ackDue = false;
  /** Up to which ticket it was told that all have what we sent; when it must be told more. */
  toldSettled = 0;
  settledAt: Micros = NEVER;
  /** We owe it a heartbeat at the end of this breath. */
  helloDue = false;
  /** It was suspected for its silence, and was not heard since. */
  accused = false;
  /** Since when another member says that this one lives, which we do not hear. */
  unheardSince: Micros | undefined = undefined;
  /** When an authentic datagram of its session or candidate came last. */
  heardAt: Micros = Number.NEGATIVE_INFINITY;
  /** Until then this life is new: code that runs for the first time takes long. */
  newUntil: Micros = Number.NEGATIVE_INFINITY;
  /** When whatever waits to be sent goes out, though nobody waits for it. */
  flushAllAt: Micros = 0;
  /** When a key was last derived for an unknown incarnation. */
  derivedAt: Micros = Number.NEGATIVE_INFINITY;
  /** When `stale` was last told. */
  fencedAt: Micros = Number.NEGATIVE_INFINITY;
  /** From its last heartbeat: the number of its view, whose addresses it holds, to whom it replicates. */
  viewNumber = 0;
  adopted: readonly number[] = [];
  members: readonly number[] | undefined = undefined;

  constructor(
    member: Member,
    sealer: Sealer,
    patience: Patience,
    pool: DatagramPool,
    handlers: PeerHandlers,
  ) {
    this.member = member;
    this.sealer = sealer;
    this.patience = patience;
    this.outgoing = new OutStream(pool);
    this.incoming = new InStream(pool, (datagram) => handlers.deliver(this, datagram));
    this.retransmitTimer = new Timer((now) => handlers.retransmit(this, now));
    this.silenceTimer = new Timer((now) => handlers.silent(this, now));
  }

  get id(): number {
    return this.member.id;
  }

  /** True if it gets everything that is committed. */
  get isUp(): boolean {
    return this.status === 'live' || this.status === 'joining';
  }

  /** The latest of them. */
  get latest(): Incarnation {
    return this.session?.incarnation ?? NO_INCARNATION;
  }

  /** Silence after which it is suspected. */
  get suspectAfter(): Micros {
    const { patience, status } = this;
    const isNew = status === 'joining' || this.heardAt < this.newUntil;
    return isNew ? patience.joiningThreshold : patience.threshold;
  }

  /** Starts or ends a life: streams from the first number, nothing known. */
  reset(status: PeerStatus): void {
    this.status = status;
    this.outgoing.reset(0);
    this.incoming.reset();
    this.confirmed = this.ackDue = false;
    this.toldSettled = 0;
    this.settledAt = NEVER;
    this.adopted = [];
    this.members = undefined;
  }
}
