// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash for short inputs that a stranger cannot predict.
// 64-bit words are pairs of 32-bit halves, since that is what this machine multiplies fast.

/** A 128-bit key as four 32-bit words. */
export type SipKey = Uint32Array;

const state = new Uint32Array(8);

/** One round over (v0, v1, v2, v3), each as low and high half. */
function round(v: Uint32Array): void {
  add(v, 0, 2);
  rotate(v, 2, 13);
  mix(v, 2, 0);
  swap(v, 0);
  add(v, 4, 6);
  rotate(v, 6, 16);
  mix(v, 6, 4);
  add(v, 0, 6);
  rotate(v, 6, 21);
  mix(v, 6, 0);
  add(v, 4, 2);
  rotate(v, 2, 17);
  mix(v, 2, 4);
  swap(v, 4);
}

function add(v: Uint32Array, to: number, from: number): void {
  const low = v[to] + v[from];
  v[to + 1] = v[to + 1] + v[from + 1] + (low > 0xffff_ffff ? 1 : 0);
  v[to] = low;
}

function rotate(v: Uint32Array, at: number, bits: number): void {
  const low = v[at];
  const high = v[at + 1];
  v[at] = (low << bits) | (high >>> (32 - bits));
  v[at + 1] = (high << bits) | (low >>> (32 - bits));
}

function mix(v: Uint32Array, to: number, from: number): void {
  v[to] ^= v[from];
  v[to + 1] ^= v[from + 1];
}

/** Rotation by 32 bits. */
function swap(v: Uint32Array, at: number): void {
  const low = v[at];
  v[at] = v[at + 1];
  v[at + 1] = low;
}

/**
 * The low 32 bits of SipHash-2-4 over `words` (each four bytes, little-endian).
 * @param count how many of `words` count
 */
export function siphash(key: SipKey, words: Uint32Array, count: number): number {
  const v = state;
  v[0] = key[0] ^ 0x70736575;
  v[1] = key[1] ^ 0x736f6d65;
  v[2] = key[2] ^ 0x6e646f6d;
  v[3] = key[3] ^ 0x646f7261;
  v[4] = key[0] ^ 0x6e657261;
  v[5] = key[1] ^ 0x6c796765;
  v[6] = key[2] ^ 0x79746573;
  v[7] = key[3] ^ 0x74656462;
  let at = 0;
  for (; at + 1 < count; at += 2) absorb(v, words[at], words[at + 1]);
  // The last block carries the length in bytes in its highest byte.
  absorb(v, at < count ? words[at] : 0, ((count * 4) & 0xff) << 24);
  v[4] ^= 0xff;
  for (let rounds = 0; rounds < 4; rounds++) round(v);
  return (v[0] ^ v[2] ^ v[4] ^ v[6]) >>> 0;
}

function absorb(v: Uint32Array, low: number, high: number): void {
  v[6] ^= low;
  v[7] ^= high;
  round(v);
  round(v);
  v[0] ^= low;
  v[1] ^= high;
}
