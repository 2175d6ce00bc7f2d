// Makes the ends of flows go on at once when this member has adopted the addresses of one that is gone. What
// they sent meanwhile is lost, and their retransmission timers (200 ms and more) would go on running.
//
// 1. Both ends are asked where they stand. Their answers pass on to each other as any packet does: an
//    acknowledgment that was lost arrives, and whoever may send goes on. Most flows need no more.
// 2. A sender that goes on waiting for what nobody acknowledges is urged, in one of two ways and then the other.
//    - If full segments are under way, it is told that they were too big, by a byte: it sends them again at once,
//      whatever it negotiated, with its window as it was (RFC 1191, section 6.4).
//    - Otherwise it gets an acknowledgment in the receiver's name by which what it sent is lost: with a SACK block,
//      or three times (RFC 5681, section 3.2). That costs more: its window, and the time to find the block untrue.
//
// One small segment under way is left to its sender's timer: nothing that a receiver could say makes it go
// out again earlier.
import { MILLISECOND, type Micros, NEVER } from '../env/clock.ts';
import { Frame } from '../link/frame.ts';
import { OWN_SEGMENT_CAPACITY } from './own-packet.ts';
import {
  hasOldTimestamps,
  isAckedKnown,
  isDirectionKnown,
  writeOldQuestion,
  writeQuestion,
} from './question.ts';
import { recordHome, TO_BACKEND, TO_CLIENT } from './record.ts';
import { fullPayload, fullSegment, takesSack, writeReport } from './report.ts';
import { ACKED, FREE, LINGERING, NEXT } from './slot.ts';
import type { SpliceTable } from './table.ts';
import { TOO_BIG_CAPACITY, writeTooBig } from './too-big.ts';

const DIRECTIONS = [TO_BACKEND, TO_CLIENT] as const;
const BOTH_HEARD = 3;
/** How far apart the two questions are where nothing is known: half of the number space. */
const APART = 2 ** 31;
/** Flows asked in one run, and the time between two runs: asking must not get in the way of what passes. */
const BATCH = 16;
const PACE: Micros = MILLISECOND;
/** Slots looked at in one run. */
const SCAN = 2_048;
/** Flows whose answers are awaited at a time. */
const MOST = 4_096;
/** The least time that an end gets to go on by itself. */
const LEAST: Micros = MILLISECOND;
/** A flow whose answers pass by way of other members is judged after that time by what is known of it. */
const UNHEARD: Micros = 15 * MILLISECOND;
/** After that time the ends' own timers are faster. */
const PATIENCE: Micros = 250 * MILLISECOND;
/** Each adoption names a smaller packet size, since one that is known already tells nothing; then anew. */
const SIZES = 16;
/** Ways to urge a sender, and the acknowledgments that make one without SACK repeat a segment. */
const URGINGS = 2;
const DUPLICATES = 3;

/** A flow whose ends were asked. */
class Inquiry {
  readonly slot: number;
  readonly at: Micros;
  checkAt: Micros;
  /** Senders that have spoken since: a bit for each direction. */
  heard = 0;
  /** Whether the ends that did not answer were asked by numbers. */
  repeated = false;
  /** How often its senders were urged. */
  urged = 0;
  /** By direction: the window that its sender announced last, as it went out; and what the table said last. */
  readonly windows = [0, 0];
  readonly next = [0, 0];
  readonly acked = [0, 0];

  constructor(slot: number, now: Micros) {
    this.slot = slot;
    this.at = now;
    this.checkAt = now + LEAST;
  }
}

export interface ResumerOptions {
  readonly table: SpliceTable;
  /** Sends a packet to the receiver of a direction. */
  readonly send: (frame: Frame, slot: number, direction: number) => void;
  /** Counts what is done; its fields are only added to. */
  readonly counters: ResumerCounters;
}

export interface ResumerCounters {
  /** Flows whose ends were asked. */
  resumed: number;
  /** Messages that a packet was too big. */
  urgedBySize: number;
  /** Reports of lost segments. */
  urgedByReport: number;
}

export const resumerCounters = (): ResumerCounters => ({
  resumed: 0,
  urgedBySize: 0,
  urgedByReport: 0,
});

export class Resumer {
  /** True while answers are awaited: then `note` must be called. */
  isActive = false;
  /** When `run` has something to do. */
  nextAt: Micros = NEVER;
  readonly #table: SpliceTable;
  readonly #send: ResumerOptions['send'];
  readonly #counters: ResumerCounters;
  readonly #inquiries = new Map<number, Inquiry>();
  /** Members whose flows are asked first. */
  readonly #homes = new Set<number>();
  /** The next slot to look at, or -1. */
  #cursor = -1;
  /** Whether the flows of the other members are being asked: their packets may have gone that way, too. */
  #others = false;
  #adoptions = 0;
  /** The time of day at the last adoption, in seconds. */
  #wall = 0;
  /** For packets of our own, made when first needed. */
  #own: Frame | undefined;

  constructor({ table, send, counters }: ResumerOptions) {
    this.#table = table;
    this.#send = send;
    this.#counters = counters;
  }

  /** This member has adopted the addresses of the member `home`. */
  start(home: number, now: Micros, wall: number): void {
    if (this.#table.size === 0) return;
    this.#homes.add(home);
    this.#inquiries.clear();
    this.#cursor = 0;
    this.#others = false;
    this.#adoptions++;
    this.#wall = wall;
    this.isActive = true;
    this.nextAt = now;
  }

  /** Notes that the sender of a direction spoke: after its packet was translated and tracked. */
  note(slot: number, direction: number, window: number, now: Micros): void {
    const inquiry = this.#inquiries.get(slot);
    if (inquiry === undefined) return;
    inquiry.windows[direction] = window;
    const heard = inquiry.heard | (1 << direction);
    if (heard === inquiry.heard) return;
    inquiry.heard = heard;
    if (heard !== BOTH_HEARD) return;
    this.#compare(inquiry);
    // As long as the slower answer took, the ends get to go on by themselves.
    inquiry.checkAt = now + Math.max(LEAST, now - inquiry.at);
    this.nextAt = Math.min(this.nextAt, inquiry.checkAt);
  }

  /** Bounded work; once a breath, or at `nextAt`. */
  run(now: Micros): void {
    if (now < this.nextAt) return;
    let next = NEVER;
    for (const inquiry of this.#inquiries.values()) {
      if (now >= inquiry.checkAt) this.#check(inquiry, now);
      next = Math.min(next, inquiry.checkAt);
    }
    if (this.#cursor >= 0) {
      this.#scan(now);
      next = now + PACE;
    } else if (this.#inquiries.size === 0) {
      this.isActive = false;
      this.#homes.clear();
      next = NEVER;
    }
    this.nextAt = next;
  }

  /** Asks the next flows; those of the members that are gone come first. */
  #scan(now: Micros): void {
    const table = this.#table;
    const end = Math.min(this.#cursor + SCAN, table.high);
    let budget = BATCH;
    let slot = this.#cursor;
    for (; slot < end && budget > 0 && this.#inquiries.size < MOST; slot++) {
      const state = table.state(slot);
      if (state === FREE || state >= LINGERING) continue;
      const home = recordHome(table.view, slot * 4 * table.slotWords, table.form);
      if (this.#homes.has(home) === this.#others) continue;
      this.#ask(slot, now);
      budget--;
    }
    this.#cursor = slot;
    if (slot < table.high) return;
    this.#cursor = this.#others ? -1 : 0;
    this.#others = true;
  }

  #ask(slot: number, now: Micros): void {
    const table = this.#table;
    const byTimestamps = hasOldTimestamps(table, slot, this.#wall);
    const byNumbers = DIRECTIONS.some((direction) => isDirectionKnown(table, slot, direction));
    // Where the numbers are not known, one that looks new might be taken for true.
    if (!byTimestamps && !byNumbers) return;
    const inquiry = new Inquiry(slot, now);
    this.#inquiries.set(slot, inquiry);
    this.#compare(inquiry);
    this.#counters.resumed++;
    if (!byTimestamps) {
      this.#askByNumbers(inquiry, now);
      return;
    }
    const frame = this.#frame();
    for (const direction of DIRECTIONS) {
      writeOldQuestion(table, slot, direction, 0, frame);
      this.#send(frame, slot, direction);
      if (isAckedKnown(table, slot, direction)) continue;
      writeOldQuestion(table, slot, direction, APART, frame);
      this.#send(frame, slot, direction);
    }
  }

  /** Asks the ends that have not answered, as far as it is known what they expect. */
  #askByNumbers(inquiry: Inquiry, now: Micros): void {
    const { slot } = inquiry;
    for (const direction of DIRECTIONS) {
      if (hasSpoken(inquiry, 1 - direction)) continue;
      if (!isDirectionKnown(this.#table, slot, direction)) continue;
      inquiry.repeated = true;
      writeQuestion(this.#table, slot, direction, Math.floor(now / MILLISECOND), this.#frame());
      this.#send(this.#frame(), slot, direction);
    }
  }

  #check(inquiry: Inquiry, now: Micros): void {
    const { slot, heard } = inquiry;
    const table = this.#table;
    const elapsed = now - inquiry.at;
    inquiry.checkAt = now + Math.max(LEAST, elapsed);
    if (elapsed > PATIENCE || !table.isUsed(slot) || table.state(slot) >= LINGERING) {
      this.#inquiries.delete(slot);
      return;
    }
    if (heard !== BOTH_HEARD && !inquiry.repeated) this.#askByNumbers(inquiry, now);
    if (heard !== BOTH_HEARD && (elapsed < UNHEARD || !isKnown(table, slot))) return;
    const moved = this.#compare(inquiry);
    const waits = DIRECTIONS.some((direction) => ahead(inquiry, direction) > 0);
    if (!waits || inquiry.urged === URGINGS) this.#inquiries.delete(slot);
    else if (!moved) this.#urge(inquiry);
  }

  /** Takes over what the table says of a flow; true if that is something else than before. */
  #compare(inquiry: Inquiry): boolean {
    const { words, slotWords, seen } = this.#table;
    let moved = false;
    for (const direction of DIRECTIONS) {
      const at = inquiry.slot * slotWords + seen + direction;
      const next = words[at + NEXT];
      const acked = words[at + ACKED];
      moved ||= next !== inquiry.next[direction] || acked !== inquiry.acked[direction];
      inquiry.next[direction] = next;
      inquiry.acked[direction] = acked;
    }
    return moved;
  }

  /** Makes the senders go on that wait. */
  #urge(inquiry: Inquiry): void {
    inquiry.urged++;
    for (const direction of DIRECTIONS) {
      const waiting = ahead(inquiry, direction);
      if (waiting <= 0) continue;
      // The other way comes second: the first may be filtered, or not apply.
      const bySize = waiting % fullPayload(this.#table, inquiry.slot) === 0;
      if (bySize === (inquiry.urged === 1)) this.#urgeBySize(inquiry, direction, waiting);
      else if (waiting > 1 && hasSpoken(inquiry, 1 - direction)) {
        this.#urgeByReport(inquiry, direction);
      }
    }
  }

  #urgeBySize({ slot, acked }: Inquiry, direction: number, waiting: number): void {
    const table = this.#table;
    const full = fullSegment(table, slot);
    const smaller = full - 1 - ((this.#adoptions - 1) % SIZES);
    const size = Math.min(full, waiting);
    writeTooBig(table, slot, direction, acked[direction], size, smaller, this.#frame());
    this.#send(this.#frame(), slot, 1 - direction);
    this.#counters.urgedBySize++;
  }

  #urgeByReport({ slot, windows }: Inquiry, direction: number): void {
    const copies = takesSack(this.#table, slot, direction) ? 1 : DUPLICATES;
    for (let copy = 0; copy < copies; copy++) {
      writeReport(this.#table, slot, direction, windows[1 - direction], this.#frame());
      this.#send(this.#frame(), slot, 1 - direction);
    }
    this.#counters.urgedByReport++;
  }

  #frame(): Frame {
    this.#own ??= new Frame(Math.max(OWN_SEGMENT_CAPACITY, TOO_BIG_CAPACITY));
    return this.#own;
  }
}

/** Whether the sender of a direction was heard since it was asked. */
const hasSpoken = ({ heard }: Inquiry, direction: number): boolean =>
  (heard & (1 << direction)) !== 0;

const isKnown = (table: SpliceTable, slot: number): boolean =>
  DIRECTIONS.every(
    (direction) => isAckedKnown(table, slot, direction) && isDirectionKnown(table, slot, direction),
  );

/** Bytes that a direction's sender has sent and its receiver has not acknowledged. */
const ahead = ({ next, acked }: Inquiry, direction: number): number =>
  (next[direction] - acked[direction]) | 0;
