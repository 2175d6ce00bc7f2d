/**
 * The mesh: one stream of sealed datagrams to and from each peer. It checks what comes in, tells lives of a
 * peer apart, acknowledges and repeats. What the messages mean is not its concern.
 */
import type { Clock, Micros } from '../env/clock.ts';
import { MILLISECOND, NEVER } from '../env/clock.ts';
import type { Timers } from '../env/timers.ts';
import type { Address } from '../ip/address.ts';
import type { ReplicationCounters } from './counters.ts';
import { type Datagram, DatagramPool } from './datagram.ts';
import * as envelope from './envelope.ts';
import { type Incarnation, isSameIncarnation } from './incarnation.ts';
import { isMemberState, type Member, type MemberState } from './member.ts';
import { DIED, isValidBody, writeWord } from './messages.ts';
import type { Patiences } from './patience.ts';
import { Peer, type PeerHandlers } from './peer.ts';
import type { DatagramPort } from './port.ts';
import { ClusterKey, Sealer, Session } from './seal.ts';

/** At most one key is derived for an unknown incarnation of a peer in this time. */
const DERIVE_EVERY: Micros = 2 * MILLISECOND;
/** What waits for company, or for nobody, is sent at least this often; heartbeats see to the breath. */
const FLUSH_ALL_EVERY: Micros = 5 * MILLISECOND;
/**
 * While this member has no time to spare, a datagram that is not full leaves so long after the last one: to seal, send,
 * open and acknowledge it costs as much as a dozen messages.
 */
const PACE: Micros = 4 * MILLISECOND;
/** What is settled is told so soon if nothing else goes to a peer: by then it may translate, too. */
const SETTLED_WITHIN: Micros = MILLISECOND / 2;
/** A datagram sent this often without an acknowledgment, while its receiver is heard: it is stuck. */
const MAX_SENDS = 32;

export interface MeshOptions {
  readonly port: DatagramPort;
  /** The UDP port of all members. */
  readonly udpPort: number;
  /** The cluster's name: meshes of different names ignore each other. */
  readonly cluster: string;
  /** The cluster's secrets, from which all keys follow: the first seals, all open. Not empty. */
  readonly secrets: readonly (Uint8Array | string)[];
  readonly members: readonly Member[];
  /** The id of this member. */
  readonly self: number;
  readonly incarnation: Incarnation;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly counters: ReplicationCounters;
  readonly patiences: Patiences;
  /** Whether frames come faster than they can be handled, so that it is better to gather than to hurry. */
  readonly isBusy?: () => boolean;
}

/** What happens in the mesh. All of it within `onDatagram`, a timer or `flush`. */
export interface MeshEvents {
  /** What this member says in every datagram: of itself, and up to which ticket all have what it sent. */
  state(): MemberState;
  settled(): number;
  /** A new incarnation of `peer` hears us. True if it may come in; if not, it is refused for good. */
  admits(peer: Peer, declared: MemberState, now: Micros): boolean;
  /** It came in: its streams are new. */
  established(peer: Peer, now: Micros): void;
  /** A peer that was suspected for its silence speaks again, in any life. */
  returned(peer: Peer, now: Micros): void;
  /** An authentic datagram of a peer that is up. */
  heard(peer: Peer, declared: MemberState, now: Micros): void;
  /** All who are up for `peer` have what it sent with tickets up to this one. */
  settles(peer: Peer, ticket: number): void;
  /** Unnumbered messages, of a peer that is up, or (`stale`) of one that is over for us. */
  told(peer: Peer, datagram: Datagram, declared: MemberState, stale: boolean, now: Micros): void;
  /** Numbered messages, once and in order. */
  deliver(peer: Peer, datagram: Datagram): void;
  /** The peer acknowledged more. */
  acknowledged(peer: Peer, now: Micros): void;
  silent(peer: Peer, now: Micros): void;
  /** The peer is heard, but acknowledges nothing. */
  stuck(peer: Peer, now: Micros): void;
}

export class Mesh {
  /** All other members, in the order of their ids. */
  readonly peers: readonly Peer[];
  readonly #peers: Peer[] = [];
  readonly #options: MeshOptions;
  readonly #counters: ReplicationCounters;
  readonly #events: MeshEvents;
  #keys: readonly ClusterKey[];
  readonly #handlers: PeerHandlers;
  readonly #pool = new DatagramPool();
  readonly #byAddress = new Map<Address, Peer>();
  readonly #control: Datagram = this.#pool.take();
  #closed = false;

  constructor(options: MeshOptions, events: MeshEvents) {
    const { members, port } = options;
    this.#options = options;
    this.#counters = options.counters;
    this.#events = events;
    this.#keys = this.#derive(options.secrets);
    this.#handlers = {
      deliver: (peer: Peer, datagram: Datagram) => events.deliver(peer, datagram),
      retransmit: (peer: Peer, now: Micros) => this.#retransmit(peer, now),
      silent: (peer: Peer, now: Micros) => events.silent(peer, now),
    };
    this.peers = this.#peers;
    for (const member of members) if (member.id !== options.self) this.add(member);
    port.onDatagram = (from, fromPort, payload) => this.#receive(from, fromPort, payload);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Another member, whose id is above all others. */
  add(member: Member): void {
    const { self, incarnation, patiences } = this.#options;
    const sealer = new Sealer(this.#keys[0], self, incarnation, member.id);
    const peer = new Peer(member, sealer, patiences.with(member.id), this.#pool, this.#handlers);
    this.#byAddress.set(member.address, peer);
    this.#peers.push(peer);
  }

  /** Other secrets from now on; not empty. */
  rekey(secrets: readonly (Uint8Array | string)[]): void {
    this.#keys = this.#derive(secrets);
    for (const { sealer, session, candidate } of this.peers) {
      sealer.rekey(this.#keys[0]);
      session?.rekey(this.#keys);
      candidate?.rekey(this.#keys);
    }
  }

  /** Sends nothing and takes nothing any more. */
  close(): void {
    this.#closed = true;
    this.#options.port.onDatagram = undefined;
    for (const peer of this.peers) this.#disarm(peer);
  }

  /** Ends the life of a peer that is up: nothing it still says counts. */
  drop(peer: Peer, status: 'suspected' | 'left' = 'suspected'): void {
    peer.reset(status);
    this.#disarm(peer);
  }

  /** Sends what waits for each peer, with what is owed to it. Once a breath. */
  flush(now: Micros): void {
    for (const peer of this.peers) {
      if (this.#closed) return;
      if (!peer.isUp) continue;
      let sent = false;
      const all = now >= peer.flushAllAt;
      if (all) peer.flushAllAt = now + FLUSH_ALL_EVERY;
      const { outgoing } = peer;
      const pace = this.#options.isBusy?.() === true ? PACE : 0;
      for (;;) {
        const next = outgoing.take(all, pace, now);
        if (next === undefined) break;
        this.#sendNumbered(peer, next, now);
        sent = true;
      }
      if (sent) this.#options.timers.set(peer.retransmitTimer, outgoing.nextDeadline());
      const partAt = outgoing.partAt(pace);
      if (partAt !== NEVER) this.#options.timers.set(peer.paceTimer, partAt);
      // What waits for company takes the news along.
      if (peer.ackDue || (partAt === NEVER && this.#isNews(peer, now))) {
        this.sendControl(peer, peer.latest, this.control());
      }
    }
  }

  /** Whether it is time to tell a peer what is settled, though there is nothing else to say. */
  #isNews(peer: Peer, now: Micros): boolean {
    if (peer.toldSettled === this.#events.settled()) return false;
    if (peer.settledAt === NEVER) peer.settledAt = now + SETTLED_WITHIN;
    if (now >= peer.settledAt) return true;
    this.#options.timers.set(peer.settledTimer, peer.settledAt);
    return false;
  }

  /** An empty datagram for unnumbered messages, to be passed to `sendControl` at once. */
  control(): Datagram {
    this.#control.reset();
    return this.#control;
  }

  /** Sends unnumbered messages to one incarnation of a peer (`NO_INCARNATION`: whoever it is). */
  sendControl(peer: Peer, to: Incarnation, datagram: Datagram): void {
    this.#transmit(peer, to, datagram, 0, 0);
  }

  /** Passes what tells each peer that is up that this life is over, to be sent when it is; valid during the call only. */
  forEachLastWord(visit: (to: Address, payload: Uint8Array) => void): void {
    for (const peer of this.peers) {
      if (!peer.isUp) continue;
      const datagram = this.control();
      writeWord(datagram, DIED);
      const flags = this.#events.state() << envelope.STATE_SHIFT;
      envelope.writeInner(datagram.view, peer.latest, 0, 0, 0, 0, 0, 0, flags);
      visit(peer.member.address, peer.sealer.sealLast(datagram));
    }
  }

  #derive(secrets: readonly (Uint8Array | string)[]): ClusterKey[] {
    if (secrets.length === 0) throw new RangeError('a cluster needs a secret');
    return secrets.map((secret) => new ClusterKey(this.#options.cluster, secret));
  }

  #sendNumbered(peer: Peer, datagram: Datagram, now: Micros): void {
    datagram.sentAt = now;
    datagram.sends++;
    this.#transmit(peer, peer.latest, datagram, datagram.number, envelope.FLAG_DATA);
  }

  #transmit(peer: Peer, to: Incarnation, datagram: Datagram, number: number, flag: number): void {
    if (this.#closed) return;
    const toSession = peer.isUp && isSameIncarnation(to, peer.latest);
    const flags =
      flag |
      (toSession ? envelope.FLAG_CONFIRMED : 0) |
      (this.#events.state() << envelope.STATE_SHIFT);
    if (toSession) {
      const { expected, accepted, sackLow, sackHigh } = peer.incoming;
      const settled = this.#events.settled();
      const { view } = datagram;
      envelope.writeInner(view, to, number, expected, sackLow, sackHigh, accepted, settled, flags);
      peer.ackDue = false;
      peer.toldSettled = settled;
      peer.settledAt = NEVER;
    } else envelope.writeInner(datagram.view, to, 0, 0, 0, 0, 0, 0, flags);
    const payload = peer.sealer.seal(datagram);
    this.#counters.datagramsOut++;
    this.#counters.bytesOut += payload.length;
    this.#options.port.send(peer.member.address, this.#options.udpPort, payload);
  }

  #retransmit(peer: Peer, now: Micros): void {
    if (!peer.isUp) return;
    for (let due = peer.outgoing.due(now); due !== undefined; due = peer.outgoing.due(now)) {
      if (due.sends >= MAX_SENDS) {
        this.#events.stuck(peer, now);
        return;
      }
      this.#counters.retransmissions++;
      this.#sendNumbered(peer, due, now);
    }
    this.#options.timers.set(peer.retransmitTimer, peer.outgoing.nextDeadline());
  }

  #disarm(peer: Peer): void {
    this.#options.timers.remove(peer.retransmitTimer);
    this.#options.timers.remove(peer.silenceTimer);
    this.#options.timers.remove(peer.settledTimer);
    this.#options.timers.remove(peer.paceTimer);
  }

  #receive(from: Address, fromPort: number, payload: Uint8Array): void {
    const counters = this.#counters;
    counters.datagramsIn++;
    counters.bytesIn += payload.length;
    const peer = this.#byAddress.get(from);
    if (peer === undefined || fromPort !== this.#options.udpPort) counters.dropStranger++;
    else if (payload.length < envelope.MIN_PAYLOAD || payload.length > envelope.MAX_PAYLOAD) {
      counters.dropMalformed++;
    } else if (envelope.magic(payload) !== envelope.MAGIC) counters.dropBadMagic++;
    else if (envelope.version(payload) !== envelope.VERSION) counters.dropBadVersion++;
    else if (envelope.cluster(payload) !== this.#keys[0].hash) counters.dropOtherCluster++;
    else if (envelope.sender(payload) !== peer.id) counters.dropUnknownSender++;
    else this.#open(peer, payload, this.#options.clock.now());
  }

  #open(peer: Peer, payload: Uint8Array, now: Micros): void {
    const counters = this.#counters;
    const session = this.#sessionOf(peer, payload, now);
    if (session === undefined) {
      counters.dropThrottled++;
      return;
    }
    const number = envelope.counter(payload);
    if (!session.window.isFresh(number)) {
      counters.dropReplayed++;
      return;
    }
    const datagram = this.#pool.take();
    if (!session.open(payload, number, datagram)) {
      counters.dropNotAuthentic++;
      this.#pool.give(datagram);
      return;
    }
    const newest = number > session.window.highest;
    session.window.mark(number);
    const flags = envelope.flags(datagram.view);
    const numbered = (flags & envelope.FLAG_DATA) !== 0;
    const declared = flags >> envelope.STATE_SHIFT;
    if (
      !envelope.areValidFlags(flags) ||
      !isMemberState(declared) ||
      !isValidBody(datagram.view, envelope.BODY_AT, datagram.end, numbered)
    ) {
      counters.dropMalformed++;
      this.#pool.give(datagram);
    } else if (this.#isCurrent(peer, session, datagram, declared, now)) {
      this.#accept(peer, datagram, newest ? declared : peer.declared, flags, now);
    } else this.#pool.give(datagram);
  }

  /** The session that a datagram claims to belong to; undefined if its key may not be derived now. */
  #sessionOf(peer: Peer, payload: Uint8Array, now: Micros): Session | undefined {
    const { session, candidate } = peer;
    if (session !== undefined && envelope.isFrom(payload, session.incarnation)) return session;
    if (candidate !== undefined && envelope.isFrom(payload, candidate.incarnation))
      return candidate;
    if (now - peer.derivedAt < DERIVE_EVERY) return undefined;
    peer.derivedAt = now;
    const incarnation = envelope.senderIncarnation(payload);
    return new Session(this.#keys, peer.id, incarnation, this.#options.self);
  }

  /** True if the datagram is of the life of `peer` that is up; otherwise all that it means is done here. */
  #isCurrent(
    peer: Peer,
    session: Session,
    datagram: Datagram,
    declared: MemberState,
    now: Micros,
  ): boolean {
    const named = envelope.isTo(datagram.view, this.#options.incarnation);
    const numbered = (envelope.flags(datagram.view) & envelope.FLAG_DATA) !== 0;
    if (session === peer.session && peer.isUp) {
      if (named) return true;
      // Sent before it heard of us, or to a life of ours that is over: a sign of life, no more.
      peer.helloDue = true;
      this.#events.heard(peer, peer.declared, now);
      return false;
    }
    if (peer.accused) this.#events.returned(peer, now);
    if (peer.pastLives.includes(session.incarnation)) {
      this.#counters.dropStale++;
      peer.stale = session.incarnation;
      if (named && !numbered) this.#events.told(peer, datagram, declared, true, now);
      return false;
    }
    peer.candidate = session;
    peer.heardAt = now;
    peer.helloDue = true;
    if (!named) return false;
    // It names us, who are new to it as it is to us: no recorded datagram can do that.
    const admitted = this.#events.admits(peer, declared, now);
    peer.session = session;
    peer.pastLives.add(session.incarnation);
    peer.candidate = undefined;
    if (!admitted) {
      peer.reset('suspected');
      peer.stale = session.incarnation;
      if (!numbered) this.#events.told(peer, datagram, declared, true, now);
      return false;
    }
    peer.reset('unknown');
    peer.declared = declared;
    this.#events.established(peer, now);
    return peer.isUp && !this.#closed;
  }

  /** Handles a datagram of a peer that is up; it goes back to the pool. */
  #accept(peer: Peer, datagram: Datagram, declared: MemberState, flags: number, now: Micros): void {
    const counters = this.#counters;
    const { view } = datagram;
    this.#events.heard(peer, declared, now);
    if ((flags & envelope.FLAG_CONFIRMED) === 0) peer.helloDue = true;
    else {
      peer.confirmed = true;
      const acked = envelope.acknowledgment(view);
      const accepted = envelope.accepted(view);
      const low = envelope.sackLow(view);
      if (!peer.outgoing.acknowledge(acked, accepted, low, envelope.sackHigh(view), now)) {
        counters.dropMalformed++;
        this.#pool.give(datagram);
        return;
      }
      this.#events.settles(peer, envelope.settled(view));
    }
    if ((flags & envelope.FLAG_DATA) === 0) {
      this.#events.told(peer, datagram, declared, false, now);
      this.#pool.give(datagram);
    } else {
      peer.ackDue = true;
      const arrival = peer.incoming.receive(datagram, envelope.streamNumber(view));
      if (arrival === 'duplicate') counters.duplicates++;
      else if (arrival === 'early') counters.early++;
      else if (arrival === 'beyond') counters.dropMalformed++;
    }
    if (peer.isUp) this.#events.acknowledged(peer, now);
  }
}
