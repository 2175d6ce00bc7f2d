// The stateless handshake (RFC 4987, section 3.6): our initial sequence number proves itself. It is a keyed
// hash of the flow, the client's initial sequence number, the MSS class and a slow clock; window scale and
// SACK ride in the low bits of our timestamp. Every member of a cluster has the key, so any may answer the
// SYN and any may take the ACK, and a flood of SYNs costs no memory.
//
//   bits 0-2 MSS class   3-15 proof of the flow   16-31 proof of the flow and the client's number
//
// The two proofs together are what a stranger has to guess. The first alone tells a later segment of a
// handshake of ours, whose number says nothing about where the client began, from a segment of nobody's. The
// second adds the client's number to a hash instead of hashing it: a later segment, less than 65,535 bytes on,
// can never pass for the first, where by a hash one in 65,536 would, and the stream would lack its beginning.
import type { Address } from '../ip/address.ts';
import { flowWords } from './flow-words.ts';
import { type SipKey, siphash } from './siphash.ts';

/** What a cookie can remember of the client's MSS: the largest of these that is not above it. */
const MSS_CLASSES = [536, 1_220, 1_300, 1_380, 1_420, 1_440, 1_452, 1_460] as const;
const CLASS_BITS = 3;
const CLASS_MASK = (1 << CLASS_BITS) - 1;
const FLOW_MASK = 0xffff & ~CLASS_MASK;
/** Seconds that a tick of the slow clock lasts. A cookie is good for one to two ticks. */
const TICK = 64;
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

/** Makes and checks cookies under one key. `wall` is the time of day in seconds. */
export class Cookies {
  readonly #key: SipKey;

  constructor(key: SipKey) {
    this.#key = key;
  }

  /** The initial sequence number for a client that sent `irs` and `mss`. */
  issue(flow: FlowIdentity, irs: number, mss: number, wall: number): number {
    let index = MSS_CLASSES.length - 1;
    while (index > 0 && MSS_CLASSES[index] > mss) index--;
    const proof = this.#flowProof(flow, index, Math.floor(wall / TICK));
    return this.#cookie(proof, irs, index);
  }

  /** The client's MSS (its class) if `iss` is a cookie of ours for this flow, else undefined. */
  check(flow: FlowIdentity, irs: number, iss: number, wall: number): number | undefined {
    const index = iss & CLASS_MASK;
    const tick = Math.floor(wall / TICK);
    const found = TICKS.some((shift) => {
      const proof = this.#flowProof(flow, index, tick + shift);
      return isProof(proof, iss) && this.#cookie(proof, irs, index) === iss;
    });
    return found ? MSS_CLASSES[index] : undefined;
  }

  /**
   * True if `iss` looks like a cookie of ours for this flow, whatever number the client began with. Of the
   * numbers that are not, one in 2,700 does too.
   */
  recognizes(flow: FlowIdentity, iss: number, wall: number): boolean {
    const tick = Math.floor(wall / TICK);
    return TICKS.some((shift) =>
      isProof(this.#flowProof(flow, iss & CLASS_MASK, tick + shift), iss),
    );
  }

  #flowProof(flow: FlowIdentity, index: number, tick: number): number {
    let count = flowWords(words, flow.local, flow.localPort, flow.remote, flow.remotePort);
    words[count++] = tick * (1 << CLASS_BITS) + index;
    return siphash(this.#key, words, count);
  }

  #cookie(proof: number, irs: number, index: number): number {
    words[0] = proof;
    const upper = (siphash(this.#key, words, 1) >>> 16) + (irs & 0xffff) + (irs >>> 16);
    return ((upper << 16) | (proof & FLOW_MASK) | index) >>> 0;
  }
}

/** True if a cookie carries this proof of its flow. */
const isProof = (proof: number, iss: number): boolean => ((proof ^ iss) & FLOW_MASK) === 0;

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
