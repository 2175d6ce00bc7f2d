/**
 * What every peer must get: messages with a ticket, in one order for all peers, and who waits for them. The
 * lowest ticket that all peers acknowledged settles all before it.
 */
import type { Micros } from '../env/clock.ts';
import { type LatencyHistogram, latencyHistogram, observe } from './counters.ts';
import type { HeadLog } from './heads.ts';
import * as messages from './messages.ts';
import type { Peer } from './peer.ts';
import { type Done, Pending } from './pending.ts';

/** Datagrams that may wait for a peer when it is told of a SYN: a flood must not make it look slow. */
const MAX_BACKLOG = 16;

export class Outbox {
  readonly latency: LatencyHistogram = latencyHistogram();
  readonly #peers: readonly Peer[];
  readonly #heads: HeadLog;
  readonly #self: number;
  readonly #pending = new Pending();
  readonly #overrun: (peer: Peer) => void;
  /** Peers whose queue was full for the message being sent. */
  readonly #slow: Peer[] = [];
  /** Proposals that were taken back, by ticket, and the ticket of what says so. */
  readonly #withdrawn: { readonly ticket: number; readonly by: number }[] = [];

  #held = false;

  /** `overrun` is called for a peer whose queue is full: too slow to stay. */
  constructor(peers: readonly Peer[], heads: HeadLog, self: number, overrun: (peer: Peer) => void) {
    this.#peers = peers;
    this.#heads = heads;
    this.#self = self;
    this.#overrun = overrun;
  }

  /** Messages that some peer has not acknowledged. */
  get size(): number {
    return this.#pending.size;
  }

  /** True if nobody else is up: whatever is sent is with everybody at once, unless that is in doubt (`hold`). */
  get isAlone(): boolean {
    return !this.#held && this.#hasNobody();
  }

  #hasNobody(): boolean {
    for (const peer of this.#peers) if (peer.isUp) return false;
    return true;
  }

  /** The ticket of the next message. */
  get nextTicket(): number {
    return this.#pending.last + 1;
  }

  /** The last ticket of which all that are up have everything. */
  get settled(): number {
    return this.#pending.settled;
  }

  /**
   * What peers are told of that: they put into their tables what it covers, so it stays below a proposal that
   * was taken back until all know that it was.
   */
  get announced(): number {
    const withdrawn = this.#withdrawn;
    while (withdrawn.length > 0 && withdrawn[0].by <= this.#pending.settled) withdrawn.shift();
    let ticket = this.#pending.settled;
    for (const { ticket: gone } of withdrawn) ticket = Math.min(ticket, gone - 1);
    return ticket;
  }

  /** When the oldest of them was sent; undefined if there is none. */
  get oldest(): Micros | undefined {
    return this.#pending.oldest;
  }

  /** Sends a message of `type` to all that are up; `done(true)` at once if nobody is. */
  send(type: number, kept: Uint8Array, done: Done | undefined, now: Micros): void {
    if (this.#isDone(done)) return;
    const ticket = this.#pending.add(type, kept, done, now);
    for (const peer of this.#peers) {
      if (peer.isUp && !write(peer, type, kept, ticket, done !== undefined)) {
        this.#slow.push(peer);
      }
    }
    this.#dropSlow();
  }

  /** Takes back the proposal with `ticket`, the key of whose record is `key`. */
  withdraw(ticket: number, key: Uint8Array, now: Micros): void {
    if (!this.isAlone) this.#withdrawn.push({ ticket, by: this.nextTicket });
    // Its receivers wait for it, to accept what they had to defer.
    this.send(messages.WITHDRAW, key, () => {}, now);
  }

  /** Sends a part of a head in as many messages as it takes. */
  sendHead(
    flow: Uint8Array,
    facts: Uint8Array,
    offset: number,
    bytes: Uint8Array,
    done: Done,
    now: Micros,
  ): void {
    if (this.#isDone(done)) return;
    const ticket = this.#pending.add(messages.HEAD, flow, done, now);
    for (const peer of this.#peers) {
      if (peer.isUp && !writeHead(peer, flow, facts, offset, bytes, ticket)) this.#slow.push(peer);
    }
    this.#dropSlow();
  }

  /** Tells all that are up of a SYN, and at once, unless this member has no time to spare; but not who is behind. */
  sendSyn(syn: Uint8Array): void {
    for (const { isUp, outgoing } of this.#peers) {
      if (!isUp || outgoing.backlog > MAX_BACKLOG) continue;
      const datagram = outgoing.room(syn.length, false);
      if (datagram === undefined) continue;
      messages.writeBytes(datagram, messages.SYN, syn, syn.length);
      datagram.urgent = true;
    }
  }

  /**
   * A peer came up: it gets all that is not settled too, and each `done` waits for it. So whatever is committed
   * is either in the tables of those who serve when it asks for a snapshot, or on its way to it.
   */
  extendTo(peer: Peer): void {
    peer.outgoing.reset(this.#pending.settled);
    let whole = true;
    for (const { flow, facts, bytes } of this.#heads.of(this.#self)) {
      whole &&= writeHead(peer, flow, facts, 0, bytes, 0);
    }
    this.#pending.forEach((ticket, type, payload) => {
      const head = type === messages.HEAD ? this.#heads.get(payload) : undefined;
      if (type !== messages.HEAD) whole &&= write(peer, type, payload, ticket);
      else if (head?.owner === this.#self && !head.isOrphan) {
        // Its bytes went before; an empty part carries the ticket.
        const { flow, facts, bytes } = head;
        whole &&= writeHead(peer, flow, facts, bytes.length, bytes.subarray(0, 0), ticket);
      } else whole &&= write(peer, messages.HEAD_DROP, payload, ticket);
    });
    if (!whole) this.#overrun(peer);
  }

  /** While nobody is up nothing is settled until `release`. */
  hold(): void {
    this.#held = true;
  }

  /** Settle after it. */
  release(): void {
    this.#held = false;
  }

  /** Settles what every peer that is up has acknowledged. */
  settle(now: Micros): void {
    if (this.#held && this.#hasNobody()) return;
    const { last } = this.#pending;
    let ticket = last;
    for (const { isUp, outgoing } of this.#peers) {
      if (isUp && outgoing.ackedTicket < ticket) ticket = outgoing.ackedTicket;
    }
    this.#pending.settle(ticket, true, now, (waited) => observe(this.latency, waited));
  }

  /** Tells all who wait that it will not be; returns how many they were. */
  fail(): number {
    let failed = 0;
    this.#pending.settle(this.#pending.last, false, 0, () => failed++);
    return failed;
  }

  #isDone(done: Done | undefined): boolean {
    if (!this.isAlone) return false;
    if (done !== undefined) observe(this.latency, 0);
    done?.(true);
    return true;
  }

  /**
   * Who does not take any more is dropped only after all others have the message: those who wait for older
   * ones are called then, and may send the next.
   */
  #dropSlow(): void {
    while (this.#slow.length > 0) {
      const peer = this.#slow.pop();
      if (peer !== undefined) this.#overrun(peer);
    }
  }
}

function write(
  peer: Peer,
  type: number,
  kept: Uint8Array,
  ticket: number,
  awaited = true,
): boolean {
  const datagram = peer.outgoing.room(messages.keptLength(type, kept), awaited);
  if (datagram === undefined) return false;
  messages.writeKept(datagram, type, ticket, kept);
  peer.outgoing.stamp(datagram, ticket);
  return true;
}

/** The last message carries the ticket, if it is not 0. */
function writeHead(
  peer: Peer,
  flow: Uint8Array,
  facts: Uint8Array,
  offset: number,
  bytes: Uint8Array,
  ticket: number,
): boolean {
  let at = 0;
  do {
    const part = bytes.subarray(at, at + messages.MAX_HEAD_CHUNK);
    const datagram = peer.outgoing.room(
      messages.headLength(flow.length, facts.length, part.length),
    );
    if (datagram === undefined) return false;
    messages.writeHead(datagram, flow, facts, offset + at, part);
    at += part.length;
    if (at === bytes.length && ticket !== 0) peer.outgoing.stamp(datagram, ticket);
  } while (at < bytes.length);
  return true;
}
