// The chain of IPv6 extension headers (RFC 8200, section 4): walked once from the fixed header to what IPv6
// carries. Total and bounded: any bytes lead to one of five outcomes after at most `HEADERS` headers with
// `OPTIONS` options each (RFC 8504, section 5.3).
import { IPV6_LENGTH, NEXT_HEADER_AT } from './ipv6.ts';

export const HOP_BY_HOP = 0;
export const ROUTING = 43;
export const FRAGMENT = 44;
export const NO_NEXT_HEADER = 59;
export const DESTINATION_OPTIONS = 60;

export const FRAGMENT_LENGTH = 8;
const HEADERS = 8;
/** Options of a header that are not padding, as Linux has it. */
const OPTIONS = 8;
const PAD1 = 0;
const PADN = 1;
/** More padding than any alignment needs is a covert channel; Linux drops it too. */
const PADDING = 7;

/** The chain ended at an upper layer's header: `protocol` at `payload`. */
export const REACHED = 0;
/** A fragment header: it stands at `fragmentAt`, and `protocol` at `payload` is cut. */
export const FRAGMENTED = 1;
/** The packet ends within its chain, or the chain is longer than anything of use. */
export const MALFORMED = 2;
/** An option wants packets dropped by who does not know it. */
export const DISCARDED = 3;
/** To be answered by an ICMPv6 parameter problem with `code` and `pointer`. */
export const PROBLEM = 4;

/** Codes of a parameter problem (RFC 4443, section 3.4; RFC 7112, section 5). */
export const ERRONEOUS_FIELD = 0;
export const UNKNOWN_NEXT_HEADER = 1;
export const UNKNOWN_OPTION = 2;
export const INCOMPLETE_CHAIN = 3;

/** Where a walk ended. One instance serves all packets, one at a time. */
export class Chain {
  /** The upper layer's protocol, known or not. */
  protocol = 0;
  /** Where its header starts. */
  payload = 0;
  /** Where the Next Header field stands that names `protocol`, or that names the fragment header. */
  nextHeaderAt = 0;
  fragmentAt = 0;
  code = 0;
  /** Offset of what is wrong from the start of the packet. */
  pointer = 0;
  /** True if a problem is told even to who sent to a group (RFC 8200, section 4.2). */
  evenToGroup = false;
}

/** Bytes of payload before this fragment's. */
export const fragmentOffset = (view: DataView, at: number): number =>
  view.getUint16(at + 2) & 0xfff8;
export const moreFragments = (view: DataView, at: number): boolean =>
  (view.getUint16(at + 2) & 1) !== 0;
export const identification = (view: DataView, at: number): number => view.getUint32(at + 4);

export function writeFragment(
  view: DataView,
  at: number,
  next: number,
  offset: number,
  more: boolean,
  id: number,
): void {
  view.setUint16(at, next << 8);
  view.setUint16(at + 2, offset | (more ? 1 : 0));
  view.setUint32(at + 4, id);
}

/** Walks the chain of the packet in `[packet, end)`, whose fixed header is valid. */
export function walk(view: DataView, packet: number, end: number, into: Chain): number {
  into.nextHeaderAt = packet + NEXT_HEADER_AT;
  return walkFrom(view, packet, packet + IPV6_LENGTH, end, into);
}

/**
 * Walks on from a header at `start` that the field at `into.nextHeaderAt` names: from behind the fragment
 * header of a first fragment, which must hold its whole chain (RFC 7112).
 */
export function walkFrom(
  view: DataView,
  packet: number,
  start: number,
  end: number,
  into: Chain,
): number {
  let at = start;
  for (let count = 0; count <= HEADERS; count++) {
    const next = view.getUint8(into.nextHeaderAt);
    into.protocol = next;
    into.payload = at;
    if (next === HOP_BY_HOP) {
      // Only right behind the fixed header (RFC 8200, section 4.1).
      if (into.nextHeaderAt !== packet + NEXT_HEADER_AT) {
        return problem(into, UNKNOWN_NEXT_HEADER, into.nextHeaderAt - packet);
      }
    } else if (next !== DESTINATION_OPTIONS && next !== ROUTING && next !== FRAGMENT) {
      return REACHED;
    }
    if (at + 8 > end) return MALFORMED;
    let length = FRAGMENT_LENGTH;
    if (next === FRAGMENT) {
      // An atomic fragment is whole by itself (RFC 6946).
      if (fragmentOffset(view, at) !== 0 || moreFragments(view, at)) {
        into.fragmentAt = at;
        into.protocol = view.getUint8(at);
        into.payload = at + FRAGMENT_LENGTH;
        return FRAGMENTED;
      }
    } else {
      length = 8 * (view.getUint8(at + 1) + 1);
      if (at + length > end) return MALFORMED;
      if (next === ROUTING) {
        // No type is known here; one whose way is over is skipped (RFC 8200, section 4.4; RFC 5095).
        if (view.getUint8(at + 3) !== 0) return problem(into, ERRONEOUS_FIELD, at + 2 - packet);
      } else {
        const outcome = walkOptions(view, packet, at + 2, at + length, into);
        if (outcome !== REACHED) return outcome;
      }
    }
    into.nextHeaderAt = at;
    at += length;
  }
  return MALFORMED;
}

/** The options in `[start, end)` of a header; none of them means anything to a host yet. */
function walkOptions(
  view: DataView,
  packet: number,
  start: number,
  end: number,
  into: Chain,
): number {
  let options = 0;
  let padding = 0;
  for (let at = start; at < end; ) {
    const type = view.getUint8(at);
    if (type === PAD1) {
      at++;
      if (++padding > PADDING) return DISCARDED;
      continue;
    }
    if (at + 2 > end) return MALFORMED;
    const length = 2 + view.getUint8(at + 1);
    if (at + length > end) return MALFORMED;
    if (type === PADN) {
      padding += length;
      if (padding > PADDING) return DISCARDED;
    } else {
      padding = 0;
      if (++options > OPTIONS) return DISCARDED;
      // The two highest bits say what to do with an unknown option (RFC 8200, section 4.2).
      const action = type >> 6;
      if (action === 1) return DISCARDED;
      if (action !== 0) {
        problem(into, UNKNOWN_OPTION, at - packet);
        into.evenToGroup = action === 2;
        return PROBLEM;
      }
    }
    at += length;
  }
  return REACHED;
}

function problem(into: Chain, code: number, pointer: number): number {
  into.code = code;
  into.pointer = pointer;
  into.evenToGroup = false;
  return PROBLEM;
}
