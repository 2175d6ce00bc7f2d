// The fast path: a packet of a spliced flow comes in, is translated in place, and goes out.
import type { Micros } from '../env/clock.ts';
import { type Address, fromIpv4 } from '../ip/address.ts';
import { type Hop, NO_HOP } from '../ip/neighbours.ts';
import { Frame } from '../link/frame.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as layout from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import * as virtio from '../wire/virtio.ts';
import { HeldAcknowledgments, isPureAcknowledgment } from './acknowledgments.ts';
import { NOT_SPLICED, REFUSED, translateIcmp } from './icmp.ts';
import { Lifecycle, type LifecycleOptions } from './lifecycle.ts';
import { writeProbe } from './probe.ts';
import * as record from './record.ts';
import * as rewrite from './rewrite.ts';
import * as segments from './segment.ts';
import * as slots from './slot.ts';
import type { SpliceTable } from './table.ts';

// The engine folds what a module binds itself into its code, and loads what it imports at each use.
const { headerLength, isFragment, PROTOCOL_ICMP, PROTOCOL_TCP } = ipv4;
const { NETWORK_AT } = layout;
const { ACK, FIN, RST, SYN, TCP_LENGTH } = tcp;
const { GSO_TCPV4 } = virtio;
const { IPV4_KEY_WORDS, TO_BACKEND } = record;
const { rewriteIpv4 } = rewrite;
const { readSegment } = segments;
const { HOP, LINGERING, SLOT_WORDS } = slots;

const SOURCE_WORD = (NETWORK_AT + ipv4.SOURCE_AT) >> 2;
const TOTAL_LENGTH_AT = NETWORK_AT + 2;
const TTL_AT = NETWORK_AT + ipv4.TTL_AT;
const PROTOCOL_AT = NETWORK_AT + 9;

/** How translated packets leave; `ip/` has it. */
export interface SpliceNetwork {
  /** The next hop towards `destination`, or `NO_HOP` without a route. */
  resolve(destination: Address): Hop;
  /** Sends a frame whose IP packet is complete; false if `hop` must be resolved again. */
  transmit(frame: Frame, hop: Hop): boolean;
}

export interface SplicerCounters {
  framesToBackend: number;
  framesToClient: number;
  /** Bytes of IP packets. */
  bytesToBackend: number;
  bytesToClient: number;
  /** Acknowledgments not sent, since a later segment of the same breath repeats them. */
  acknowledgmentsLeftOut: number;
  /** ICMP errors passed on. */
  errorsTranslated: number;
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
  damaged: 0,
  ttlExpired: 0,
  noRoute: 0,
  errorsRefused: 0,
});

export class Splicer {
  readonly table: SpliceTable;
  readonly counters: SplicerCounters;
  readonly lifecycle: Lifecycle;
  readonly #network: SpliceNetwork;
  readonly #segment = new segments.Segment();
  readonly #held: HeldAcknowledgments | undefined;
  /** For segments of our own, made when first needed. */
  #own: Frame | undefined;

  constructor(options: SplicerOptions) {
    this.table = options.table;
    this.#network = options.network;
    this.counters = options.counters ?? splicerCounters();
    if (options.gathers === true) {
      this.#held = new HeldAcknowledgments((frame, flow) => this.#send(frame, flow >> 1, flow & 1));
    }
    this.lifecycle = new Lifecycle({
      ...options,
      probe: (slot, direction, reset) => {
        this.#own ??= new Frame(OWN_CAPACITY);
        writeProbe(this.table, slot, direction, reset, this.#own);
        this.#send(this.#own, slot, direction);
      },
    });
  }

  /** When `run` has something to do. */
  get nextAt(): Micros {
    return this.lifecycle.nextAt;
  }

  /** Sends the acknowledgments that waited for the end of the breath. */
  flush(): void {
    this.#held?.flush();
  }

  /** Looks after records that linger and flows that are silent; once a breath, or at `nextAt`. */
  run(now: Micros): void {
    this.lifecycle.run(now);
  }

  /**
   * Takes a frame that holds IPv4 and is addressed to us.
   * @returns true if it was spliced, that is translated and sent, or dropped and counted; false if it is
   *   nothing of ours, and as it was. Fragments are never ours: whole, after reassembly, they may be.
   */
  handle(frame: Frame, now: Micros): boolean {
    const { view, words } = frame;
    const length = headerLength(view, NETWORK_AT, frame.end);
    if (length < 0 || isFragment(view, NETWORK_AT)) return false;
    const at = NETWORK_AT + length;
    const total = view.getUint16(TOTAL_LENGTH_AT);
    const protocol = view.getUint8(PROTOCOL_AT);
    if (protocol === PROTOCOL_ICMP) return this.#handleIcmp(frame, at);
    if (protocol !== PROTOCOL_TCP || total < length + TCP_LENGTH) return false;
    const flow = this.table.find(
      words[SOURCE_WORD] | 0,
      words[SOURCE_WORD + 1] | 0,
      words[at >> 2] | 0,
    );
    if (flow < 0) return false;

    const slot = flow >> 1;
    const direction = flow & 1;
    const segment = this.#segment;
    const end = NETWORK_AT + total;
    if (!readSegment(frame, at, end, GSO_TCPV4, segment)) {
      this.counters.damaged++;
      return true;
    }
    if (view.getUint8(TTL_AT) <= 1) {
      this.counters.ttlExpired++;
      return true;
    }
    if (
      (segment.flags & (SYN | ACK)) === SYN &&
      direction === TO_BACKEND &&
      this.table.state(slot) >= LINGERING
    ) {
      // The client begins anew with the ports of a connection that is over.
      this.lifecycle.end(slot);
      return false;
    }
    // Ethernet pads short packets; that is no part of them.
    frame.end = end;
    rewriteIpv4(this.table.words, slot * SLOT_WORDS, direction, frame, segment);
    if (direction === TO_BACKEND) {
      this.counters.framesToBackend++;
      this.counters.bytesToBackend += total;
    } else {
      this.counters.framesToClient++;
      this.counters.bytesToClient += total;
    }
    const news =
      this.#held !== undefined && this.lifecycle.acknowledgesNews(slot, direction, segment);
    this.lifecycle.track(slot, direction, segment, now);
    if (this.#held === undefined || !this.#gather(this.#held, flow, news, frame)) {
      this.#send(frame, slot, direction);
    }
    return true;
  }

  /** Keeps an acknowledgment back, or makes way for what goes out now. True if the frame was kept. */
  #gather(held: HeldAcknowledgments, flow: number, news: boolean, frame: Frame): boolean {
    const segment = this.#segment;
    if (news && isPureAcknowledgment(frame, segment, frame.end)) {
      if (held.hold(flow, segment.ack, frame)) this.counters.acknowledgmentsLeftOut++;
      return true;
    }
    // A duplicate of what is held must not take its place: its receiver counts them.
    const carries = segment.at + segment.headerLength < frame.end || (segment.flags & FIN) !== 0;
    const repeats = carries && (segment.flags & (ACK | RST)) === ACK;
    if (held.give(flow, repeats, segment.ack)) this.counters.acknowledgmentsLeftOut++;
    return false;
  }

  #handleIcmp(frame: Frame, at: number): boolean {
    const flow = translateIcmp(this.table, frame, at);
    if (flow === NOT_SPLICED) return false;
    if (flow === REFUSED) {
      this.counters.errorsRefused++;
      return true;
    }
    this.counters.errorsTranslated++;
    this.#send(frame, flow >> 1, flow & 1);
    return true;
  }

  /** Sends what is addressed to the receiver of a direction. */
  #send(frame: Frame, slot: number, direction: number): void {
    const hop = this.table.words[slot * SLOT_WORDS + HOP + direction] >>> 0;
    if (!this.#network.transmit(frame, hop)) this.#resolve(frame, slot, direction);
  }

  /** Sends it by a next hop that is looked up again. */
  #resolve(frame: Frame, slot: number, direction: number): void {
    const { words } = this.table;
    const receiver = slot * SLOT_WORDS + IPV4_KEY_WORDS * (1 - direction);
    const hop = this.#network.resolve(addressOf(words[receiver]));
    words[slot * SLOT_WORDS + HOP + direction] = hop;
    if (hop === NO_HOP || !this.#network.transmit(frame, hop)) this.counters.noRoute++;
  }
}

/** Bytes enough for a header with options and no data. */
const OWN_CAPACITY = 128;

/** The address in a word that lies as it does in a frame. */
const addressOf = (word: number): Address =>
  fromIpv4(
    (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>>
      0,
  );
