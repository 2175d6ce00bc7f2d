// Packets cut into fragments on their way, as a router or an attacker would.
import { Frame } from '../../src/link/frame.ts';
import { complement, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as extensions from '../../src/wire/ipv6-extensions.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';

/** Where the fragmentable part of a packet lies. */
interface Whole {
  readonly family: 4 | 6;
  readonly start: number;
  readonly end: number;
}

function wholeOf({ view, end }: Frame): Whole | undefined {
  const type = end >= NETWORK_AT + 28 ? ethernet.type(view, ETHERNET_AT) : 0;
  if (type === ethernet.TYPE_IPV4) {
    const header = ipv4.headerLength(view, NETWORK_AT, end);
    if (header < 0 || ipv4.isFragment(view, NETWORK_AT)) return undefined;
    const total = ipv4.totalLength(view, NETWORK_AT);
    return { family: 4, start: NETWORK_AT + header, end: NETWORK_AT + total };
  }
  if (type !== ethernet.TYPE_IPV6 || !ipv6.isValid(view, NETWORK_AT, end)) return undefined;
  if (ipv6.nextHeader(view, NETWORK_AT) === extensions.FRAGMENT) return undefined;
  const start = NETWORK_AT + ipv6.IPV6_LENGTH;
  return { family: 6, start, end: start + ipv6.payloadLength(view, NETWORK_AT) };
}

/**
 * Cuts a packet into fragments of `size` bytes (a multiple of 8), each a frame of its own, that begin `overlap` bytes
 * before they should. Nothing comes of what is no whole packet.
 */
export function split(frame: Frame, size: number, overlap = 0): Frame[] {
  const whole = wholeOf(frame);
  if (whole === undefined) return [];
  const pieces: Frame[] = [];
  for (let at = whole.start; at < whole.end; at += size) {
    const from = Math.max(whole.start, at - overlap);
    const to = Math.min(whole.end, at + size);
    pieces.push(pieceOf(frame, whole, from, to));
  }
  return pieces;
}

function pieceOf(frame: Frame, { family, start, end }: Whole, from: number, to: number): Frame {
  const payload = family === 4 ? start : start + extensions.FRAGMENT_LENGTH;
  const piece = new Frame(payload + to - from);
  const { view, bytes } = piece;
  bytes.set(frame.bytes.subarray(0, start));
  bytes.set(frame.bytes.subarray(from, to), payload);
  piece.end = payload + to - from;
  const more = to < end;
  const units = (from - start) / 8;
  if (family === 4) {
    view.setUint16(NETWORK_AT + 2, piece.end - NETWORK_AT);
    view.setUint16(NETWORK_AT + 6, (more ? ipv4.MORE_FRAGMENTS : 0) | units);
    view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, 0);
    const sum = complement(sumBytes(view, NETWORK_AT, start));
    view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, sum);
    return piece;
  }
  view.setUint16(NETWORK_AT + ipv6.PAYLOAD_LENGTH_AT, piece.end - start);
  view.setUint16(start, view.getUint8(NETWORK_AT + ipv6.NEXT_HEADER_AT) << 8);
  view.setUint16(start + 2, (units << 3) | (more ? 1 : 0));
  // What tells packets apart: the sum of their payload will do.
  view.setUint32(start + 4, sumBytes(frame.view, start, end));
  view.setUint8(NETWORK_AT + ipv6.NEXT_HEADER_AT, extensions.FRAGMENT);
  return piece;
}
