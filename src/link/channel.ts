// One direction of an imperfect path: which frames are lost, doubled, damaged or late is up to a seed.
import type { Micros } from '../env/clock.ts';
import { MILLISECOND, SECOND } from '../env/clock.ts';
import { below, chance, type Random } from '../env/random.ts';
import { change16, updateFull } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as virtio from '../wire/virtio.ts';
import { Frame } from './frame.ts';
import { segment } from './segmentation.ts';

/** Probabilities are from 0 to 1, each frame for itself. */
export interface Conditions {
  loss: number;
  /** The frame begins a burst of losses, which takes all that follow until it ends. */
  bursts: number;
  /** How long a burst lasts: from 0 to twice this. */
  burstLength: Micros;
  duplication: number;
  /**
   * One bit of the IP packet is turned over, as by bad memory on the way. A frame without one, which nothing
   * but Ethernet's checksum protects, is lost instead.
   */
  corruption: number;
  /** The frame is late by `reorderingDelay`, and does not hold up those behind it. */
  reordering: number;
  reorderingDelay: Micros;
  /** A packet whose sender can do with it is marked as one that met congestion (RFC 3168: ECT becomes CE). */
  marking: number;
  delay: Micros;
  /** Added to the delay, from 0 to this; it does not change the order. */
  jitter: Micros;
  /** Bytes a second; `Infinity` for a path without a limit. */
  rate: number;
  /** Bytes that may wait for their turn when `rate` is limited; what comes beyond is dropped. */
  queue: number;
}

export const perfect: Readonly<Conditions> = {
  loss: 0,
  bursts: 0,
  burstLength: 10 * MILLISECOND,
  duplication: 0,
  corruption: 0,
  reordering: 0,
  reorderingDelay: 2 * MILLISECOND,
  marking: 0,
  delay: 0,
  jitter: 0,
  rate: Number.POSITIVE_INFINITY,
  queue: 1_048_576,
};

export class Channel {
  /** May be changed at any time: what is on the way already is not touched. */
  readonly conditions: Conditions;
  readonly counters = {
    passed: 0,
    lost: 0,
    duplicated: 0,
    corrupted: 0,
    reordered: 0,
    overflowed: 0,
    marked: 0,
    malformed: 0,
  };
  readonly #random: Random;
  readonly #scratch = new Frame();
  /** When the last byte accepted has left, at the given rate. */
  #busyUntil: Micros = 0;
  /** The arrival that no later frame in order may precede. */
  #lastAt: Micros = 0;
  #burstUntil: Micros = Number.NEGATIVE_INFINITY;

  constructor(random: Random, conditions: Partial<Conditions> = {}) {
    this.#random = random;
    this.conditions = { ...perfect, ...conditions };
  }

  /**
   * Takes a frame at `now`, and hands copies of what comes out to `deliver`, each with its time of arrival.
   * Trains are split and checksums completed first, as on a wire, so that each segment has its own fate.
   */
  offer(frame: Frame, now: Micros, deliver: (copy: Frame, at: Micros) => void): void {
    if (!segment(frame, this.#scratch, (single) => this.#pass(single, now, deliver))) {
      this.counters.malformed++;
    }
  }

  #pass(frame: Frame, now: Micros, deliver: (copy: Frame, at: Micros) => void): void {
    const { conditions, counters } = this;
    const random = this.#random;
    const departure = this.#depart(frame.end, now);
    if (departure < 0) {
      counters.overflowed++;
      return;
    }
    if (this.#isInBurst(now) || chance(random, conditions.loss)) {
      counters.lost++;
      return;
    }
    const corrupt = chance(random, conditions.corruption);
    if (corrupt && !holdsIp(frame)) {
      counters.lost++;
      return;
    }
    if (corrupt) counters.corrupted++;
    const copies = chance(random, conditions.duplication) ? 2 : 1;
    counters.duplicated += copies - 1;
    const mark = conditions.marking > 0 && chance(random, conditions.marking);
    for (let copy = 0; copy < copies; copy++) {
      counters.passed++;
      const arrival = departure + conditions.delay + below(random, conditions.jitter + 1);
      const each = this.#copy(frame, corrupt);
      if (mark && markCongestion(each)) counters.marked++;
      deliver(each, this.#inOrder(arrival));
    }
  }

  /** Whether a frame at `now` falls into a burst of losses. */
  #isInBurst(now: Micros): boolean {
    const { bursts, burstLength } = this.conditions;
    if (bursts === 0) return false;
    if (now > this.#burstUntil && chance(this.#random, bursts)) {
      this.#burstUntil = now + below(this.#random, 2 * burstLength + 1);
    }
    return now <= this.#burstUntil;
  }

  /** When the frame's last byte leaves, or -1 if there is no room for it to wait. */
  #depart(bytes: number, now: Micros): Micros {
    const { rate, queue } = this.conditions;
    if (rate === Number.POSITIVE_INFINITY) return now;
    const start = Math.max(now, this.#busyUntil);
    if (((start - now) / SECOND) * rate > queue) return -1;
    this.#busyUntil = start + (bytes / rate) * SECOND;
    return this.#busyUntil;
  }

  #inOrder(arrival: Micros): Micros {
    const { reordering, reorderingDelay } = this.conditions;
    if (chance(this.#random, reordering)) {
      this.counters.reordered++;
      return Math.max(arrival, this.#lastAt) + below(this.#random, reorderingDelay + 1);
    }
    this.#lastAt = Math.max(this.#lastAt, arrival);
    return this.#lastAt;
  }

  #copy(frame: Frame, corrupt: boolean): Frame {
    const copy = new Frame(frame.end);
    copy.copyFrom(frame);
    if (corrupt) {
      const at = NETWORK_AT + below(this.#random, frame.end - NETWORK_AT);
      copy.bytes[at] ^= 1 << below(this.#random, 8);
      // Nobody vouches for the checksum any more.
      virtio.clear(copy.view, VIRTIO_AT);
    }
    return copy;
  }
}

/** Sets CE in a packet whose sender said that it understands that; false for any other. */
function markCongestion({ view, end }: Frame): boolean {
  const type = ethernet.type(view, ETHERNET_AT);
  if (type === ethernet.TYPE_IPV4 && end >= NETWORK_AT + ipv4.IPV4_LENGTH) {
    const before = view.getUint16(NETWORK_AT);
    if (!isCapable(before & 3)) return false;
    view.setUint16(NETWORK_AT, before | 3);
    const at = NETWORK_AT + ipv4.CHECKSUM_AT;
    view.setUint16(at, updateFull(view.getUint16(at), change16(before, before | 3)));
    return true;
  }
  // IPv6 has the two bits across its first two bytes, and no checksum (RFC 8200, section 3).
  if (type !== ethernet.TYPE_IPV6 || end < NETWORK_AT + 2) return false;
  const word = view.getUint16(NETWORK_AT);
  if (!isCapable((word >> 4) & 3)) return false;
  view.setUint16(NETWORK_AT, word | 0x30);
  return true;
}

/** ECT(0) or ECT(1). */
const isCapable = (ecn: number): boolean => ecn === 1 || ecn === 2;

function holdsIp({ view, end }: Frame): boolean {
  if (end <= NETWORK_AT) return false;
  const type = ethernet.type(view, ETHERNET_AT);
  return type === ethernet.TYPE_IPV4 || type === ethernet.TYPE_IPV6;
}
