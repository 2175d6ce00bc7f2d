// Edits of frames: small, repeatable, and written down as numbers, so that a case can be kept and cut down.
import { below, chance, type Random } from '../../src/env/random.ts';
import type { Frame } from '../../src/link/frame.ts';
import { complement, fold, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';

export const OPS = [
  'flip',
  'byte',
  'half',
  'word',
  'cut',
  'grow',
  'copy',
  'fill',
  'drop',
  'double',
  'late',
  'split',
] as const;
export type Op = (typeof OPS)[number];

/** One change to the frame that is the `frame`-th to arrive anywhere. */
export interface Edit {
  readonly frame: number;
  readonly op: Op;
  /** Offset from the IP header. */
  readonly at: number;
  readonly value: number;
}

/** Values at which arithmetic goes wrong. */
const EDGES = [
  0, 1, 2, 4, 5, 7, 8, 19, 20, 40, 0x7f, 0x80, 0xff, 0x100, 536, 1_460, 0x7fff, 0x8000, 0xffff,
  0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];
/** Where the fields are that matter most, from the IP header on: IPv4 with TCP, and IPv6. */
const FIELDS = [
  0, 1, 2, 4, 6, 8, 9, 10, 12, 16, 20, 22, 24, 28, 32, 33, 34, 36, 38, 40, 41, 42, 44, 48, 52, 53,
  54, 56, 60, 64, 72,
];

export function drawEdit(random: Random, frames: number): Edit {
  return {
    frame: below(random, frames),
    op: OPS[below(random, OPS.length)],
    at: chance(random, 0.8) ? FIELDS[below(random, FIELDS.length)] : below(random, 1_500),
    value: chance(random, 0.6) ? EDGES[below(random, EDGES.length)] : random.uint32(),
  };
}

/** Changes the bytes of a frame as an edit says; ops that concern its delivery change nothing. */
export function mutate(frame: Frame, { op, at: offset, value }: Edit): void {
  const { bytes, view } = frame;
  const at = NETWORK_AT + offset;
  const left = frame.end - at;
  if (op === 'cut') {
    frame.end = Math.max(ETHERNET_AT, frame.end - 1 - (value % 1_600));
    return;
  }
  if (op === 'grow') {
    const more = 1 + (value % 600);
    bytes.fill(value & 0xff, frame.end, frame.end + more);
    frame.end += more;
    return;
  }
  if (left < 4) return;
  if (op === 'flip') bytes[at] ^= 1 << (value & 7);
  else if (op === 'byte') bytes[at] = value;
  else if (op === 'half') view.setUint16(at, value);
  else if (op === 'word') view.setUint32(at, value);
  else if (op === 'fill')
    bytes.fill(value & 0xff, at, Math.min(frame.end, at + 1 + (value >>> 24)));
  else if (op === 'copy') {
    const from = NETWORK_AT + (value % Math.max(1, frame.end - NETWORK_AT));
    bytes.copyWithin(at, from, Math.min(frame.end, from + 1 + ((value >>> 16) & 0x3f)));
  }
}

/** Where the transport header of a frame's packet is, and what it is; undefined if the frame does not say. */
function transportOf({ view, end }: Frame) {
  const type = end >= NETWORK_AT + 20 ? ethernet.type(view, ETHERNET_AT) : 0;
  if (type === ethernet.TYPE_IPV4) {
    const length = (view.getUint8(NETWORK_AT) & 0x0f) * 4;
    const total = Math.min(end, NETWORK_AT + view.getUint16(NETWORK_AT + 2));
    const at = NETWORK_AT + length;
    if (length < 20 || at > total) return undefined;
    const protocol = view.getUint8(NETWORK_AT + 9);
    const pseudo = sumBytes(view, NETWORK_AT + 12, NETWORK_AT + 20) + protocol + (total - at);
    return { at, end: total, protocol, pseudo: protocol === 1 ? 0 : pseudo };
  }
  if (type !== ethernet.TYPE_IPV6 || end < NETWORK_AT + 40) return undefined;
  const at = NETWORK_AT + 40;
  const total = Math.min(end, at + view.getUint16(NETWORK_AT + 4));
  const protocol = view.getUint8(NETWORK_AT + 6);
  const addresses = sumBytes(view, NETWORK_AT + 8, NETWORK_AT + 40);
  return { at, end: total, protocol, pseudo: addresses + protocol + (total - at) };
}

const CHECKSUM_OFFSET: Readonly<Record<number, number>> = { 1: 2, 6: 16, 17: 6, 58: 2 };

/** Makes the checksums of a frame right again, as far as its headers allow. */
export function repair(frame: Frame): void {
  const { view, end } = frame;
  const found = transportOf(frame);
  if (found === undefined) return;
  if (ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV4) {
    view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, 0);
    const sum = sumBytes(view, NETWORK_AT, Math.min(end, found.at));
    view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, complement(sum));
  }
  const offset = CHECKSUM_OFFSET[found.protocol];
  if (offset === undefined || found.at + offset + 2 > found.end) return;
  view.setUint16(found.at + offset, 0);
  const sum = complement(sumBytes(view, found.at, found.end, found.pseudo));
  view.setUint16(found.at + offset, sum === 0 ? 0xffff : sum);
}

/**
 * True if a frame's checksums hold, or if it has none that would tell: then an edit of it is a forgery that nobody
 * can find out.
 */
export function looksIntact(frame: Frame): boolean {
  const { view } = frame;
  const found = transportOf(frame);
  if (found === undefined) return false;
  const four = ethernet.type(view, ETHERNET_AT) === ethernet.TYPE_IPV4;
  if (four && fold(sumBytes(view, NETWORK_AT, found.at)) !== 0xffff) return false;
  const fragment = four && ipv4.isFragment(view, NETWORK_AT);
  const offset = CHECKSUM_OFFSET[found.protocol];
  if (fragment || offset === undefined || found.at + offset + 2 > found.end) return true;
  if (found.protocol === ipv4.PROTOCOL_UDP && view.getUint16(found.at + offset) === 0) return true;
  return fold(sumBytes(view, found.at, found.end, found.pseudo)) === 0xffff;
}
