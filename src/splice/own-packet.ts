// Packets of our own within a splice: they look as if they came from the other end.
import type { Frame } from '../link/frame.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import { writeSack, writeTimestamps } from '../wire/tcp-options.ts';
import * as virtio from '../wire/virtio.ts';
import { IPV4_FORM } from './form.ts';
import { SCALES_AND_FLAGS, SEQ_SHIFT, TIMESTAMP_SHIFT, TIMESTAMPS_FLAG } from './record.ts';
import { exchanged } from './rewrite.ts';
import { ACKED, TIMESTAMP } from './slot.ts';
import type { SpliceTable } from './table.ts';

const TIME_TO_LIVE = 64;
/** Bytes of options: padded timestamps, and a SACK option of one block with its padding. */
export const TIMESTAMPS_LENGTH = 12;
const SACK_LENGTH = 12;

/** A segment without data, in the numbers of its receiver. One instance serves all, one at a time. */
export class OwnSegment {
  seq = 0;
  ack = 0;
  flags = tcp.ACK;
  /** As the field stands. */
  window = 0;
  /** TSval and TSecr; not written to a flow without timestamps. */
  timestamp = 0;
  echo = 0;
  /** Whether there is a SACK block, `edges`. */
  sack = false;
  readonly edges = new Uint32Array(2);
}

/**
 * Makes a segment one to the receiver of a direction, with what the direction's sender said last: its acknowledgment
 * and its timestamp, and the receiver's as the echo.
 * @param seq in the numbers of the direction's sender
 */
export function speakAsSender(
  table: SpliceTable,
  slot: number,
  direction: number,
  seq: number,
  segment: OwnSegment,
): void {
  const { words, form } = table;
  const record = slot * table.slotWords;
  const seen = record + form.seen;
  const transport = record + form.transport;
  const back = 1 - direction;
  segment.seq = seq + words[transport + SEQ_SHIFT + direction];
  segment.ack = words[seen + ACKED + back];
  segment.timestamp =
    words[seen + TIMESTAMP + direction] + words[transport + TIMESTAMP_SHIFT + direction];
  segment.echo = words[seen + TIMESTAMP + back];
}

/** Where the payload of a packet of ours starts. */
export const payloadAt = (table: SpliceTable): number =>
  table.form === IPV4_FORM ? NETWORK_AT + ipv4.IPV4_LENGTH : NETWORK_AT + ipv6.IPV6_LENGTH;

/** Writes a whole packet with the segment, addressed to the receiver of a direction. */
export function writeOwnSegment(
  table: SpliceTable,
  slot: number,
  direction: number,
  segment: OwnSegment,
  frame: Frame,
): void {
  const slots = table.words;
  const { form } = table;
  const { view, words } = frame;
  const at = payloadAt(table);
  const record = slot * table.slotWords;
  const flags = slots[record + form.transport + SCALES_AND_FLAGS];
  let end = at + tcp.TCP_LENGTH;
  if ((flags & TIMESTAMPS_FLAG) !== 0) {
    end = writeTimestamps(view, end, segment.timestamp, segment.echo);
  }
  if (segment.sack) end = writeSack(view, end, segment.edges, 1);
  const { seq, ack, window } = segment;
  tcp.write(view, at, 0, 0, seq, ack, end - at, segment.flags, window);
  const other = record + form.keyWords * (1 - direction);
  words[at >> 2] = exchanged(slots[other + form.keyWords - 1]);
  frame.end = end;
  const pseudo = writeHeader(table, slot, direction, ipv4.PROTOCOL_TCP, frame);
  tcp.setChecksum(view, at, complement(sumBytes(view, at, end, pseudo)));
}

/** Bytes that hold any such packet. */
export const OWN_SEGMENT_CAPACITY =
  NETWORK_AT + ipv6.IPV6_LENGTH + tcp.TCP_LENGTH + TIMESTAMPS_LENGTH + SACK_LENGTH;

/**
 * Writes the headers below a payload that ends at `frame.end`, of a packet to the receiver of a direction.
 * @returns the sum over the pseudo-header, unfolded
 */
export function writeHeader(
  table: SpliceTable,
  slot: number,
  direction: number,
  protocol: number,
  frame: Frame,
): number {
  const { form, words: slots } = table;
  const other = slot * table.slotWords + form.keyWords * (1 - direction);
  const length = frame.end - payloadAt(table);
  virtio.clear(frame.view, VIRTIO_AT);
  return form === IPV4_FORM
    ? writeIpv4(slots, other, frame, protocol, length)
    : writeIpv6(slots, other, frame, protocol, length);
}

// Both write what goes to who sends what the way at `other` says, and return the sum over the pseudo-header.

function writeIpv4(
  slots: Int32Array,
  other: number,
  { view, words }: Frame,
  protocol: number,
  length: number,
): number {
  view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV4);
  words[(NETWORK_AT + ipv4.SOURCE_AT) >> 2] = slots[other + 1];
  words[(NETWORK_AT + ipv4.DESTINATION_AT) >> 2] = slots[other];
  const source = ipv4.source(view, NETWORK_AT);
  const destination = ipv4.destination(view, NETWORK_AT);
  const total = ipv4.IPV4_LENGTH + length;
  const { DONT_FRAGMENT } = ipv4;
  ipv4.write(
    view,
    NETWORK_AT,
    total,
    0,
    DONT_FRAGMENT,
    TIME_TO_LIVE,
    protocol,
    source,
    destination,
  );
  return ipv4.pseudoHeaderSum(source, destination, protocol, length);
}

function writeIpv6(
  slots: Int32Array,
  other: number,
  { view, words }: Frame,
  protocol: number,
  length: number,
): number {
  view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV6);
  view.setUint32(NETWORK_AT, 0x6000_0000);
  view.setUint16(NETWORK_AT + ipv6.PAYLOAD_LENGTH_AT, length);
  view.setUint8(NETWORK_AT + ipv6.NEXT_HEADER_AT, protocol);
  view.setUint8(NETWORK_AT + ipv6.HOP_LIMIT_AT, TIME_TO_LIVE);
  const source = (NETWORK_AT + ipv6.SOURCE_AT) >> 2;
  for (let word = 0; word < 4; word++) {
    words[source + word] = slots[other + 4 + word];
    words[source + 4 + word] = slots[other + word];
  }
  return ipv6.pseudoHeaderSum(view, NETWORK_AT, protocol, length);
}
