// What translation and life cycle need to know of a TCP segment.
import type { Frame } from '../link/frame.ts';
import * as layout from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import * as virtio from '../wire/virtio.ts';

// The engine folds what a module binds itself into its code, and loads what it imports at each use.
const { ETHERNET_AT, VIRTIO_AT } = layout;
const { CHECKSUM_AT, FIN, FLAGS_AT, SEQ_AT } = tcp;
const { GSO_ECN, GSO_NONE, NEEDS_CSUM } = virtio;

/**
 * A segment as it came in, in the numbers of its sender. One instance serves all, one at a time.
 * Sequence numbers and timestamps are int32, which the engine keeps without allocation.
 */
export class Segment {
  /** Where the TCP header starts in the frame, and its bytes with options. */
  at = 0;
  headerLength = 0;
  flags = 0;
  seq = 0;
  /** The sequence number behind the segment, its FIN counted; nobody asks it of a SYN. */
  end = 0;
  /** What it acknowledges, translated to the numbers of the other end. Only with ACK. */
  ack = 0;
  /** TSval, 0 without the option. Read by the rewrite. */
  timestamp = 0;
  /** True if the checksum field holds the sum of the pseudo-header alone. */
  partial = false;
}

/**
 * Reads the segment in `[at, end)`.
 * @param train the GSO type that a train of such segments has
 * @returns false if it is damaged: its header does not fit, or the virtio header contradicts it
 */
export function readSegment(
  frame: Frame,
  at: number,
  end: number,
  train: number,
  into: Segment,
): boolean {
  const { view } = frame;
  const headerLength = tcp.headerLength(view, at, end);
  if (headerLength < 0) return false;
  const partial = (virtio.flags(view, VIRTIO_AT) & NEEDS_CSUM) !== 0;
  if (partial) {
    if (virtio.checksumStart(view, VIRTIO_AT) !== at - ETHERNET_AT) return false;
    if (virtio.checksumOffset(view, VIRTIO_AT) !== CHECKSUM_AT) return false;
  }
  const gsoType = virtio.gsoType(view, VIRTIO_AT);
  if (gsoType !== GSO_NONE) {
    if ((gsoType & ~GSO_ECN) !== train || virtio.gsoSize(view, VIRTIO_AT) === 0) return false;
  }
  const flags = view.getUint8(at + FLAGS_AT);
  const seq = view.getInt32(at + SEQ_AT);
  into.at = at;
  into.headerLength = headerLength;
  into.partial = partial;
  into.flags = flags;
  into.seq = seq;
  into.end = (seq + (end - at - headerLength) + (flags & FIN)) | 0;
  into.timestamp = 0;
  return true;
}
