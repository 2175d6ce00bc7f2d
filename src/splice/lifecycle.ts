// From the first packet of a splice to the end of its record: FINs, resets, linger, silence.
//
// A record must not go before both ends are done with it, and must not stay for ever. What passes tells
// most of it. What does not pass here (another member saw it, or it was lost) is asked of the ends: a
// silent flow's ends are probed, and one that no longer knows the connection answers with a reset, which
// passes on to the other end and closes the flow as any reset does. Where the packets of one flow pass by way of
// several members none may see the whole of its end: so they tell each other what they saw of it.
import type { Micros } from '../env/clock.ts';
import * as clock from '../env/clock.ts';
import * as tcp from '../wire/tcp.ts';
import { FACTS_MASK, factsOf, isBeyondEnd, isFinAcked, noteFacts } from './facts.ts';
import { TO_BACKEND, TO_CLIENT } from './record.ts';
import { isGoodReset } from './reset.ts';
import type { Segment } from './segment.ts';
import * as s from './slot.ts';
import type { SlotQueue } from './slot-queue.ts';
import type { SpliceTable } from './table.ts';

// The engine folds what a module binds itself into its code, and loads what it imports at each use.
const { MILLISECOND, NEVER, SECOND } = clock;
const { ACKED, ACTIVITY, ANSWERED, NEXT, PROBES_MASK, REACH, STATUS, SUSPECT, TIMESTAMP } = s;
const { ACK, FIN, RST, SYN } = tcp;

export interface LifecycleOptions {
  readonly table: SpliceTable;
  /** How long a record stays after the last packet of a flow whose FINs are acknowledged. */
  readonly lingerMillis?: number;
  /** Likewise after a reset. */
  readonly resetLingerMillis?: number;
  /** Silence after which the ends of an open flow are probed; up to 2^30. */
  readonly idleMillis?: number;
  /** Likewise once a FIN passed. */
  readonly closingIdleMillis?: number;
  readonly probeMillis?: number;
  /** Probes without an answer before a flow is given up, 1 to 100. */
  readonly probes?: number;
  /**
   * True if this member hears what the backend answers, and so may give up a silent flow: its home, or
   * who took over the home's addresses. Asked before each probe.
   */
  readonly isResponsible?: (slot: number) => boolean;
  /** The flow is over, and its record lingers. */
  readonly onClose?: (slot: number) => void;
  /**
   * The record is about to be removed: all members should; at once if its client has begun a new connection. It can
   * still be read.
   */
  readonly onExpire?: (slot: number, atOnce: boolean) => void;
  /** Something of a flow's end was seen that no other member was told; true if all are told now (`facts`). */
  readonly onFacts?: (slot: number, facts: number) => boolean;
  /** A silent flow is about to be probed: others may have heard of it (`revive`). */
  readonly onSilent?: (slot: number) => void;
  /** Sends a probe or a reset to the receiver of a direction. */
  readonly probe: (slot: number, direction: number, reset: boolean) => void;
}

const QUEUE_BUDGET = 1_024;
const SCAN_BUDGET = 2_048;
/** Between two slices of a scan, and between the end of one scan and the next. */
const SLICE_GAP: Micros = MILLISECOND;
const SCAN_GAP: Micros = SECOND / 4;

/**
 * In milliseconds; longer than ends are in TIME-WAIT (Linux: 60 s). An end in that state answers a probe like one that is
 * open, and begins to count anew: to find out that it is over, it must be left alone.
 */
const TIME_WAIT = 65_000;

/** Instead of a distance between sequence numbers. */
const UNKNOWN = 0x7fff_ffff;

const FLAGS_MASK = SYN | FIN | RST | ACK;
/** An open flow both of whose ends were heard, with nothing to remember or to doubt. */
const ORDINARY = s.OPEN | (3 * s.NEXT_KNOWN) | (3 * s.ACKED_KNOWN);
const ORDINARY_MASK =
  s.STATE_MASK | (3 * s.NEXT_KNOWN) | (3 * s.ACKED_KNOWN) | SUSPECT | PROBES_MASK | ANSWERED;

export class Lifecycle {
  /** Flows given up because neither end answered. */
  silent = 0;
  /** Probes sent, to either end. */
  probesSent = 0;
  readonly #table: SpliceTable;
  readonly #words: Int32Array;
  readonly #slotWords: number;
  /** Where in a slot starts what was seen of its flow. */
  readonly #seen: number;
  readonly #options: Required<LifecycleOptions>;
  #now: Micros = 0;
  #scanAt: Micros = NEVER;
  /** The next slot of a scan under way, or -1. */
  #cursor = -1;
  /** When the scan under way must be followed by another. */
  #nextScanAt: Micros = NEVER;

  constructor(options: LifecycleOptions) {
    this.#options = {
      lingerMillis: 10_000,
      resetLingerMillis: 2_000,
      idleMillis: 900_000,
      closingIdleMillis: 60_000,
      probeMillis: 5_000,
      probes: 3,
      isResponsible: () => true,
      onClose: () => {},
      onExpire: () => {},
      onFacts: () => false,
      onSilent: () => {},
      ...options,
    };
    this.#table = options.table;
    this.#words = options.table.words;
    this.#slotWords = options.table.slotWords;
    this.#seen = options.table.seen;
  }

  /**
   * Bytes that the segment acknowledges and none before it did; 0 if that is not known. Ask before `track`. The first
   * acknowledgment that is seen of a sender acknowledges one at least if it leaves nothing open: then it is none that
   * its receiver would count as a duplicate (RFC 5681, section 2).
   */
  newlyAcknowledged(slot: number, direction: number, segment: Segment): number {
    const words = this.#words;
    const at = slot * this.#slotWords + this.#seen;
    const other = 1 - direction;
    const status = words[at + STATUS];
    if ((status & (s.ACKED_KNOWN << other)) !== 0)
      return (segment.ack - words[at + ACKED + other]) | 0;
    const isSent = (status & (s.NEXT_KNOWN << other)) !== 0;
    return isSent && ((segment.ack - words[at + NEXT + other]) | 0) === 0 ? 1 : 0;
  }

  /** Notes a segment that was translated. */
  track(slot: number, direction: number, segment: Segment, now: Micros): void {
    const words = this.#words;
    const at = slot * this.#slotWords + this.#seen;
    const ordinary = (words[at + STATUS] & ORDINARY_MASK) === ORDINARY;
    if (!ordinary || (segment.flags & FLAGS_MASK) !== ACK) {
      this.#trackOther(slot, direction, segment, now);
      return;
    }
    words[at + ACTIVITY] = Math.floor(now / MILLISECOND);
    words[at + TIMESTAMP + direction] = segment.timestamp;
    if (isNews(words[at + NEXT + direction], segment.end)) {
      words[at + NEXT + direction] = segment.end;
    }
    if (isNews(words[at + ACKED + 1 - direction], segment.ack)) {
      words[at + ACKED + 1 - direction] = segment.ack;
    }
  }

  /** Ends a record now: its client begins a new connection. */
  end(slot: number): void {
    this.#expire(slot, true);
  }

  /** What is known of a flow's end (facts.ts). */
  facts(slot: number): number {
    return factsOf(this.#words, slot * this.#slotWords + this.#seen);
  }

  /** The sequence number behind a FIN that was seen. */
  finEnd(slot: number, direction: number): number {
    return this.#words[slot * this.#slotWords + this.#seen + s.FIN_END + direction];
  }

  /**
   * How far a number lies ahead of what its sender is known to have sent, below 0 if behind; the largest there is if
   * nothing is known of that.
   */
  ahead(slot: number, direction: number, seq: number): number {
    const words = this.#words;
    const at = slot * this.#slotWords + this.#seen;
    const status = words[at + STATUS];
    if ((status & (s.NEXT_KNOWN << direction)) !== 0)
      return (seq - words[at + NEXT + direction]) | 0;
    const isAcked = (status & (s.ACKED_KNOWN << direction)) !== 0;
    return isAcked ? (seq - words[at + ACKED + direction]) | 0 : UNKNOWN;
  }

  /** True if a segment with this number comes from its sender's next connection. */
  isBeyondEnd(slot: number, direction: number, seq: number): boolean {
    return isBeyondEnd(this.#words, slot * this.#slotWords + this.#seen, direction, seq);
  }

  /** Takes what another member saw of a flow's end, and told everybody. */
  learn(slot: number, facts: number, endToBackend: number, endToClient: number, now: Micros): void {
    const at = slot * this.#slotWords + this.#seen;
    noteFacts(this.#words, at, facts, TO_BACKEND, endToBackend);
    noteFacts(this.#words, at, facts, TO_CLIENT, endToClient);
    this.#words[at + STATUS] |= (facts & FACTS_MASK) << s.TOLD_SHIFT;
    this.#words[at + ACTIVITY] = Math.floor(now / MILLISECOND);
    this.#settle(slot, now);
  }

  /** True if a flow is not silent, as far as this member hears. */
  isHeard(slot: number, now: Micros): boolean {
    const status = this.#words[slot * this.#slotWords + this.#seen + STATUS];
    this.#now = now;
    return this.#age(slot) < this.#patience(status, status & s.STATE_MASK);
  }

  /** Another member has heard of a flow; if it was asked, that may be no more than an answer. */
  revive(slot: number, now: Micros): void {
    const at = slot * this.#slotWords + this.#seen;
    const status = this.#words[at + STATUS];
    if ((status & PROBES_MASK) !== 0) this.#words[at + STATUS] = (status & ~PROBES_MASK) | ANSWERED;
    this.#words[at + ACTIVITY] = Math.floor(now / MILLISECOND);
  }

  /** When `run` has something to do. */
  get nextAt(): Micros {
    const { lingerMillis, resetLingerMillis } = this.#options;
    const queues = Math.min(
      this.#dueAt(this.#table.lingering, lingerMillis),
      this.#dueAt(this.#table.reset, resetLingerMillis),
    );
    if (this.#table.size === 0) return queues;
    // Records came since the last call: it is time to plan.
    const scanAt = this.#scanAt === NEVER ? this.#now : this.#scanAt;
    return Math.min(queues, scanAt);
  }

  /** Removes what has lingered, and looks after silent flows; bounded work. */
  run(now: Micros): void {
    this.#now = now;
    this.#drain(this.#table.lingering, this.#options.lingerMillis);
    this.#drain(this.#table.reset, this.#options.resetLingerMillis);
    if (this.#table.size === 0) {
      this.#scanAt = NEVER;
      this.#cursor = -1;
    } else if (this.#scanAt === NEVER) {
      const { idleMillis, closingIdleMillis, resetLingerMillis } = this.#options;
      const shortest = Math.min(idleMillis, closingIdleMillis, resetLingerMillis);
      this.#scanAt = now + shortest * MILLISECOND;
    } else if (now >= this.#scanAt) {
      this.#scan(now);
    }
  }

  #trackOther(slot: number, direction: number, segment: Segment, now: Micros): void {
    const words = this.#words;
    const at = slot * this.#slotWords + this.#seen;
    const { flags, seq } = segment;
    const millis = Math.floor(now / MILLISECOND);
    if ((flags & (SYN | RST)) === RST) this.#trackReset(at, direction, seq, millis);
    else {
      words[at + ACTIVITY] = millis;
      // A SYN for a living connection is answered by a challenge, and its numbers are not the flow's.
      if ((flags & SYN) === 0) this.#trackProgress(at, direction, segment);
    }
    this.#settle(slot, now);
  }

  #trackProgress(at: number, direction: number, { flags, end, ack, timestamp }: Segment): void {
    const words = this.#words;
    let status = words[at + STATUS];
    const known = (status & (s.NEXT_KNOWN << direction)) !== 0;
    const ahead = (end - words[at + NEXT + direction]) | 0;
    if ((status & PROBES_MASK) !== 0) status = (status & ~(PROBES_MASK | SUSPECT)) | ANSWERED;
    if (known && ahead > 0) status &= ~ANSWERED;
    if (known && ahead > 0 && (status & (s.RST_SEEN << direction)) !== 0) {
      // Whoever goes on sending has not reset the connection: that was a stranger.
      status &= ~(s.RST_SEEN << direction);
    }
    if ((flags & FIN) !== 0) {
      if (!known || (ahead < REACH && ahead > -REACH)) {
        status |= s.FIN_SEEN << direction;
        words[at + s.FIN_END + direction] = end;
      }
    } else if (known && isNews(words[at + s.FIN_END + direction], end)) {
      // Nothing follows a FIN (RFC 9293, section 3.6): that was none, or one of an earlier connection.
      status &= ~(s.FIN_SEEN << direction);
    }
    words[at + TIMESTAMP + direction] = timestamp;
    if (!known || isNews(words[at + NEXT + direction], end)) words[at + NEXT + direction] = end;
    status |= s.NEXT_KNOWN << direction;
    if ((flags & ACK) !== 0) {
      const acked = at + ACKED + 1 - direction;
      const heard = (status & (s.ACKED_KNOWN << (1 - direction))) !== 0;
      if (!heard || isNews(words[acked], ack)) words[acked] = ack;
      status |= s.ACKED_KNOWN << (1 - direction);
    }
    words[at + STATUS] = status;
  }

  /**
   * After a doubtful reset the ends are asked soon. Another one, which may be the answer, is no sign of life, and does
   * not begin the asking anew.
   */
  #trackReset(at: number, direction: number, seq: number, millis: number): void {
    const words = this.#words;
    const status = words[at + STATUS];
    const isGood = isGoodReset(words, at, direction, seq);
    if (!isGood && (status & (SUSPECT | PROBES_MASK)) !== 0) return;
    words[at + STATUS] = status | (isGood ? s.RST_SEEN << direction : SUSPECT);
    words[at + ACTIVITY] = millis;
  }

  /** Brings the state, and the queue that goes with it, in line with what was seen. */
  #settle(slot: number, now: Micros): void {
    const status = this.#words[slot * this.#slotWords + this.#seen + STATUS];
    const before = status & s.STATE_MASK;
    const after = this.#stateOf(slot, status);
    this.#leave(slot, before);
    if (after === s.LINGERING) this.#table.lingering.push(slot);
    else if (after === s.RESET) this.#table.reset.push(slot);
    this.#words[slot * this.#slotWords + this.#seen + STATUS] = (status & ~s.STATE_MASK) | after;
    if (after < s.LINGERING) this.#scanBy(now + this.#patience(status, after) * MILLISECOND);
    else if (before < s.LINGERING) this.#options.onClose(slot);
    if ((status & (3 * s.FIN_SEEN)) !== 0) this.#tell(slot);
  }

  #tell(slot: number): void {
    const at = slot * this.#slotWords + this.#seen + STATUS;
    const facts = this.facts(slot);
    const told = (this.#words[at] >>> s.TOLD_SHIFT) & FACTS_MASK;
    if ((facts & ~told) !== 0 && this.#options.onFacts(slot, facts)) {
      this.#words[at] |= facts << s.TOLD_SHIFT;
    }
  }

  #stateOf(slot: number, status: number): number {
    if ((status & (3 * s.RST_SEEN)) !== 0) return s.RESET;
    const fins = (status & (3 * s.FIN_SEEN)) / s.FIN_SEEN;
    if (fins === 0) return s.OPEN;
    if (fins !== 3) return s.HALF_CLOSED;
    const at = slot * this.#slotWords + this.#seen;
    return isFinAcked(this.#words, at, TO_BACKEND) && isFinAcked(this.#words, at, TO_CLIENT)
      ? s.LINGERING
      : s.CLOSING;
  }

  #leave(slot: number, state: number): void {
    if (state === s.LINGERING) this.#table.lingering.remove(slot);
    else if (state === s.RESET) this.#table.reset.remove(slot);
  }

  #expire(slot: number, atOnce = false): void {
    this.#options.onExpire(slot, atOnce);
    this.#table.remove(slot);
  }

  /** Milliseconds from the last packet to the last `run`; below 0 if it came since. */
  #age(slot: number): number {
    const millis = Math.floor(this.#now / MILLISECOND);
    return (millis - this.#words[slot * this.#slotWords + this.#seen + ACTIVITY]) | 0;
  }

  #dueAt(queue: SlotQueue, linger: number): Micros {
    if (queue.first < 0) return NEVER;
    const left = linger - this.#age(queue.first);
    return (Math.floor(this.#now / MILLISECOND) + left) * MILLISECOND;
  }

  #drain(queue: SlotQueue, linger: number): void {
    for (let budget = QUEUE_BUDGET; budget > 0; budget--) {
      if (queue.first < 0 || this.#age(queue.first) < linger) return;
      this.#expire(queue.first);
    }
  }

  /** Milliseconds of silence that a flow is granted. */
  #patience(status: number, state: number): number {
    const { idleMillis, closingIdleMillis, resetLingerMillis } = this.#options;
    if ((status & SUSPECT) !== 0) return Math.min(idleMillis, resetLingerMillis);
    const patience = state === s.OPEN ? idleMillis : Math.min(idleMillis, closingIdleMillis);
    return (status & ANSWERED) === 0 ? patience : Math.max(patience, TIME_WAIT);
  }

  /** Sees to it that a scan begins at this time at the latest. */
  #scanBy(at: Micros): void {
    if (this.#cursor >= 0) this.#nextScanAt = Math.min(this.#nextScanAt, at);
    else if (this.#scanAt !== NEVER) this.#scanAt = Math.min(this.#scanAt, at);
  }

  #scan(now: Micros): void {
    if (this.#cursor < 0) {
      this.#cursor = 0;
      this.#nextScanAt = now + this.#options.idleMillis * MILLISECOND;
    }
    const end = Math.min(this.#cursor + SCAN_BUDGET, this.#table.high);
    for (let slot = this.#cursor; slot < end; slot++) {
      const state = this.#table.state(slot);
      if (state !== s.FREE && state < s.LINGERING) this.#examine(slot, state, now);
    }
    if (end < this.#table.high) {
      this.#cursor = end;
      this.#scanAt = now + SLICE_GAP;
    } else {
      this.#cursor = -1;
      this.#scanAt = Math.max(this.#nextScanAt, now + SCAN_GAP);
    }
  }

  #examine(slot: number, state: number, now: Micros): void {
    const { probes, probeMillis, isResponsible, onSilent, probe } = this.#options;
    const at = slot * this.#slotWords + this.#seen;
    const status = this.#words[at + STATUS];
    const sent = (status & PROBES_MASK) >>> s.PROBES_SHIFT;
    const left = this.#patience(status, state) + sent * probeMillis - this.#age(slot);
    if (left > 0) {
      this.#nextScanAt = Math.min(this.#nextScanAt, now + left * MILLISECOND);
      return;
    }
    if (!isResponsible(slot) && ((status & SUSPECT) === 0 || sent >= probes)) {
      // Anyone may ask, but who would not hear the answers must not conclude from silence.
      this.#words[at + STATUS] = status & ~(PROBES_MASK | SUSPECT);
      return;
    }
    if (sent < probes) {
      this.#words[at + STATUS] = status + s.ONE_PROBE;
      this.#nextScanAt = Math.min(this.#nextScanAt, now + probeMillis * MILLISECOND);
      this.probesSent += 2;
      onSilent(slot);
      probe(slot, TO_BACKEND, false);
      probe(slot, TO_CLIENT, false);
      return;
    }
    // Neither end answers. With the record gone nothing could reach them any more, so an end that lives but
    // could not make itself heard learns it now, instead of at its next attempt to send.
    this.silent++;
    for (const direction of [TO_BACKEND, TO_CLIENT]) {
      if ((status & (s.ACKED_KNOWN << direction)) !== 0) probe(slot, direction, true);
    }
    this.#expire(slot);
  }
}

/** True if a sequence number moves on from the one known, or lies so far back that this one was wrong. */
function isNews(known: number, seq: number): boolean {
  const ahead = (seq - known) | 0;
  return ahead > 0 || ahead < -REACH;
}
