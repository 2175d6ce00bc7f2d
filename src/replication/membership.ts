/**
 * Who lives: heartbeats, suspicion, and what becomes of two members that each hold the other for dead.
 * A life that was declared over never comes back; the process behind it must start a new one.
 */
import { type Micros, SECOND } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { Timer, type Timers } from '../env/timers.ts';
import { Contests } from './contests.ts';
import type { ReplicationCounters } from './counters.ts';
import type { Datagram } from './datagram.ts';
import { BODY_AT } from './envelope.ts';
import { type Incarnation, isSameIncarnation, NO_INCARNATION } from './incarnation.ts';
import { Isolation } from './isolation.ts';
import { ACTIVE, JOINING, LEAVING, type MemberState } from './member.ts';
import type { Mesh } from './mesh.ts';
import * as messages from './messages.ts';
import { MOST } from './patience.ts';
import type { Peer } from './peer.ts';
import type { View } from './takeover.ts';

/** A peer that has missed a heartbeat by half of one is asked whether it is there. */
const PROBE_AFTER_BEATS = 1.5;
/** And again so often until it is suspected. */
const PROBES = 6;

/** Heartbeats in which who went on without us says so. */
const DOUBT_BEATS = 6;

/** Who does not hear a member that others hear gives way after this. */
const UNHEARD: Micros = SECOND;

export interface MembershipOptions {
  readonly self: number;
  readonly incarnation: Incarnation;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly counters: ReplicationCounters;
  /** Time between two heartbeats. */
  readonly heartbeat: Micros;
  /** A peer silent for so long is suspected, if it has not shown that it needs more patience. */
  readonly suspectAfter: Micros;
  /** For so long after a change of view no flow is called unknown. */
  readonly grace: Micros;
  /**
   * A count that only grows, of what the world outside the cluster sends this member. Of two members that were
   * cut off from each other, the one that was spoken to more since then goes on.
   */
  readonly evidence: () => number;
  /** A count of all frames that came to this member, those of the mesh too. */
  readonly frames: () => number;
}

export interface MembershipEvents {
  /** The peer gets everything from now on. */
  up(peer: Peer, now: Micros): void;
  /** The view is new; the peer that left it, if one did, is not up any more. */
  viewed(view: View, now: Micros): void;
  /**
   * A peer that was suspected speaks again, or another sees the cluster otherwise than before: somebody may have
   * answered for addresses that are ours now.
   */
  returned(): void;
  /** This member may be the one that the others went on without: nothing is settled until `trusted`. */
  doubtful(): void;
  trusted(now: Micros): void;
  /** The peer's life is over. */
  down(peer: Peer, now: Micros): void;
  /** Called with each heartbeat of ours and of others, and when a peer changed. */
  beat(now: Micros): void;
  /** Our life is over; the next one must start in a later second than `floor`. */
  fenced(floor: Incarnation, now: Micros): void;
}

/** For so long a life is new. */
const NEW: Micros = (5 * SECOND) / 2;

export class Membership {
  readonly #options: MembershipOptions;
  readonly #mesh: Mesh;
  readonly #events: MembershipEvents;
  readonly #heartbeat: Timer;
  readonly #isolation: Isolation;
  /** What is held here must be announced again, once it is certain that it is. */
  #owed = false;
  #state: MemberState = JOINING;
  #view: View = { number: 0, active: [], homes: [] };
  #graceEnd: Micros = 0;
  /** With whom it may have to be settled who goes on. */
  readonly #contests: Contests;
  #lastRun: Micros = 0;
  #stood: Micros = 0;
  /** The members whose addresses this one holds beside its own; told to the others. */
  adopted: readonly number[] = [];

  constructor(options: MembershipOptions, mesh: Mesh, events: MembershipEvents) {
    this.#options = options;
    this.#mesh = mesh;
    this.#events = events;
    this.#heartbeat = new Timer((now) => this.#beat(now));
    const { frames, evidence, timers, heartbeat, suspectAfter, grace } = options;
    this.#contests = new Contests({ evidence, together: suspectAfter, grace });
    this.#isolation = new Isolation({
      frames,
      timers,
      quiet: suspectAfter,
      doubt: DOUBT_BEATS * heartbeat,
      begins: () => {
        // Who serves in our place hears us at once, and tells us.
        for (const peer of mesh.peers) peer.helloDue = true;
        events.doubtful();
      },
      ends: (now, isolated) => {
        events.trusted(now);
        if (isolated || this.#owed) events.returned();
        this.#owed = false;
      },
    });
  }

  get state(): MemberState {
    return this.#state;
  }

  get view(): View {
    return this.#view;
  }

  /** For how long this process has stood still in this life, where others may have suspected it for that. */
  get stood(): Micros {
    return this.#stood;
  }

  /** True while a flow that is not in the table may be known to others (invariant I4). */
  graceUntil(now: Micros): boolean {
    if (this.#state === JOINING || now < this.#graceEnd) return true;
    return this.#isolation.notice(now);
  }

  start(now: Micros): void {
    this.#lastRun = now;
    this.#graceEnd = now + this.#options.grace;
    this.#contests.start();
    this.#isolation.start(now);
    this.#options.timers.set(this.#heartbeat, now);
  }

  stop(): void {
    this.#isolation.stop();
    this.#options.timers.remove(this.#heartbeat);
  }

  /** From now on this member serves. */
  activate(now: Micros): void {
    this.#state = ACTIVE;
    for (const peer of this.#mesh.peers) peer.helloDue = true;
    this.#review(now);
  }

  /**
   * From now on this member takes nothing new: the others adopt its addresses on hearing that. Nothing happens while
   * nobody else is active; and if that comes to be, it is active again, for somebody must be.
   */
  leave(now: Micros): void {
    if (this.#inState(ACTIVE).every((id) => id === this.#options.self)) return;
    this.#state = LEAVING;
    for (const peer of this.#mesh.peers) this.#greet(peer);
    this.#review(now);
  }

  /** Tells all peers that this life ends now. Twice, for nothing repeats it. */
  farewell(): void {
    for (const peer of this.#mesh.peers) {
      for (let times = 0; peer.isUp && times < 2; times++) {
        const datagram = this.#mesh.control();
        messages.writeWord(datagram, messages.LEFT);
        this.#mesh.sendControl(peer, peer.latest, datagram);
      }
    }
  }

  /** Notices own stalls, and sends the heartbeats and fences that are due at once. Once a breath. */
  run(now: Micros): void {
    this.#noticeStall(now);
    this.#isolation.notice(now);
    for (const peer of this.#mesh.peers) {
      if (peer.stale !== undefined && now - peer.fencedAt >= this.#options.heartbeat) {
        this.#tell(peer, peer.stale);
        peer.fencedAt = now;
        peer.stale = undefined;
      }
      if (peer.helloDue) this.#greet(peer);
    }
  }

  /** A new incarnation hears us. Two members that both serve and never met cannot be made one. */
  admits(peer: Peer, declared: MemberState, now: Micros): boolean {
    if (peer.isUp) this.suspect(peer, 'it started again', now);
    const admitted = this.#state === JOINING || declared === JOINING;
    if (!admitted) {
      this.#options.logger.warn(
        { peer: peer.member.name },
        'a member serves that this one never met: one of the two will start again',
      );
    }
    return admitted;
  }

  established(peer: Peer, now: Micros): void {
    this.#noticeStall(now);
    peer.status = peer.declared === JOINING ? 'joining' : 'live';
    peer.helloDue = true;
    this.#contests.end(peer);
    peer.newUntil = now + NEW;
    this.#listen(peer, now);
    this.#options.logger.info({ peer: peer.member.name, status: peer.status }, 'member heard');
    this.#events.up(peer, now);
    this.#review(now);
    this.#events.beat(now);
  }

  heard(peer: Peer, declared: MemberState, now: Micros): void {
    this.#noticeStall(now);
    peer.patience.heard(now - peer.heardAt, now);
    this.#listen(peer, now);
    if (declared === peer.declared || declared === JOINING) return;
    if (peer.declared === JOINING && !peer.confirmed && this.#state !== JOINING) {
      // It never counted us in, so it has none of what is committed here.
      this.suspect(peer, 'it started without this member', now);
      this.#contests.end(peer);
      return;
    }
    peer.declared = declared;
    peer.status = 'live';
    this.#review(now);
    // It may wait to hear what we hold now.
    peer.helloDue = true;
    this.#events.beat(now);
  }

  /** Unnumbered messages; of a life that is over (`stale`) only its own fencing of us counts. */
  told(peer: Peer, body: Datagram, declared: MemberState, stale: boolean, now: Micros): void {
    const { view } = body;
    let at = BODY_AT;
    while (at < body.end && !this.#mesh.closed) {
      if (messages.messageType(view, at) === messages.FENCED) {
        const floor = messages.fencedFloor(view, at);
        this.#fencedBy(peer, declared, floor, messages.fencedEvidence(view, at), now);
      } else if (messages.messageType(view, at) === messages.PROBE) {
        if (!stale) peer.ackDue = true;
      } else if (messages.messageType(view, at) === messages.LEFT) {
        if (!stale) this.#departed(peer, now);
        return;
      } else if (messages.messageType(view, at) === messages.DIED) {
        // Its kernel says so, in its name: nobody needs to wait for silence.
        if (!stale) {
          this.#options.counters.deathsTold++;
          this.suspect(peer, 'its process ended', now);
        }
        return;
      } else if (!stale) {
        const viewNumber = messages.heartbeatView(view, at);
        if (viewNumber !== peer.viewNumber) this.#reclaim(now);
        peer.viewNumber = viewNumber;
        peer.adopted = messages.heartbeatAdopted(view, at);
        peer.members = messages.heartbeatMembers(view, at);
        if (peer.status === 'live') this.#giveWay(messages.heartbeatActive(view, at), now);
        this.#events.beat(now);
      }
      at = messages.messageEnd(view, at);
    }
  }

  silent(peer: Peer, now: Micros): void {
    this.#noticeStall(now);
    const { suspectAfter } = peer;
    const deadline = peer.heardAt + suspectAfter;
    if (now >= deadline) {
      peer.accused = true;
      this.#contests.begin(peer, now);
      this.#isolation.lost();
      this.suspect(peer, 'it is silent', now);
      return;
    }
    const { heartbeat, timers, counters } = this.#options;
    const probeAt = peer.heardAt + PROBE_AFTER_BEATS * heartbeat;
    if (now < probeAt) timers.set(peer.silenceTimer, Math.min(probeAt, deadline));
    else {
      counters.probesOut++;
      const datagram = this.#mesh.control();
      messages.writeWord(datagram, messages.PROBE);
      this.#mesh.sendControl(peer, peer.latest, datagram);
      timers.set(peer.silenceTimer, Math.min(now + suspectAfter / PROBES, deadline));
    }
  }

  /** It was not dead, or its process is back so soon that it is no use to take over from it so early. */
  returned(peer: Peer, now: Micros): void {
    const { counters, logger } = this.#options;
    const silence = now - peer.heardAt;
    peer.accused = false;
    this.#reclaim(now);
    if (silence > peer.patience.most) return;
    counters.suspicionsFalse++;
    peer.patience.wronged(silence, now);
    logger.info(
      { peer: peer.member.name, silentFor: silence, suspectAfter: peer.patience.threshold },
      'a suspected member was heard again',
    );
  }

  /** Declares the life of a peer that is up over. */
  suspect(peer: Peer, why: string, now: Micros): void {
    if (!peer.isUp) return;
    this.#options.counters.suspicions++;
    this.#options.logger.warn(
      {
        peer: peer.member.name,
        why,
        silentFor: now - peer.heardAt,
        suspectAfter: peer.suspectAfter,
      },
      'member suspected',
    );
    this.#mesh.drop(peer);
    this.#review(now);
    this.#events.down(peer, now);
    this.#events.beat(now);
  }

  /**
   * Two members that do not hear each other while a third hears both cannot both serve: what one commits the other
   * does not learn. The one with the higher id goes, and comes in again when it hears all.
   * @param active who serves in the eyes of another
   */
  #giveWay(active: readonly number[], now: Micros): void {
    const { self, incarnation, counters, logger } = this.#options;
    if (this.#state === JOINING || this.#mesh.closed) return;
    for (const other of this.#mesh.peers) {
      if (other.id > self) return;
      if (other.isUp || !active.includes(other.id)) {
        other.unheardSince = undefined;
        continue;
      }
      other.unheardSince ??= now;
      if (now - other.unheardSince < Math.max(UNHEARD, 4 * other.patience.most)) continue;
      counters.partialPartitions++;
      logger.error(
        { peer: other.member.name },
        'a member that this one does not hear lives: this one gives way',
      );
      this.#events.fenced(incarnation, now);
      return;
    }
  }

  /** What a zombie answered for is ours again, unless we may be the zombie. */
  #reclaim(now: Micros): void {
    this.#noticeStall(now);
    if (this.#isolation.notice(now)) this.#owed = true;
    else this.#events.returned();
  }

  #departed(peer: Peer, now: Micros): void {
    this.#options.counters.departures++;
    this.#options.logger.info({ peer: peer.member.name }, 'member left');
    this.#mesh.drop(peer, 'left');
    this.#review(now);
    this.#events.down(peer, now);
    this.#events.beat(now);
  }

  #listen(peer: Peer, now: Micros): void {
    peer.heardAt = now;
    peer.accused = false;
    const probe = PROBE_AFTER_BEATS * this.#options.heartbeat;
    this.#options.timers.set(peer.silenceTimer, now + Math.min(probe, peer.suspectAfter));
  }

  #beat(now: Micros): void {
    this.#noticeStall(now);
    for (const peer of this.#mesh.peers) this.#greet(peer);
    this.#options.timers.set(this.#heartbeat, now + this.#options.heartbeat);
    this.#events.beat(now);
  }

  /** Whom we could not hear because we did not run, we cannot accuse of silence. */
  #noticeStall(now: Micros): void {
    const { suspectAfter, heartbeat, counters, logger } = this.#options;
    const stall = now - this.#lastRun;
    this.#lastRun = now;
    if (stall - heartbeat <= suspectAfter / 4) return;
    counters.stalls++;
    for (const peer of this.#mesh.peers) {
      if (peer.isUp) peer.heardAt = Math.min(now, peer.heardAt + peer.patience.excuse(stall));
    }
    if (stall < suspectAfter) return;
    this.#stood += stall;
    logger.warn({ stall }, 'this process did not run for a while');
    // Without peers nobody can have gone on. Then nothing may wait, however often a busy machine lets this one stand.
    if (this.#state !== JOINING && this.#mesh.peers.some((peer) => peer.isUp)) {
      this.#isolation.stood(now);
    }
    if (stall >= MOST * suspectAfter) this.#contests.woke(now);
  }

  #greet(peer: Peer): void {
    peer.helloDue = false;
    if ((peer.status === 'suspected' || peer.status === 'left') && peer.candidate === undefined) {
      this.#tell(peer, peer.latest);
      return;
    }
    const to = peer.candidate ?? peer.session;
    this.#mesh.sendControl(peer, to?.incarnation ?? NO_INCARNATION, this.#hello());
  }

  #hello(): Datagram {
    const datagram = this.#mesh.control();
    const members = this.#mesh.peers.filter((peer) => peer.isUp).map((peer) => peer.id);
    const { number, active } = this.#view;
    messages.writeHeartbeat(datagram, number, this.adopted, members, active);
    return datagram;
  }

  /** Tells a life of `peer` that it is over. */
  #tell(peer: Peer, life: Incarnation): void {
    this.#options.counters.fencesOut++;
    const datagram = this.#hello();
    messages.writeFenced(datagram, peer.latest, this.#contests.evidence(peer));
    this.#mesh.sendControl(peer, life, datagram);
  }

  /** `peer` holds us for dead. One of the two must yield, and both must find the same one. */
  #fencedBy(
    peer: Peer,
    declared: MemberState,
    floor: Incarnation,
    evidence: number,
    now: Micros,
  ): void {
    const { incarnation, counters } = this.#options;
    counters.fencesIn++;
    // A later life of ours is known; or a live member of our own view went on without us.
    const overtaken =
      !isSameIncarnation(floor, incarnation) || (peer.status === 'live' && declared !== JOINING);
    if (overtaken || this.#yieldsTo(peer, declared, evidence)) {
      this.#events.fenced(floor, now);
    } else this.suspect(peer, 'it holds this member for dead', now);
  }

  /** Who serves wins against who joins; then who was spoken to more; then the lower id. */
  #yieldsTo(peer: Peer, declared: MemberState, evidence: number): boolean {
    const weServe = this.#state !== JOINING;
    if (weServe !== (declared !== JOINING)) return !weServe;
    const ours = this.#contests.evidence(peer);
    return ours === evidence ? peer.id < this.#options.self : ours < evidence;
  }

  #review(now: Micros): void {
    if (this.#state === LEAVING && this.#inState(ACTIVE).length === 0) this.activate(now);
    const active = this.#inState(ACTIVE);
    const homes = [...active, ...this.#inState(LEAVING)].sort((a, b) => a - b);
    const { view } = this;
    if (active.join() === view.active.join() && homes.join() === view.homes.join()) return;
    this.#view = { number: view.number + 1, active, homes };
    this.#graceEnd = now + this.#options.grace;
    this.#events.viewed(this.#view, now);
  }

  /** The members that say so of themselves. */
  #inState(state: MemberState): number[] {
    const ids = this.#mesh.peers
      .filter((peer) => peer.status === 'live' && peer.declared === state)
      .map((peer) => peer.id);
    if (this.#state === state) ids.push(this.#options.self);
    return ids.sort((a, b) => a - b);
  }
}
