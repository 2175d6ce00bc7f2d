/**
 * What this member has all others know: records it proposes, those it inherits, deletions, and heads. It joins the
 * outbox (what was sent, and how far all have it) with the proposals (which record a flow may have).
 */
import type { Clock, Micros } from '../env/clock.ts';
import type { ReplicationCounters } from './counters.ts';
import type { HeadLog } from './heads.ts';
import * as messages from './messages.ts';
import { Outbox } from './outbox.ts';
import type { Peer } from './peer.ts';
import type { Done } from './pending.ts';
import { FRESH, INHERITED, type ProposalEvents, Proposals, type Rank } from './proposals.ts';
import type { RecordSource } from './snapshot.ts';

/** Somebody waits for it, but is told by the proposals. */
const AWAITED: Done = () => {};

/** The key of no record: deleting it changes nothing. */
const NO_RECORD = new Uint8Array(16);

export interface CommitsOptions {
  readonly peers: readonly Peer[];
  readonly self: number;
  readonly heads: HeadLog;
  readonly table: RecordSource;
  readonly counters: ReplicationCounters;
  readonly clock: Clock;
  /** Seeds the hash of flows. */
  readonly seed: number;
}

export interface CommitsEvents
  extends Pick<ProposalEvents, 'standsAgainst' | 'prevails' | 'accepted' | 'stable'> {
  /** The queue to a peer is full. */
  overrun(peer: Peer): void;
}

export class Commits {
  readonly outbox: Outbox;
  readonly proposals: Proposals;
  readonly #options: CommitsOptions;
  readonly #kept = new Uint8Array(messages.MAX_KEPT_BYTES);
  readonly #key = new Uint8Array(messages.MAX_KEY_BYTES);
  #closed = false;

  constructor(options: CommitsOptions, events: CommitsEvents) {
    const { peers, heads, self, seed, table, counters, clock } = options;
    this.#options = options;
    this.outbox = new Outbox(peers, heads, self, (peer) => events.overrun(peer));
    this.proposals = new Proposals(self, seed, {
      standsAgainst: (record) => events.standsAgainst(record),
      prevails: (first, second) => events.prevails(first, second),
      accepted: (from, record) => events.accepted(from, record),
      stable: (from, record) => events.stable(from, record),
      keyOf: (record) => this.#key.subarray(0, table.keyOf(record, this.#key)),
      propose: (rank, record) => {
        if (rank === INHERITED) counters.proposalsInherited++;
        else counters.recordsAsserted++;
        this.#propose(rank, record, undefined);
      },
      withdraw: (ticket, key) => {
        counters.proposalsWithdrawn++;
        this.outbox.withdraw(ticket, key, clock.now());
      },
      forget: (key) => this.#delete(key),
      decided: (from, datagram) => this.#decided(from, datagram),
    });
  }

  /** Tells all who wait that it will not be; from now on nothing is sent. */
  close(): void {
    this.#closed = true;
    this.#options.counters.commitsFailed += this.outbox.fail() + this.proposals.fail();
  }

  /** See `Replicator.commit`. */
  commit(record: Uint8Array, done: Done): void {
    const { counters } = this.#options;
    check(messages.isRecordLength(record.length), record);
    counters.commits++;
    if (this.#gaveUp(done)) return;
    if (!this.#propose(FRESH, record, done)) {
      counters.commitsFailed++;
      done(false);
    }
  }

  confirm(done: Done): void {
    if (!this.#gaveUp(done)) this.#send(messages.DELETE, NO_RECORD, done);
  }

  remove(key: Uint8Array): void {
    const { heads, self, counters } = this.#options;
    check(messages.isKeyLength(key.length), key);
    counters.deletesOut++;
    heads.drop(messages.flowOfKey(key), self);
    this.#delete(key);
  }

  logHead(
    flow: Uint8Array,
    facts: Uint8Array,
    offset: number,
    bytes: Uint8Array,
    done: Done,
  ): void {
    const { heads, self, clock, counters } = this.#options;
    if (this.#gaveUp(done)) return;
    if (!heads.log(self, flow, facts, offset, bytes, clock.now())) {
      counters.headsRefused++;
      done(false);
      return;
    }
    counters.headsOut++;
    this.outbox.sendHead(flow, facts, offset, bytes, done, clock.now());
  }

  dropHead(flow: Uint8Array): void {
    const { heads } = this.#options;
    check(messages.isFlowLength(flow.length), flow);
    if (heads.get(flow) === undefined) return;
    heads.drop(flow);
    if (!this.#closed) this.#send(messages.HEAD_DROP, flow, undefined);
  }

  tell(message: Uint8Array): void {
    check(messages.isSeenLength(message.length), message);
    if (!this.#closed) this.#send(messages.SEEN, message, undefined);
  }

  /** Settles what every peer that is up has accepted. */
  settle(now: Micros): void {
    this.outbox.settle(now);
    this.proposals.settle(this.#options.self, this.outbox.settled);
  }

  /** It is in doubt whether others are up: nothing is settled with nobody until `release`. */
  hold(): void {
    this.outbox.hold();
  }

  release(now: Micros): void {
    this.outbox.release();
    this.settle(now);
  }

  /** A peer's life is over: it waits for nobody, and nobody waits for it. */
  down(peer: Peer, inherits: boolean, now: Micros): void {
    this.proposals.gone(peer.id, inherits);
    this.settle(now);
  }

  /** False if the flow is another member's. */
  #propose(rank: Rank, record: Uint8Array, done: Done | undefined): boolean {
    const { isAlone, nextTicket: ticket } = this.outbox;
    if (!this.proposals.begin(ticket, rank, record, done)) return false;
    const kept = this.#kept.subarray(0, 1 + record.length);
    kept[0] = rank;
    kept.set(record, 1);
    if (isAlone) this.proposals.settle(this.#options.self, ticket);
    else this.#send(messages.PROPOSE, kept, AWAITED);
    return true;
  }

  #delete(key: Uint8Array): void {
    if (this.#closed) return;
    const { isAlone, nextTicket: ticket } = this.outbox;
    this.#send(messages.DELETE, key, undefined);
    this.proposals.deleted(this.#options.self, ticket, key);
    if (isAlone) this.proposals.settle(this.#options.self, ticket);
  }

  #send(type: number, kept: Uint8Array, done: Done | undefined): void {
    this.outbox.send(type, kept, done, this.#options.clock.now());
  }

  #decided(from: number, datagram: number): void {
    const peer = this.#options.peers.find(({ id }) => id === from);
    if (peer === undefined || !peer.isUp) return;
    peer.incoming.decided(datagram);
    peer.ackDue = true;
  }

  #gaveUp(done: Done): boolean {
    if (!this.#closed) return false;
    this.#options.counters.commitsFailed++;
    done(false);
    return true;
  }
}

function check(fits: boolean, { length }: Uint8Array): void {
  if (!fits) throw new RangeError(`no record, key or flow has ${length} bytes`);
}
