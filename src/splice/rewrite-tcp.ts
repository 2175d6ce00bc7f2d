// The TCP header of a spliced segment, in place, whatever the address family.
import type { Frame } from '../link/frame.ts';
import * as checksums from '../wire/checksum.ts';
import * as layout from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import * as virtio from '../wire/virtio.ts';
import * as field from './field.ts';
import * as record from './record.ts';
import * as rewrite from './rewrite-options.ts';
import type { Segment } from './segment.ts';

// The engine folds what a module binds itself into its code, and loads what it imports at each use.
const { change16, change32, updateFull, updatePartial } = checksums;
const { VIRTIO_AT } = layout;
const { ACK, ACK_AT, CHECKSUM_AT, SEQ_AT, SYN, TCP_LENGTH, WINDOW_AT } = tcp;
const { GSO_NONE, gsoSize, gsoType, setGsoSize } = virtio;
const { ofWords } = field;
const { RECEIVER_MSS, SCALES_AND_FLAGS, SEQ_SHIFT, TIMESTAMP_SHIFT } = record;
const { rewriteOptions } = rewrite;

/** A header with `NOP NOP TIMESTAMPS 10` first, as a little-endian word. */
const USUAL_HEADER = 32;
const USUAL_OPTION = 0x0a08_0101;

/**
 * Translates ports, SEQ, ACK, window and options, and brings the checksum along.
 *
 * The checksum itself is not verified: changing it by what changed keeps a wrong one wrong, so that the
 * end point finds the damage as it would without us.
 *
 * @param records the words of records; `transport` is where this flow's transport words start
 * @param ports the ports to write, as they lie in a frame
 * @param addresses what the new addresses add to the pseudo-header's sum, folded
 */
export function rewriteTcp(
  records: Int32Array,
  transport: number,
  direction: number,
  frame: Frame,
  segment: Segment,
  ports: number,
  addresses: number,
): void {
  const { view, words } = frame;
  const { at, flags, headerLength } = segment;
  let change = addresses + ofWords(change32(words[at >> 2] | 0, ports));
  words[at >> 2] = ports;
  change += addTo(view, at + SEQ_AT, records[transport + SEQ_SHIFT + direction]);
  if ((flags & ACK) !== 0) {
    const shift = -records[transport + SEQ_SHIFT + 1 - direction] | 0;
    change += addTo(view, at + ACK_AT, shift);
    segment.ack = view.getInt32(at + ACK_AT);
  }
  // "The window field in a segment where the SYN bit is set MUST NOT be scaled" (RFC 7323, 2.2).
  if ((flags & SYN) === 0) {
    const scales = records[transport + SCALES_AND_FLAGS] >>> (8 * direction);
    change += rescaleWindow(view, at + WINDOW_AT, scales & 15, (scales >>> 4) & 15);
  }
  const options = at + TCP_LENGTH;
  if (headerLength === USUAL_HEADER && words[options >> 2] === USUAL_OPTION) {
    // Nearly every segment: timestamps alone, on words (see rewrite-options.ts).
    segment.timestamp = view.getInt32(options + 4);
    change += addTo(view, options + 4, records[transport + TIMESTAMP_SHIFT + direction]);
    if ((flags & ACK) !== 0) {
      const shift = -records[transport + TIMESTAMP_SHIFT + 1 - direction] | 0;
      change += addTo(view, options + 8, shift);
    }
  } else if (headerLength > TCP_LENGTH) {
    change += rewriteOptions(records, transport, direction, frame, segment);
  }
  const checksum = view.getUint16(at + CHECKSUM_AT);
  view.setUint16(
    at + CHECKSUM_AT,
    segment.partial ? updatePartial(checksum, addresses) : updateFull(checksum, change),
  );
  if (gsoType(view, VIRTIO_AT) !== GSO_NONE) {
    const mss = (records[transport + RECEIVER_MSS] >>> (16 * direction)) & 0xffff;
    lowerGsoSize(view, mss - (headerLength - TCP_LENGTH));
  }
}

/** Adds to a 32-bit field at an even offset modulo 2^32; returns what that adds to a sum. */
function addTo(view: DataView, at: number, shift: number): number {
  const before = view.getInt32(at);
  const after = (before + shift) | 0;
  view.setInt32(at, after);
  return change32(before, after);
}

/** The bytes that the field means to its sender, in the units of its receiver, and never more of them. */
function rescaleWindow(view: DataView, at: number, from: number, to: number): number {
  if (from === to) return 0;
  const before = view.getUint16(at);
  const after = Math.min((before << from) >>> to, 0xffff);
  view.setUint16(at, after);
  return change16(before, after);
}

/** A train of segments stays whole; each must be what its receiver accepts (RFC 6691, section 2). */
function lowerGsoSize(view: DataView, most: number): void {
  if (gsoSize(view, VIRTIO_AT) > most) setGsoSize(view, VIRTIO_AT, most);
}
