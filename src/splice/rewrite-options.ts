// The TCP options of a spliced segment: timestamps, SACK and MSS, at any alignment.
import type { Frame } from '../link/frame.ts';
import * as checksums from '../wire/checksum.ts';
import * as tcp from '../wire/tcp.ts';
import * as options from '../wire/tcp-options.ts';
import * as field from './field.ts';
import * as record from './record.ts';
import type { Segment } from './segment.ts';

// The engine folds what a module binds itself into its code, and loads what it imports at each use.
const { change16 } = checksums;
const { ACK, SYN, TCP_LENGTH } = tcp;
const { END, MSS, NOP, SACK, TIMESTAMPS } = options;
const { addTo, aligned } = field;
const { RECEIVER_MSS, RECEIVER_SACK_FLAG, SCALES_AND_FLAGS, SEQ_SHIFT } = record;
const { TIMESTAMP_SHIFT } = record;

/**
 * Translates the options and notes TSval in `segment`. Reading ends, as at a receiver, where an option's
 * length is impossible; what follows stays as it is.
 * @returns what the changes add to the checksum's sum
 */
export function rewriteOptions(
  records: Int32Array,
  transport: number,
  direction: number,
  frame: Frame,
  segment: Segment,
): number {
  const { view } = frame;
  const start = segment.at + TCP_LENGTH;
  const end = segment.at + segment.headerLength;
  let change = 0;
  for (let at = start; at < end; ) {
    const kind = view.getUint8(at);
    if (kind === END) break;
    if (kind === NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end) break;
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) break;
    if (kind === TIMESTAMPS && length === 10) {
      change += timestamps(records, transport, direction, view, at, segment);
    } else if (kind === SACK) {
      change += selective(records, transport, direction, view, at, length);
    } else if (kind === MSS && length === 4 && (segment.flags & SYN) !== 0) {
      change += lowerMss(records, transport, direction, view, at + 2);
    }
    at += length;
  }
  return change;
}

/** TSval counts on the sender's clock, TSecr on the receiver's; the shifts are 0 without the option. */
function timestamps(
  records: Int32Array,
  transport: number,
  direction: number,
  view: DataView,
  at: number,
  segment: Segment,
): number {
  segment.timestamp = view.getInt32(at + 2);
  let change = addTo(view, at + 2, records[transport + TIMESTAMP_SHIFT + direction]);
  // "TSecr is valid only if the ACK bit is set" (RFC 7323, section 3.2).
  if ((segment.flags & ACK) !== 0) {
    change += addTo(view, at + 6, -records[transport + TIMESTAMP_SHIFT + 1 - direction] | 0);
  }
  return change;
}

/** SACK edges count like ACK. A receiver that did not permit the option must not get it (RFC 2018, 2). */
function selective(
  records: Int32Array,
  transport: number,
  direction: number,
  view: DataView,
  at: number,
  length: number,
): number {
  let change = 0;
  if ((records[transport + SCALES_AND_FLAGS] & (RECEIVER_SACK_FLAG << direction)) === 0) {
    for (let byte = at; byte < at + length; byte++) change += toNop(view, byte);
    return change;
  }
  if (length % 8 !== 2) return 0;
  const shift = -records[transport + SEQ_SHIFT + 1 - direction] | 0;
  for (let edge = at + 2; edge < at + length; edge += 4) change += addTo(view, edge, shift);
  return change;
}

/** A SYN that is repeated through the splice must not promise more than the splice was made with. */
function lowerMss(
  records: Int32Array,
  transport: number,
  direction: number,
  view: DataView,
  at: number,
): number {
  const sender = 1 - direction;
  const most = (records[transport + RECEIVER_MSS] >>> (16 * sender)) & 0xffff;
  const before = view.getUint16(at);
  if (before <= most) return 0;
  view.setUint16(at, most);
  return aligned(at, change16(before, most));
}

function toNop(view: DataView, at: number): number {
  const before = view.getUint8(at);
  view.setUint8(at, NOP);
  return aligned(at, change16(before << 8, NOP << 8));
}
