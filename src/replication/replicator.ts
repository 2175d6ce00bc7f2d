/**
 * What the proxy uses: commits and deletes of records, the log of heads, the view of the cluster and the
 * addresses to hold. It joins the mesh (how messages travel) with membership (who lives).
 */
import { MILLISECOND, type Micros, SECOND } from '../env/clock.ts';
import { Timer } from '../env/timers.ts';
import type { Address } from '../ip/address.ts';
import { Commits } from './commits.ts';
import {
  type LatencyHistogram,
  type ReplicationCounters,
  replicationCounters,
} from './counters.ts';
import type { Datagram } from './datagram.ts';
import { HandshakeLog } from './handshake-log.ts';
import { type Head, HeadLog } from './heads.ts';
import { Inbox } from './inbox.ts';
import { type Incarnation, newIncarnation } from './incarnation.ts';
import { Joiner } from './joiner.ts';
import { ACTIVE, JOINING, LEAVING, type Member, type MemberState } from './member.ts';
import { Membership } from './membership.ts';
import { Mesh } from './mesh.ts';
import { flowLengthOf } from './messages.ts';
import { Patiences } from './patience.ts';
import type { Peer, PeerStatus } from './peer.ts';
import type { Done } from './pending.ts';
import type { ReplicatorEvents, ReplicatorOptions } from './replicator-options.ts';
import { SnapshotSender } from './snapshot.ts';
import { chosenFor, holdings, ownerOf, type View } from './takeover.ts';

/** A head that nobody finished or dropped for so long is forgotten: longer than clients may take to say one. */
const HEAD_AGE: Micros = 900 * SECOND;
/** Who goes on with the head of a dead member does so at once, or has less of it than we, and the client repeats it. */
const ORPHAN_AGE: Micros = 30 * SECOND;

/** How it stands with a peer. */
export interface PeerReport {
  readonly name: string;
  readonly status: PeerStatus;
  /** Datagrams not acknowledged. */
  readonly backlog: number;
  readonly roundTrip: Micros;
  /** Silence after which it is suspected now. */
  readonly suspectAfter: Micros;
  readonly adopted: readonly number[];
}

export class Replicator {
  readonly counters: ReplicationCounters = replicationCounters();
  readonly heads: HeadLog = new HeadLog();
  /** Of the other members. */
  readonly handshakes: HandshakeLog;
  readonly incarnation: Incarnation;
  readonly #options: ReplicatorOptions;
  readonly #events: ReplicatorEvents;
  readonly #mesh: Mesh;
  readonly #membership: Membership;
  readonly #joiner: Joiner;
  readonly #inbox: Inbox;
  readonly #commits: Commits;
  readonly #snapshots = new Map<Peer, SnapshotSender>();
  /** Due when a snapshot can go on at once. */
  readonly #snapshotTimer = new Timer(() => {});
  #held: readonly number[] = [];
  #memberCount: number;
  #sweptAt: Micros = 0;

  /** Throws a RangeError if there is no secret, or one is empty. Nothing is sent before `start`. */
  constructor(options: ReplicatorOptions, events: ReplicatorEvents) {
    const { clock, random, timers, logger, self } = options;
    const suspectAfter = options.suspectAfter ?? 30 * MILLISECOND;
    this.#options = options;
    this.#events = events;
    this.#memberCount = options.members.length;
    this.incarnation = newIncarnation(clock, random, options.above);
    const shared = { self, suspectAfter, timers, logger, counters: this.counters };
    const patiences = options.patiences ?? new Patiences(suspectAfter);
    const meshOptions = {
      ...options,
      incarnation: this.incarnation,
      counters: this.counters,
      patiences,
    };
    this.#mesh = new Mesh(meshOptions, {
      state: () => this.#membership.state,
      settled: () => this.#commits.outbox.announced,
      settles: (peer, ticket) => this.#commits.proposals.settle(peer.id, ticket),
      admits: (...facts) => this.#membership.admits(...facts),
      established: (...facts) => this.#membership.established(...facts),
      returned: (...facts) => this.#membership.returned(...facts),
      heard: (...facts) => this.#membership.heard(...facts),
      told: (...facts) => this.#membership.told(...facts),
      silent: (...facts) => this.#membership.silent(...facts),
      stuck: (peer, now) => this.#membership.suspect(peer, 'it acknowledges nothing', now),
      deliver: (peer, datagram) => this.#deliver(peer, datagram),
      acknowledged: (_, now) => this.#commits.settle(now),
    });
    const { table } = options;
    const seed = random.uint32();
    this.handshakes = new HandshakeLog(seed);
    const { heads, counters, handshakes } = this;
    const { peers } = this.#mesh;
    this.#commits = new Commits(
      { peers, self, heads, table, counters, clock, seed },
      {
        standsAgainst: (record) => events.standsAgainst(record),
        prevails: (first, second) => events.prevails(first, second),
        accepted: (from, record) => {
          handshakes.end(record.subarray(0, flowLengthOf(record.length)));
          events.proposed(from, record);
        },
        stable: (from, record) => {
          this.#inbox.touch(from, record);
          events.insert(from, record);
        },
        overrun: (peer) => this.#membership.suspect(peer, 'its queue is full', clock.now()),
      },
    );
    const membershipOptions = {
      ...shared,
      incarnation: this.incarnation,
      heartbeat: options.heartbeat ?? 10 * MILLISECOND,
      grace: options.grace ?? 3 * SECOND,
      frames: options.frames ?? (() => this.counters.datagramsIn),
      evidence: options.evidence ?? (() => 0),
    };
    this.#membership = new Membership(membershipOptions, this.#mesh, {
      up: (peer) => this.#commits.outbox.extendTo(peer),
      viewed: (view) => this.#viewed(view),
      returned: () => events.returned(),
      doubtful: () => this.#commits.hold(),
      trusted: (now) => this.#commits.release(now),
      down: (peer, now) => this.#down(peer, now),
      beat: (now) => this.#beat(now),
      fenced: (floor) => this.#fenced(floor),
    });
    const isPrepared = options.isPrepared ?? (() => true);
    const othersServe = options.above !== undefined;
    const joinerOptions = { ...shared, isPrepared, othersServe };
    this.#joiner = new Joiner(joinerOptions, this.#mesh, this.#membership);
    this.#inbox = new Inbox(
      this.#joiner,
      this.heads,
      this.#commits.proposals,
      options.table,
      this.counters,
      {
        insert: (from, record) => events.insert(from, record),
        delete: (from, ticket, key) => {
          this.#commits.proposals.deleted(from, ticket, key);
          events.delete(from, key);
        },
        seen: (message) => events.seen(message),
        syn: (from, view, at, length) => handshakes.begin(from, view, at, length, clock.now()),
        taken: (flow) => events.taken(flow),
        dropped: (flow) => handshakes.end(flow),
        requested: (peer, id) => this.#requested(peer, id),
        overrun: () => this.#fenced(this.incarnation),
      },
    );
  }

  /** Listens, learns the table if somebody has one, and then serves. */
  start(now: Micros): void {
    this.#joiner.start(now);
    this.#membership.start(now);
  }

  /** Another member, whose id is above all others. Somebody holds its addresses until it is there. */
  addMember(member: Member): void {
    if (this.#mesh.closed) return;
    this.#memberCount++;
    this.#mesh.add(member);
    this.#viewed(this.currentView);
  }

  /** Other secrets from now on; none empty. */
  rekey(secrets: readonly (Uint8Array | string)[]): void {
    this.#mesh.rekey(secrets);
  }

  /**
   * Begins to leave: the others adopt the addresses that are held here, which are released as soon as another is
   * known to hold them. What is committed from now on is committed as before. Who has not joined yet holds
   * nothing, and need not. While nobody else is active nothing happens, and it is active again if that comes to be: then
   * call it again when somebody is.
   */
  leave(): void {
    if (this.#mesh.closed || this.state !== ACTIVE) return;
    this.#membership.leave(this.#options.clock.now());
  }

  /** Tells the others that this life ends, so that nobody waits for it, and goes silent. */
  farewell(): void {
    if (this.#mesh.closed) return;
    this.#membership.farewell();
    this.close();
  }

  /** What is to be said to each other member when this process is dead; valid during the call only. */
  forEachLastWord(visit: (to: Address, payload: Uint8Array) => void): void {
    if (!this.#mesh.closed) this.#mesh.forEachLastWord(visit);
  }

  /** Goes silent at once; what waits for acknowledgments is told `false`. */
  close(): void {
    if (this.#mesh.closed) return;
    this.#mesh.close();
    this.#membership.stop();
    this.#options.timers.remove(this.#snapshotTimer);
    this.#commits.close();
  }

  /** Sends all that this breath has gathered. Call it at the end of every breath, after the timers ran. */
  flush(now: Micros): void {
    if (this.#mesh.closed) return;
    this.#membership.run(now);
    for (const [peer, sender] of this.#snapshots) {
      if (sender.ready) sender.step();
      if (sender.finished) this.#snapshots.delete(peer);
      else if (sender.ready) this.#options.timers.set(this.#snapshotTimer, now);
    }
    this.#mesh.flush(now);
  }

  /**
   * Proposes `record` (64 bytes for IPv4, 112 for IPv6) to every member that is up and calls `done(true)` when
   * each has accepted it or is suspected: at once if there is none. `done(false)`: the record must not be used,
   * since another member's holds the flow, or this member gave up.
   */
  commit(record: Uint8Array, done: Done): void {
    this.#commits.commit(record, done);
  }

  /**
   * Who goes on with a logged head: its owner, or who holds the owner's addresses now. (The owner may be back, but
   * knows nothing of its former life.)
   */
  adopterOf({ owner, isOrphan }: Head): number | undefined {
    if (!isOrphan) return owner;
    const others = this.#membership.view.active.filter((id) => id !== owner);
    return chosenFor(owner, others);
  }

  /** Whose proposal holds a flow (12 or 36 bytes) that is in no table yet; undefined if none does. */
  proposerOf(flow: Uint8Array): number | undefined {
    return this.#commits.proposals.proposerOf(flow);
  }

  /** The record that is proposed for a flow; undefined if none is. Valid until the next call. */
  proposalFor(flow: Uint8Array): Uint8Array | undefined {
    return this.#commits.proposals.recordFor(flow);
  }

  /** Proposals, and deletions, that are not known to be with everybody. */
  get undecided(): number {
    return this.#commits.proposals.size;
  }

  /**
   * Calls `done(true)` when every member that is up has answered, so that none of them has gone on without this
   * one; at once if there is none. `done(false)`: this member gave up. It commits nothing.
   */
  confirm(done: Done): void {
    this.#commits.confirm(done);
  }

  /** Takes the record with `key` (16 or 40 bytes) out of every member's table. */
  remove(key: Uint8Array): void {
    this.#commits.remove(key);
  }

  /**
   * Logs `bytes` of a request's head at `offset`, which must not leave a gap, with every member that is up. The
   * client may be sent an acknowledgment for them after `done(true)`. `done(false)` at once: no room.
   */
  logHead(
    flow: Uint8Array,
    facts: Uint8Array,
    offset: number,
    bytes: Uint8Array,
    done: Done,
  ): void {
    this.#commits.logHead(flow, facts, offset, bytes, done);
  }

  /** Forgets a head everywhere: the backend has acknowledged it, or the client is gone. */
  dropHead(flow: Uint8Array): void {
    this.#commits.dropHead(flow);
  }

  /**
   * Tells every member that is up that a SYN will be answered: the payload of the message (`messages.ts`). It goes out
   * when this breath ends; in a few milliseconds if this member has no time to spare; and not to those who are behind.
   */
  tellSyn(syn: Uint8Array): void {
    if (this.#mesh.closed) return;
    this.counters.synsOut++;
    this.#commits.outbox.sendSyn(syn);
  }

  /** Tells every member that is up what was seen of a flow: the key of its record, and 9 bytes. */
  tell(message: Uint8Array): void {
    this.#commits.tell(message);
  }

  /** True while a flow that is not in the table may be known to others: answer it with silence (I4). */
  graceUntil(now: Micros): boolean {
    return this.#membership.graceUntil(now);
  }

  /** True if this member holds the addresses of the one with this id, which may be its own. */
  holds(member: number): boolean {
    return this.#held.includes(member);
  }

  /** True once this life is over. */
  get isClosed(): boolean {
    return this.#mesh.closed;
  }

  /** True if this member holds no addresses, not even its own. */
  get holdsNothing(): boolean {
    return this.#held.length === 0;
  }

  get state(): MemberState {
    return this.#membership.state;
  }

  get currentView(): View {
    return this.#membership.view;
  }

  /** Inserts, deletes and heads that some peer has not acknowledged. */
  get unacked(): number {
    return this.#commits.outbox.size;
  }

  /** How long commits and heads waited for their acknowledgments. */
  get commitLatency(): LatencyHistogram {
    return this.#commits.outbox.latency;
  }

  /** The age of the oldest of them, or 0. */
  lag(now: Micros): Micros {
    return now - (this.#commits.outbox.oldest ?? now);
  }

  get peers(): PeerReport[] {
    return this.#mesh.peers.map(({ member, status, adopted, outgoing, suspectAfter }) => {
      const { backlog, roundTrip } = outgoing;
      return { name: member.name, status, backlog, roundTrip, suspectAfter, adopted };
    });
  }

  #deliver(peer: Peer, datagram: Datagram): void {
    if (!this.#mesh.closed) this.#inbox.deliver(peer, datagram, this.#options.clock.now());
  }

  #requested(peer: Peer, id: number): void {
    if (this.#membership.state === JOINING) return;
    // What is settled already may still be on its way into the table.
    const { proposals } = this.#commits;
    const { serial } = proposals;
    const isWhole = (): boolean => proposals.isDecided(serial);
    const { table } = this.#options;
    this.#snapshots.set(peer, new SnapshotSender(peer, id, table, this.counters, isWhole));
  }

  #viewed(view: View): void {
    const { self, logger } = this.#options;
    const held =
      this.state === ACTIVE
        ? holdings(self, this.#memberCount, view.active)
        : this.#held.filter((id) => !this.#isHandedOver(id));
    const { number, active, homes } = view;
    logger.info({ view: number, active, homes, holds: held }, 'view changed');
    this.#hold(held);
    this.#events.view(view);
  }

  #hold(held: readonly number[]): void {
    const before = this.#held;
    this.#held = held;
    this.#membership.adopted = held.filter((id) => id !== this.#options.self);
    for (const id of before) if (!held.includes(id)) this.#events.release(id);
    for (const id of held) if (!before.includes(id)) this.#events.claim(id);
    this.#offerOrphans();
  }

  /** Who was to go on with a head, or a handshake, may be gone before it has. */
  #offerOrphans(): void {
    const { self } = this.#options;
    for (const head of this.heads.orphans()) {
      if (this.adopterOf(head) === self) this.#events.orphan(head);
    }
    this.#offerHandshakes();
  }

  #offerHandshakes(): void {
    const { self, clock } = this.#options;
    const { active } = this.currentView;
    for (const handshakes of this.handshakes.takeFor(self, active, clock.now())) {
      this.#events.abandoned(handshakes);
    }
  }

  /** True if the member that must hold these addresses when this one has left says that it does. */
  #isHandedOver(id: number): boolean {
    const owner = ownerOf(id, this.currentView.active);
    const peer = this.#mesh.peers.find((candidate) => candidate.id === owner);
    return peer !== undefined && (owner === id || peer.adopted.includes(id));
  }

  #down(peer: Peer, now: Micros): void {
    this.#snapshots.delete(peer);
    this.#joiner.down(peer, now);
    this.#inbox.down(peer);
    this.#commits.down(peer, this.#membership.state !== JOINING, now);
    this.heads.bereave(peer.id, now);
    this.handshakes.bereave(peer.id, now);
    this.#offerOrphans();
  }

  #beat(now: Micros): void {
    if (this.#mesh.closed) return;
    this.#joiner.step(now);
    if (this.state === LEAVING && this.#held.some((id) => this.#isHandedOver(id))) {
      this.#hold(this.#held.filter((id) => !this.#isHandedOver(id)));
    }
    if (now - this.#sweptAt < SECOND) return;
    this.#sweptAt = now;
    this.heads.dropOlder(now - HEAD_AGE, now - ORPHAN_AGE);
    this.#offerHandshakes();
  }

  #fenced(floor: Incarnation): void {
    if (this.#mesh.closed) return;
    this.#options.logger.error({ floor }, 'fenced: the other members went on without this one');
    this.close();
    this.#events.fenced(floor);
  }
}
