// The stateless handshake (RFC 4987, section 3.6): our initial sequence number proves itself. It is a keyed
// hash of the flow, the client's initial sequence number, the MSS class and a slow clock; window scale and
// SACK ride in the low bits of our timestamp. Every member of a cluster has the key, so any may answer the
// SYN and any may take the ACK, and a flood of SYNs costs no memory.
//
//   bits 0-2 MSS class   3-15 proof of the flow, plus issuer   16-31 proof of the flow and the client's number
//
// The issuer is the number of the member that answered the SYN. Who can compute the proof gets it back by
// subtraction: so all members know, without a message, at which of them a connection is at home.
//
// The two proofs together are what a stranger has to guess. The first alone tells a later segment of a
// handshake of ours, whose number says nothing about where the client began, from a segment of nobody's. The
// second adds the client's number to a hash instead of hashing it: a later segment, less than 65,535 bytes on,
// can never pass for the first, where by a hash one in 65,536 would, and the stream would lack its beginning.
import { type Micros, SECOND } from '../env/clock.ts';
import type { Address } from '../ip/address.ts';
import { flowWords } from './flow-words.ts';
import { type SipKey, siphash } from './siphash.ts';

/** What a cookie can remember of the client's MSS: the largest of these that is not above it. */
const MSS_CLASSES = [536, 1_220, 1_300, 1_380, 1_420, 1_440, 1_452, 1_460] as const;
const CLASS_BITS = 3;
const CLASS_MASK = (1 << CLASS_BITS) - 1;
const FLOW_MASK = 0xffff >>> CLASS_BITS;
/** Seconds that a tick of the slow clock lasts. A cookie is good for one to two ticks. */
const TICK = 64;
/** How long a cookie is good at least. */
export const COOKIE_LIFE: Micros = TICK * SECOND;
/** Members' clocks may differ: a cookie of the next tick is taken too. */
const TICKS = [0, -1, 1] as const;

/** Low bits of TSval: four for the window scale (15: none), one for SACK. */
const OPTION_BITS = 5;
const OPTION_MASK = (1 << OPTION_BITS) - 1;
const NO_SCALE = 15;

const words = new Uint32Array(16);

export interface FlowIdentity {
  readonly local: Address;
  readonly localPort: number;
  readonly remote: Address;
  readonly remotePort: number;
}

/** Who answers SYNs under one key. */
export interface Issuers {
  /** The number of this one, from 0 on. */
  readonly self: number;
  /** How many there are: 1 to 256. */
  readonly count: number;
}

const ALONE: Issuers = { self: 0, count: 1 };
/** Instead of an issuer. */
const NOBODY = -1;

/**
 * Makes cookies under one key, and checks them under several while keys are changed. `wall` is the time of day in
 * seconds.
 */
export class Cookies {
  #keys: readonly SipKey[];
  readonly #issuers: Issuers;

  /** @param keys not empty; the first makes cookies, all are good for those that come back */
  constructor(keys: readonly SipKey[], issuers = ALONE) {
    this.#keys = keys;
    this.#issuers = issuers;
  }

  /** Other keys from now on. */
  rekey(keys: readonly SipKey[]): void {
    this.#keys = keys;
  }

  /** The initial sequence number for a client that sent `irs` and `mss`. */
  issue(flow: FlowIdentity, irs: number, mss: number, wall: number): number {
    let index = MSS_CLASSES.length - 1;
    while (index > 0 && MSS_CLASSES[index] > mss) index--;
    const proof = flowProof(this.#keys[0], flow, index, Math.floor(wall / TICK));
    const middle = ((proof >>> CLASS_BITS) + this.#issuers.self) & FLOW_MASK;
    return ((upper(this.#keys[0], proof, irs) << 16) | (middle << CLASS_BITS) | index) >>> 0;
  }

  /** The client's MSS (its class) if `iss` is a cookie of ours for this flow, else undefined. */
  check(flow: FlowIdentity, irs: number, iss: number, wall: number): number | undefined {
    return this.#issuerOfFirst(flow, irs, iss, wall) === NOBODY
      ? undefined
      : MSS_CLASSES[iss & CLASS_MASK];
  }

  /**
   * True if `iss` looks like a cookie of ours for this flow, whatever number the client began with. Of the
   * numbers that are not, one in 2,700 does too for each issuer.
   */
  recognizes(flow: FlowIdentity, iss: number, wall: number): boolean {
    return this.#issuerOfAny(flow, iss, wall) !== NOBODY;
  }

  /**
   * The number of who issued `iss`, or -1 if it looks like no cookie for this flow.
   * @param irs the number below that of the segment that brings `iss`: where the client began, if it is the first
   */
  issuerOf(flow: FlowIdentity, irs: number, iss: number, wall: number): number {
    const issuer = this.#issuerOfFirst(flow, irs, iss, wall);
    return issuer === NOBODY ? this.#issuerOfAny(flow, iss, wall) : issuer;
  }

  #issuerOfFirst(flow: FlowIdentity, irs: number, iss: number, wall: number): number {
    const now = Math.floor(wall / TICK);
    for (const key of this.#keys) {
      for (let at = 0; at < TICKS.length; at++) {
        const proof = flowProof(key, flow, iss & CLASS_MASK, now + TICKS[at]);
        const issuer = this.#issuerIn(iss, proof);
        if (issuer !== NOBODY && upper(key, proof, irs) === iss >>> 16) return issuer;
      }
    }
    return NOBODY;
  }

  #issuerOfAny(flow: FlowIdentity, iss: number, wall: number): number {
    const now = Math.floor(wall / TICK);
    for (const key of this.#keys) {
      for (let at = 0; at < TICKS.length; at++) {
        const proof = flowProof(key, flow, iss & CLASS_MASK, now + TICKS[at]);
        const issuer = this.#issuerIn(iss, proof);
        if (issuer !== NOBODY) return issuer;
      }
    }
    return NOBODY;
  }

  /** Who issued a cookie that carries this proof of its flow. */
  #issuerIn(iss: number, proof: number): number {
    const issuer = ((iss >>> CLASS_BITS) - (proof >>> CLASS_BITS)) & FLOW_MASK;
    return issuer < this.#issuers.count ? issuer : NOBODY;
  }
}

function flowProof(key: SipKey, flow: FlowIdentity, index: number, tick: number): number {
  let count = flowWords(words, flow.local, flow.localPort, flow.remote, flow.remotePort);
  words[count++] = tick * (1 << CLASS_BITS) + index;
  return siphash(key, words, count);
}

/** The proof of the flow and the client's number. */
function upper(key: SipKey, proof: number, irs: number): number {
  words[0] = proof;
  return ((siphash(key, words, 1) >>> 16) + (irs & 0xffff) + (irs >>> 16)) & 0xffff;
}

/** The options that a cookie's timestamp carries. */
export interface CookieOptions {
  /** Shift from 0 to 14, or -1: the client sent none. */
  windowScale: number;
  sack: boolean;
}

/** The latest TSval not after `now` whose low bits carry `options`. */
export function encodeTimestamp(now: number, options: CookieOptions): number {
  const scale = options.windowScale < 0 ? NO_SCALE : options.windowScale;
  const bits = (scale << 1) | (options.sack ? 1 : 0);
  const value = ((now & ~OPTION_MASK) | bits) >>> 0;
  return ((value - now) | 0) > 0 ? (value - OPTION_MASK - 1) >>> 0 : value;
}

export function decodeTimestamp(echo: number): CookieOptions {
  const scale = (echo & OPTION_MASK) >> 1;
  return { windowScale: scale === NO_SCALE ? -1 : scale, sack: (echo & 1) === 1 };
}
