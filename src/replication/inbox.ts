// What the numbered messages of the peers do here.
import type { Micros } from '../env/clock.ts';
import type { ReplicationCounters } from './counters.ts';
import type { Datagram } from './datagram.ts';
import { BODY_AT } from './envelope.ts';
import type { HeadLog } from './heads.ts';
import type { Joiner } from './joiner.ts';
import * as messages from './messages.ts';
import type { Peer } from './peer.ts';
import type { Proposals, Rank } from './proposals.ts';
import { type RecordSource, Touched } from './snapshot.ts';

export interface InboxEvents {
  /** A record of a snapshot belongs into the table. */
  insert(from: number, record: Uint8Array): void;
  /** A record was deleted; its deletion has this ticket. */
  delete(from: number, ticket: number, key: Uint8Array): void;
  /** A peer saw something of a flow. */
  seen(message: Uint8Array): void;
  /** A peer answers a SYN, which its message tells: its payload, at `at`. */
  syn(from: number, view: DataView, at: number, length: number): void;
  /** A peer has a client in its hands, and has logged so. */
  taken(flow: Uint8Array): void;
  /** A peer's head is not needed any more: the client is served, or gone. */
  dropped(flow: Uint8Array): void;
  /** A member that joins wants the table. */
  requested(peer: Peer, id: number): void;
  /** More happened during our join than can be remembered: it must begin again. */
  overrun(): void;
}

export class Inbox {
  readonly #joiner: Joiner;
  readonly #heads: HeadLog;
  readonly #proposals: Proposals;
  readonly #source: RecordSource;
  readonly #counters: ReplicationCounters;
  readonly #events: InboxEvents;
  readonly #touched = new Touched();
  readonly #record = new Uint8Array(messages.MAX_RECORD_BYTES);
  readonly #key = new Uint8Array(messages.MAX_KEY_BYTES);

  constructor(
    joiner: Joiner,
    heads: HeadLog,
    proposals: Proposals,
    source: RecordSource,
    counters: ReplicationCounters,
    events: InboxEvents,
  ) {
    this.#joiner = joiner;
    this.#heads = heads;
    this.#proposals = proposals;
    this.#source = source;
    this.#counters = counters;
    this.#events = events;
  }

  /** Applies the messages of a datagram whose body is valid. */
  deliver(peer: Peer, datagram: Datagram, now: Micros): void {
    const { view, bytes, end } = datagram;
    for (let at = BODY_AT; at < end; at = messages.messageEnd(view, at)) {
      const payload = messages.payloadAt(at);
      switch (messages.messageType(view, at)) {
        case messages.PROPOSE:
          this.#propose(peer, datagram, at);
          break;
        case messages.DELETE:
          this.#delete(peer, datagram, at);
          break;
        case messages.WITHDRAW:
          this.#proposals.withdrawn(peer.id, bytes.slice(payload, messages.messageEnd(view, at)));
          break;
        case messages.SEEN:
          this.#events.seen(bytes.subarray(payload, messages.messageEnd(view, at)));
          break;
        case messages.SYN:
          this.#counters.synsIn++;
          this.#events.syn(peer.id, view, payload, messages.payloadLength(view, at));
          break;
        case messages.HEAD:
          this.#logHead(peer, datagram, at, now);
          break;
        case messages.HEAD_DROP: {
          const flow = bytes.subarray(payload, messages.messageEnd(view, at));
          this.#heads.drop(flow, peer.id);
          this.#events.dropped(flow);
          break;
        }
        case messages.SNAPSHOT_REQUEST:
          this.#events.requested(peer, messages.snapshotId(view, at));
          break;
        case messages.SNAPSHOT_BEGIN:
          this.#joiner.begin(peer, messages.snapshotId(view, at));
          break;
        case messages.SNAPSHOT_RECORD:
          this.#snapshotRecord(peer, bytes, payload, messages.payloadLength(view, at));
          break;
        case messages.SNAPSHOT_END: {
          const count = messages.snapshotCount(view, at);
          this.#joiner.end(peer, messages.snapshotId(view, at), count, now);
          if (!this.#joiner.joining) this.#touched.clear();
          break;
        }
      }
    }
  }

  /** A peer's life is over. */
  down(peer: Peer): void {
    this.#touched.forget(peer.id);
  }

  /** A record that `from` proposed came into the table of a member that joins. */
  touch(from: number, record: Uint8Array): void {
    if (this.#joiner.joining && !this.#touched.inserted(from, this.#keyOf(record))) {
      this.#events.overrun();
    }
  }

  #propose(peer: Peer, datagram: Datagram, at: number): void {
    const { view, bytes } = datagram;
    this.#counters.recordsIn++;
    const start = messages.proposedAt(at);
    const length = messages.messageEnd(view, at) - start;
    const record = copy(bytes, start, length, this.#record);
    const ticket = messages.ticketOf(view, at);
    // The checks of the body have seen the rank.
    const rank = messages.proposalRank(view, at) as Rank;
    const { incoming } = peer;
    if (!this.#proposals.receive(peer.id, incoming.expected, ticket, rank, record)) {
      this.#counters.proposalsDeferred++;
      incoming.defer();
    }
  }

  #delete(peer: Peer, { view, bytes }: Datagram, at: number): void {
    this.#counters.deletesIn++;
    const start = messages.deletedAt(at);
    const key = copy(bytes, start, messages.messageEnd(view, at) - start, this.#key);
    if (this.#joiner.joining && !this.#touched.deleted(peer.id, key)) this.#events.overrun();
    // Another's head is of the client's next connection, and that one will say when it is done with it.
    this.#heads.drop(messages.flowOfKey(key), peer.id);
    this.#events.delete(peer.id, messages.ticketOf(view, at), key);
  }

  #snapshotRecord(peer: Peer, bytes: Uint8Array, at: number, length: number): void {
    if (!this.#joiner.takes(peer)) return;
    this.#counters.snapshotRecordsIn++;
    const record = copy(bytes, at, length, this.#record);
    if (!this.#touched.overrules(this.#keyOf(record))) this.#events.insert(peer.id, record);
  }

  #keyOf(record: Uint8Array): Uint8Array {
    return this.#key.subarray(0, this.#source.keyOf(record, this.#key));
  }

  #logHead(peer: Peer, datagram: Datagram, at: number, now: Micros): void {
    const { view, bytes } = datagram;
    const flowAt = messages.headFlowAt(at);
    const factsAt = messages.headFactsAt(view, at);
    const headAt = messages.headBytesAt(view, at);
    this.#counters.headsIn++;
    const flow = bytes.subarray(flowAt, factsAt);
    const { incoming } = peer;
    if (!this.#proposals.receiveHead(peer.id, incoming.expected, flow)) incoming.defer();
    const logged = this.#heads.log(
      peer.id,
      flow,
      bytes.subarray(factsAt, headAt),
      messages.headOffset(view, at),
      bytes.subarray(headAt, messages.messageEnd(view, at)),
      now,
    );
    if (logged) this.#events.taken(flow);
    else this.#counters.headsRefused++;
  }
}

/** Copies `length` bytes, at most as many as `to` has; returns the part of `to` that holds them. */
function copy(from: Uint8Array, at: number, length: number, to: Uint8Array): Uint8Array {
  for (let index = 0; index < length; index++) to[index] = from[at + index];
  return to.subarray(0, length);
}
