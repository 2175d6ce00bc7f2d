/**
 * How a member comes in: it listens, learns the table from a member that serves if there is one, and serves
 * only then. Nothing is claimed with an empty table while somebody has a full one.
 */
import { MILLISECOND, type Micros, SECOND } from '../env/clock.ts';
import type { Logger } from '../env/logger.ts';
import { JOINING } from './member.ts';
import type { Membership } from './membership.ts';
import type { Mesh } from './mesh.ts';
import * as messages from './messages.ts';
import type { Peer } from './peer.ts';

/** The shortest time to listen: starting alone beside members that serve costs far more. */
const LEAST_LISTENING: Micros = 500 * MILLISECOND;
/** Likewise for who does not hear everybody: another's process may stand still for as long as that. */
const LISTENING: Micros = (3 * SECOND) / 2;

/**
 * Likewise for who knows that others served: one that cannot be heard at the moment has the table, and clients would
 * rather wait for it than lose their connections.
 */
const WAITING: Micros = 3 * SECOND;

export interface JoinerOptions {
  readonly self: number;
  readonly suspectAfter: Micros;
  /** An earlier life of this process was fenced: others serve. */
  readonly othersServe: boolean;
  /** Asked before it starts with an empty table, until it says yes. */
  readonly isPrepared: () => boolean;
  readonly logger: Logger;
}

export class Joiner {
  readonly #options: JoinerOptions;
  readonly #mesh: Mesh;
  readonly #membership: Membership;
  /** It waits for others to be heard. */
  #listeningSince: Micros = 0;
  /** For how long this process had stood still until then. */
  #stoodBefore: Micros = 0;
  #othersServe: boolean;
  #source: Peer | undefined;
  /** Who has given its table in this join. */
  readonly #given = new Set<Peer>();
  /** The number of the request that is being answered; raised with each. */
  #request = 0;
  /** True between SNAPSHOT_BEGIN and SNAPSHOT_END of that request. */
  #receiving = false;
  #received = 0;

  constructor(options: JoinerOptions, mesh: Mesh, membership: Membership) {
    this.#options = options;
    this.#othersServe = options.othersServe;
    this.#mesh = mesh;
    this.#membership = membership;
  }

  get joining(): boolean {
    return this.#membership.state === JOINING;
  }

  start(now: Micros): void {
    this.#listen(now);
  }

  /** Looks whether there is something to do; called with every heartbeat and change. */
  step(now: Micros): void {
    if (this.#membership.state !== JOINING) return;
    if (this.#source !== undefined) return;
    const serving = this.#mesh.peers.filter((peer) => peer.status === 'live');
    if (serving.length > 0) {
      this.#othersServe = true;
      if (!this.#countsUsIn(serving)) return;
      // Those who were cut off from each other may have records that others lack: their home must know them all.
      const next = serving.find((peer) => !this.#given.has(peer));
      if (next === undefined) this.#membership.activate(now);
      else this.#ask(next);
    } else if (now >= this.#listensUntil && !this.#mustWait(now) && this.#options.isPrepared()) {
      this.#options.logger.info({}, 'no other member serves: starting alone');
      this.#membership.activate(now);
    }
  }

  /** A peer's life is over: what it was sending is void, and what we heard of the others must be heard anew. */
  down(peer: Peer, now: Micros): void {
    if (this.#membership.state !== JOINING) return;
    this.#listen(now);
    this.#given.delete(peer);
    if (peer === this.#source) this.#source = undefined;
  }

  begin(peer: Peer, id: number): void {
    this.#receiving = peer === this.#source && id === this.#request;
    this.#received = 0;
  }

  /** True if a record of a snapshot from `peer` is one that was asked for. */
  takes(peer: Peer): boolean {
    if (!this.#receiving || peer !== this.#source) return false;
    this.#received++;
    return true;
  }

  end(peer: Peer, id: number, count: number, now: Micros): void {
    if (!this.#receiving || peer !== this.#source || id !== this.#request) return;
    this.#receiving = false;
    this.#source = undefined;
    const facts = { from: peer.member.name, records: count };
    if (count !== this.#received) {
      this.#options.logger.error(facts, 'the table came incomplete: it is asked for again');
      return;
    }
    this.#options.logger.info(facts, 'table received');
    this.#given.add(peer);
    this.step(now);
  }

  #listen(now: Micros): void {
    this.#listeningSince = now;
    this.#stoodBefore = this.#membership.stood;
  }

  /** Who hears all others joining knows that nobody serves. */
  get #listensUntil(): Micros {
    const hearsAll = this.#mesh.peers.every((peer) => peer.isUp);
    const least = hearsAll ? LEAST_LISTENING : this.#othersServe ? WAITING : LISTENING;
    const listening = Math.max(2 * this.#options.suspectAfter, least);
    // Who stands still does not listen.
    const stood = this.#membership.stood - this.#stoodBefore;
    return this.#listeningSince + listening + Math.min(stood, WAITING);
  }

  /**
   * True once all who may commit something replicate it to us: then the snapshot holds what was committed
   * before, and the streams bring what is committed after.
   */
  #countsUsIn(serving: readonly Peer[]): boolean {
    for (const peer of serving) {
      if (!peer.confirmed || peer.members === undefined) return false;
      for (const id of peer.members) {
        if (id === this.#options.self) continue;
        const other = this.#mesh.peers.find((candidate) => candidate.id === id);
        if (other === undefined || !other.isUp || !other.confirmed) return false;
      }
    }
    return true;
  }

  #ask(peer: Peer): void {
    const datagram = peer.outgoing.room(4);
    if (datagram === undefined) return;
    this.#source = peer;
    this.#request++;
    this.#receiving = false;
    messages.writeSnapshotMark(datagram, messages.SNAPSHOT_REQUEST, this.#request);
  }

  /** Nobody serves. True if somebody is being heard who may know more, or has the right to be first. */
  #mustWait(now: Micros): boolean {
    return this.#mesh.peers.some((peer) => {
      const heard = now - peer.heardAt < peer.patience.joiningThreshold;
      const met = peer.isUp && peer.confirmed;
      return (heard && !met) || (peer.status === 'joining' && peer.id < this.#options.self);
    });
  }
}
