// The fast path: a packet of a spliced flow comes in, is translated in place, and goes out.
import { MILLISECOND, type Micros, NEVER } from '../env/clock.ts';
import { type Address, type Endpoint, fromIpv4 } from '../ip/address.ts';
import { readIpv6 } from '../ip/intern.ts';
import { type Hop, NO_HOP } from '../ip/neighbours.ts';
import { Frame } from '../link/frame.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { Chain, REACHED, walk } from '../wire/ipv6-extensions.ts';
import * as layout from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import * as virtio from '../wire/virtio.ts';
import { HeldAcknowledgments, isPureAcknowledgment } from './acknowledgments.ts';
import { IPV6_FORM } from './form.ts';
import { translateIcmp } from './icmp.ts';
import { translateIcmpv6 } from './icmpv6.ts';
import { Lifecycle, type LifecycleOptions } from './lifecycle.ts';
import { OWN_SEGMENT_CAPACITY } from './own-packet.ts';
import { isDenial, writeProbe } from './probe.ts';
import { NOT_SPLICED, REFUSED } from './quote.ts';
import * as record from './record.ts';
import { Resumer, type ResumerCounters, resumerCounters } from './resume.ts';
import * as rewrite from './rewrite.ts';
import * as segments from './segment.ts';
import * as slots from './slot.ts';
import type { SpliceTable } from './table.ts';

// The engine folds what a module binds itself into its code, and loads what it imports at each use.
const { headerLength, isFragment, PROTOCOL_ICMP, PROTOCOL_TCP } = ipv4;
const { NETWORK_AT } = layout;
const { ACK, FIN, RST, SYN, TCP_LENGTH } = tcp;
const { GSO_TCPV4, GSO_TCPV6 } = virtio;
const { TO_BACKEND, TO_CLIENT } = record;
const { rewriteIpv4, rewriteIpv6 } = rewrite;
const { readSegment } = segments;
const { HOP, LINGERING } = slots;

const { IPV6_LENGTH, PROTOCOL_ICMPV6 } = ipv6;

const SOURCE_WORD = (NETWORK_AT + ipv4.SOURCE_AT) >> 2;
const TOTAL_LENGTH_AT = NETWORK_AT + 2;
const TTL_AT = NETWORK_AT + ipv4.TTL_AT;
const PROTOCOL_AT = NETWORK_AT + 9;
/** Where a segment starts without IP options, and without extension headers. */
const USUAL_TCP_AT = NETWORK_AT + ipv4.IPV4_LENGTH;
const USUAL_TCP6_AT = NETWORK_AT + IPV6_LENGTH;
const SOURCE6_WORD = (NETWORK_AT + ipv6.SOURCE_AT) >> 2;
const NEXT_HEADER_AT = NETWORK_AT + ipv6.NEXT_HEADER_AT;
const HOP_LIMIT_AT = NETWORK_AT + ipv6.HOP_LIMIT_AT;

/**
 * A server acknowledges a short request at once, and repeats that with its answer, often within a millisecond. Who has
 * no time to spare waits so long for the answer, and sends one packet less: far below what receivers take to
 * acknowledge (RFC 9293, 3.8.6.3).
 */
const SHORT_REQUEST = 1_500;
const PATIENCE: Micros = MILLISECOND;

/**
 * Further ahead of what a client is known to have said than its flow gets between two packets that one member sees, as a rule;
 * nearer than a client's next connection begins a second later (RFC 9293, 3.4.1: 250,000 a second at least; Linux: 15 million).
 */
const FAR = 200_000;

/** Instead of a flow: nothing of ours, or done with. */
const NONE = -1;
const CONSUMED = -2;

/** How translated packets leave; `ip/` has it. */
export interface SpliceNetwork {
  /** The next hop towards `destination`, or `NO_HOP` without a route. */
  resolve(destination: Address): Hop;
  /** Sends a frame whose IP packet is complete; false if `hop` must be resolved again. */
  transmit(frame: Frame, hop: Hop): boolean;
}

export interface SplicerCounters extends ResumerCounters {
  framesToBackend: number;
  framesToClient: number;
  /** Bytes of IP packets. */
  bytesToBackend: number;
  bytesToClient: number;
  /** Acknowledgments not sent, since a later segment of the same breath repeats them. */
  acknowledgmentsLeftOut: number;
  /** ICMP errors passed on. */
  errorsTranslated: number;
  /** SYNs of clients for flows that are not over, as far as is known here. */
  synsChallenged: number;
  /** Segments of clients that have begun anew, which were left to the member that has answered their SYN. */
  successors: number;
  /** IPv6 packets with extension headers before the segment, which are looked through one by one. */
  extensionHeaders: number;
  /** Dropped: lengths or the virtio header contradict the packet. */
  damaged: number;
  /** Dropped: the packet's time to live is over. */
  ttlExpired: number;
  /** Dropped: no route to the other end. */
  noRoute: number;
  /** Dropped: ICMP errors that are damaged, or quote what cannot be in flight. */
  errorsRefused: number;
}

export interface SplicerOptions extends Omit<LifecycleOptions, 'probe'> {
  readonly network: SpliceNetwork;
  /**
   * Whether acknowledgments that a later segment repeats are left out. Then `flush` must be called at the
   * end of every breath. False when absent.
   */
  readonly gathers?: boolean;
  /** Whether there is more than enough to do, so that acknowledgments of short requests may wait longer; not if absent. */
  readonly isBusy?: () => boolean;
  /**
   * True if a segment from the client brings what another member answered a SYN with: that one has the client's next connection, or
   * knows this one better. Asked where the number is far from what is known here; never so when absent.
   */
  readonly isAnothers?: (client: Endpoint, virtual: Endpoint, seq: number, ack: number) => boolean;
  /** Where to count; its fields are only added to. */
  readonly counters?: SplicerCounters;
}

export const splicerCounters = (): SplicerCounters => ({
  framesToBackend: 0,
  framesToClient: 0,
  bytesToBackend: 0,
  bytesToClient: 0,
  acknowledgmentsLeftOut: 0,
  errorsTranslated: 0,
  synsChallenged: 0,
  successors: 0,
  extensionHeaders: 0,
  damaged: 0,
  ttlExpired: 0,
  noRoute: 0,
  errorsRefused: 0,
  ...resumerCounters(),
});

/** Splices the flows of one address family: that of its table's records. */
export class Splicer {
  readonly table: SpliceTable;
  readonly counters: SplicerCounters;
  readonly lifecycle: Lifecycle;
  /** Told when addresses are adopted. */
  readonly resumer: Resumer;
  readonly #network: SpliceNetwork;
  readonly #segment = new segments.Segment();
  readonly #held: HeldAcknowledgments | undefined;
  /** Those of short requests, and when they go at the latest. */
  readonly #patient: HeldAcknowledgments | undefined;
  #patientUntil: Micros = NEVER;
  readonly #isBusy: () => boolean;
  readonly #isAnothers: SplicerOptions['isAnothers'];
  readonly #slotWords: number;
  /** Where the next hops of the first slot lie. */
  readonly #hop: number;
  readonly #isIpv6: boolean;
  readonly #chain = new Chain();
  /** Where the segment of the packet that is being handled starts and ends. */
  #at = 0;
  #end = 0;
  /** The key of a packet whose words do not lie side by side. */
  readonly #key: Uint32Array;
  /** For segments of our own, made when first needed. */
  #own: Frame | undefined;

  constructor(options: SplicerOptions) {
    this.table = options.table;
    this.#slotWords = options.table.slotWords;
    this.#hop = options.table.form.seen + HOP;
    this.#isIpv6 = options.table.form === IPV6_FORM;
    this.#key = new Uint32Array(options.table.form.keyWords);
    this.#network = options.network;
    this.counters = options.counters ?? splicerCounters();
    if (options.gathers === true) {
      this.#held = new HeldAcknowledgments((frame, flow) => this.#send(frame, flow >> 1, flow & 1));
      this.#patient = new HeldAcknowledgments((frame) => this.#sendLate(frame));
    }
    this.#isBusy = options.isBusy ?? (() => false);
    this.#isAnothers = options.isAnothers;
    this.lifecycle = new Lifecycle({
      ...options,
      probe: (slot, direction, reset) => this.#ask(slot, direction, reset),
    });
    this.resumer = new Resumer({
      table: this.table,
      counters: this.counters,
      send: (frame, slot, direction) => this.#send(frame, slot, direction),
    });
  }

  /** When `run` has something to do. */
  get nextAt(): Micros {
    return Math.min(this.lifecycle.nextAt, this.resumer.nextAt, this.#patientUntil);
  }

  /** Sends the acknowledgments that waited for the end of the breath, and those that waited long enough. */
  flush(now: Micros): void {
    this.#held?.flush();
    if (this.#patientUntil === NEVER || (now < this.#patientUntil && this.#isBusy())) return;
    this.#patientUntil = NEVER;
    this.#patient?.flush();
  }

  /** Looks after records that linger and flows that are silent; once a breath, or at `nextAt`. */
  run(now: Micros): void {
    this.lifecycle.run(now);
    this.resumer.run(now);
  }

  /**
   * Takes a frame that holds a packet of this family and is addressed to us.
   * @returns true if it was spliced, that is translated and sent, or dropped and counted; false if it is
   *   nothing of ours, and as it was. Fragments are never ours: whole, after reassembly, they may be.
   */
  handle(frame: Frame, now: Micros): boolean {
    const flow = this.#isIpv6 ? this.#findIpv6(frame) : this.#findIpv4(frame);
    if (flow < 0) return flow === CONSUMED;

    const { view } = frame;
    const slot = flow >> 1;
    const direction = flow & 1;
    const segment = this.#segment;
    const end = this.#end;
    const train = this.#isIpv6 ? GSO_TCPV6 : GSO_TCPV4;
    if (!readSegment(frame, this.#at, end, train, segment)) {
      this.counters.damaged++;
      return true;
    }
    if (view.getUint8(this.#isIpv6 ? HOP_LIMIT_AT : TTL_AT) <= 1) {
      this.counters.ttlExpired++;
      return true;
    }
    if (direction === TO_BACKEND) {
      const { flags, seq } = segment;
      if ((flags & (SYN | ACK)) === SYN) return this.#receiveSyn(slot);
      if ((flags & RST) !== 0 && isDenial(this.table, slot, seq)) {
        this.lifecycle.end(slot);
        return true;
      }
      if (this.table.state(slot) >= LINGERING && this.lifecycle.isBeyondEnd(slot, direction, seq)) {
        // The client has begun anew, by way of another member, whose word that the record is gone is on its way.
        return false;
      }
      if (this.lifecycle.ahead(slot, direction, seq) >= FAR && this.#isSuccessor(slot, frame)) {
        // Likewise, where nobody has told yet that the connection is over: its end was seen elsewhere.
        this.counters.successors++;
        return false;
      }
    }
    // Ethernet pads short packets; that is no part of them.
    frame.end = end;
    const base = slot * this.#slotWords;
    if (this.#isIpv6) rewriteIpv6(this.table.words, base, direction, frame, segment);
    else rewriteIpv4(this.table.words, base, direction, frame, segment);
    const total = end - NETWORK_AT;
    if (direction === TO_BACKEND) {
      this.counters.framesToBackend++;
      this.counters.bytesToBackend += total;
    } else {
      this.counters.framesToClient++;
      this.counters.bytesToClient += total;
    }
    const news =
      this.#held === undefined ? 0 : this.lifecycle.newlyAcknowledged(slot, direction, segment);
    this.lifecycle.track(slot, direction, segment, now);
    if (this.resumer.isActive) {
      this.resumer.note(slot, direction, view.getUint16(segment.at + tcp.WINDOW_AT), now);
    }
    if (!this.#gather(flow, news, frame, now)) this.#send(frame, slot, direction);
    return true;
  }

  /** A client's SYN where there is a record: true if it is done with, false if it begins a new connection. */
  #receiveSyn(slot: number): boolean {
    if (this.table.state(slot) >= LINGERING) {
      this.lifecycle.end(slot);
      return false;
    }
    // Perhaps that connection is over, and only other members saw its end. Then the backend would take the SYN for a
    // new connection of its own, by a record that somebody is about to delete. So the client is asked, as RFC 5961 has it
    // (section 4.2): one that has begun anew denies the old connection, and then repeats its SYN.
    this.#ask(slot, TO_CLIENT, false);
    this.counters.synsChallenged++;
    return true;
  }

  /** True if a segment from the client, as it came in, is another member's to judge. */
  #isSuccessor(slot: number, { view }: Frame): boolean {
    const { at, flags, seq } = this.#segment;
    if (this.#isAnothers === undefined || (flags & (SYN | ACK | RST)) !== ACK) return false;
    const { table } = this;
    const start = 4 * slot * this.#slotWords;
    const client = record.sourceOf(table.view, start, table.form);
    const virtual = record.destinationOf(table.view, start, table.form);
    return this.#isAnothers(client, virtual, seq >>> 0, tcp.ack(view, at));
  }

  /** Sends a probe, or a reset, to the receiver of a direction. */
  #ask(slot: number, direction: number, reset: boolean): void {
    this.#own ??= new Frame(OWN_SEGMENT_CAPACITY);
    writeProbe(this.table, slot, direction, reset, this.#own);
    this.#send(this.#own, slot, direction);
  }

  /** Finds the flow of a packet, `NONE` or `CONSUMED`; sets where its segment starts and ends. */
  #findIpv4(frame: Frame): number {
    const { view, words } = frame;
    const length = headerLength(view, NETWORK_AT, frame.end);
    if (length < 0 || isFragment(view, NETWORK_AT)) return NONE;
    const at = NETWORK_AT + length;
    const end = NETWORK_AT + view.getUint16(TOTAL_LENGTH_AT);
    const protocol = view.getUint8(PROTOCOL_AT);
    if (protocol === PROTOCOL_ICMP) {
      return this.#finishIcmp(frame, translateIcmp(this.table, frame, at));
    }
    if (protocol !== PROTOCOL_TCP || end - at < TCP_LENGTH) return NONE;
    this.#at = at;
    this.#end = end;
    return at === USUAL_TCP_AT
      ? this.table.find(words, SOURCE_WORD)
      : this.#findApart(words, SOURCE_WORD, at);
  }

  #findIpv6(frame: Frame): number {
    const { view, words } = frame;
    if (!ipv6.isValid(view, NETWORK_AT, frame.end)) return NONE;
    const end = USUAL_TCP6_AT + ipv6.payloadLength(view, NETWORK_AT);
    const next = view.getUint8(NEXT_HEADER_AT);
    if (next === PROTOCOL_ICMPV6) {
      return this.#finishIcmp(frame, translateIcmpv6(this.table, frame, USUAL_TCP6_AT));
    }
    const isUsual = next === PROTOCOL_TCP;
    const at = isUsual ? USUAL_TCP6_AT : this.#segmentBehind(view, end);
    if (at < 0 || end - at < TCP_LENGTH) return NONE;
    this.#at = at;
    this.#end = end;
    if (isUsual) return this.table.find(words, SOURCE6_WORD);
    const flow = this.#findApart(words, SOURCE6_WORD, at);
    if (flow >= 0) this.counters.extensionHeaders++;
    return flow;
  }

  /** Where the segment behind extension headers starts; -1 if there is none, or anything is wrong. */
  #segmentBehind(view: DataView, end: number): number {
    const chain = this.#chain;
    const outcome = walk(view, NETWORK_AT, end, chain);
    return outcome === REACHED && chain.protocol === PROTOCOL_TCP ? chain.payload : -1;
  }

  /** The flow of a packet whose addresses start at word `source`, and whose ports do not follow at once. */
  #findApart(words: Uint32Array, source: number, at: number): number {
    const key = this.#key;
    const last = key.length - 1;
    for (let word = 0; word < last; word++) key[word] = words[source + word];
    key[last] = words[at >> 2];
    return this.table.find(key, 0);
  }

  /**
   * Keeps an acknowledgment back, or makes way for what goes out now.
   * @param news bytes that it acknowledges and none before it did
   * @returns true if the frame was kept
   */
  #gather(flow: number, news: number, frame: Frame, now: Micros): boolean {
    const held = this.#held;
    const patient = this.#patient;
    if (held === undefined || patient === undefined) return false;
    const segment = this.#segment;
    const { ack, flags } = segment;
    const isPure = news > 0 && isPureAcknowledgment(frame, segment, frame.end);
    // A duplicate of what is held must not take its place: its receiver counts them.
    const carries = segment.at + segment.headerLength < frame.end || (flags & FIN) !== 0;
    const repeats = isPure || (carries && (flags & (ACK | RST)) === ACK);
    if (this.#patientUntil !== NEVER && patient.give(flow, repeats, ack)) {
      this.counters.acknowledgmentsLeftOut++;
    }
    if (isPure) {
      const waits = (flow & 1) !== TO_BACKEND && news <= SHORT_REQUEST && this.#isBusy();
      if (waits && this.#patientUntil === NEVER) this.#patientUntil = now + PATIENCE;
      if ((waits ? patient : held).hold(flow, ack, frame)) this.counters.acknowledgmentsLeftOut++;
      return true;
    }
    if (held.give(flow, repeats, ack)) this.counters.acknowledgmentsLeftOut++;
    return false;
  }

  /** @param flow what an ICMP error turned out to be about */
  #finishIcmp(frame: Frame, flow: number): number {
    if (flow === NOT_SPLICED) return NONE;
    if (flow === REFUSED) {
      this.counters.errorsRefused++;
      return CONSUMED;
    }
    this.counters.errorsTranslated++;
    this.#send(frame, flow >> 1, flow & 1);
    return CONSUMED;
  }

  /** Sends what is addressed to the receiver of a direction. */
  #send(frame: Frame, slot: number, direction: number): void {
    const hop = this.table.words[slot * this.#slotWords + this.#hop + direction] >>> 0;
    if (!this.#network.transmit(frame, hop)) this.#resolve(frame, slot, direction);
  }

  /** Sends what waited longer than a breath: its flow may be over, and another have its slot. */
  #sendLate(frame: Frame): void {
    const { view } = frame;
    const destination = this.#isIpv6
      ? readIpv6(view, NETWORK_AT + ipv6.DESTINATION_AT)
      : fromIpv4(ipv4.destination(view, NETWORK_AT));
    const hop = this.#network.resolve(destination);
    if (hop === NO_HOP || !this.#network.transmit(frame, hop)) this.counters.noRoute++;
  }

  /** Sends it by a next hop that is looked up again. */
  #resolve(frame: Frame, slot: number, direction: number): void {
    const { words, view, form } = this.table;
    const start = slot * this.#slotWords;
    const receiver = 4 * (start + form.keyWords * (1 - direction));
    const hop = this.#network.resolve(record.addressAt(view, receiver, form));
    words[start + this.#hop + direction] = hop;
    if (hop === NO_HOP || !this.#network.transmit(frame, hop)) this.counters.noRoute++;
  }
}
