// What the numbered messages of the peers do here.
import type { Micros } from '../env/clock.ts';
import type { ReplicationCounters } from './counters.ts';
import type { Datagram } from './datagram.ts';
import { BODY_AT } from './envelope.ts';
import type { HeadLog } from './heads.ts';
import type { Joiner } from './joiner.ts';
import * as messages from './messages.ts';
import type { Peer } from './peer.ts';
import { type RecordSource, Touched } from './snapshot.ts';

export interface InboxEvents {
  insert(from: number, record: Uint8Array): void;
  delete(from: number, key: Uint8Array): void;
  /** A member that joins wants the table. */
  requested(peer: Peer, id: number): void;
  /** More happened during our join than can be remembered: it must begin again. */
  overrun(): void;
}

export class Inbox {
  readonly #joiner: Joiner;
  readonly #heads: HeadLog;
  readonly #source: RecordSource;
  readonly #counters: ReplicationCounters;
  readonly #events: InboxEvents;
  readonly #touched = new Touched();
  readonly #record = new Uint8Array(messages.RECORD_BYTES);
  readonly #key = new Uint8Array(messages.KEY_BYTES);

  constructor(
    joiner: Joiner,
    heads: HeadLog,
    source: RecordSource,
    counters: ReplicationCounters,
    events: InboxEvents,
  ) {
    this.#joiner = joiner;
    this.#heads = heads;
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
        case messages.INSERT:
          this.#insert(peer, bytes, payload);
          break;
        case messages.DELETE:
          this.#delete(peer, bytes, payload);
          break;
        case messages.HEAD:
          this.#logHead(peer, datagram, at, now);
          break;
        case messages.HEAD_DROP:
          this.#heads.drop(bytes.subarray(payload), peer.id);
          break;
        case messages.SNAPSHOT_REQUEST:
          this.#events.requested(peer, messages.snapshotId(view, at));
          break;
        case messages.SNAPSHOT_BEGIN:
          this.#joiner.begin(peer, messages.snapshotId(view, at));
          break;
        case messages.SNAPSHOT_RECORD:
          this.#snapshotRecord(peer, bytes, payload);
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

  #insert(peer: Peer, bytes: Uint8Array, at: number): void {
    this.#counters.recordsIn++;
    copy(bytes, at, this.#record);
    if (this.#joiner.joining) {
      this.#source.keyOf(this.#record, this.#key);
      if (!this.#touched.inserted(this.#key)) this.#events.overrun();
    }
    this.#events.insert(peer.id, this.#record);
  }

  #delete(peer: Peer, bytes: Uint8Array, at: number): void {
    this.#counters.deletesIn++;
    copy(bytes, at, this.#key);
    if (this.#joiner.joining && !this.#touched.deleted(this.#key)) this.#events.overrun();
    this.#heads.drop(this.#key);
    this.#events.delete(peer.id, this.#key);
  }

  #snapshotRecord(peer: Peer, bytes: Uint8Array, at: number): void {
    if (!this.#joiner.takes(peer)) return;
    this.#counters.snapshotRecordsIn++;
    copy(bytes, at, this.#record);
    this.#source.keyOf(this.#record, this.#key);
    if (!this.#touched.overrules(this.#key)) this.#events.insert(peer.id, this.#record);
  }

  #logHead(peer: Peer, datagram: Datagram, at: number, now: Micros): void {
    const { view, bytes } = datagram;
    const payload = messages.payloadAt(at);
    const factsAt = messages.headFactsAt(at);
    const headAt = factsAt + messages.headFactsLength(view, at);
    this.#counters.headsIn++;
    const logged = this.#heads.log(
      peer.id,
      bytes.subarray(payload, payload + messages.FLOW_BYTES),
      bytes.subarray(factsAt, headAt),
      messages.headOffset(view, at),
      bytes.subarray(headAt, messages.messageEnd(view, at)),
      now,
    );
    if (!logged) this.#counters.headsRefused++;
  }
}

function copy(from: Uint8Array, at: number, to: Uint8Array): void {
  for (let index = 0; index < to.length; index++) to[index] = from[at + index];
}
