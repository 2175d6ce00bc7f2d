// Segments of our own within a splice: probes for the ends of a silent flow, and resets when both are gone.
import type { Frame } from '../link/frame.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import { writeTimestamps } from '../wire/tcp-options.ts';
import * as virtio from '../wire/virtio.ts';
import { IPV4_FORM } from './form.ts';
import { SCALES_AND_FLAGS, SEQ_SHIFT, TIMESTAMP_SHIFT, TIMESTAMPS_FLAG } from './record.ts';
import { exchanged } from './rewrite.ts';
import { ACKED, TIMESTAMP } from './slot.ts';
import type { SpliceTable } from './table.ts';

const TIMESTAMPS_LENGTH = 12;
const TIME_TO_LIVE = 64;

/**
 * Writes a segment without data to the receiver of a direction, with the numbers that its receiver last
 * acknowledged, which nobody can take for an acknowledgment of more.
 *
 * A probe has the number just below what the receiver expects: "If an incoming segment is not
 * acceptable, an acknowledgment should be sent in reply" (RFC 9293, section 3.10.7.4), as keep-alives
 * have it (section 3.8.4). An end that no longer knows the connection answers with a reset. Where we saw
 * no packet yet the numbers are arbitrary and have the same effect.
 *
 * A reset has exactly the number that the receiver expects, or it would be challenged (RFC 5961, 3.2).
 *
 * @param reset true for a reset, false for a probe
 */
export function writeProbe(
  table: SpliceTable,
  slot: number,
  direction: number,
  reset: boolean,
  frame: Frame,
): void {
  const slots = table.words;
  const { form } = table;
  const at = form === IPV4_FORM ? NETWORK_AT + ipv4.IPV4_LENGTH : NETWORK_AT + ipv6.IPV6_LENGTH;
  const record = slot * table.slotWords;
  const seen = record + form.seen;
  const transport = record + form.transport;
  const back = 1 - direction;
  const { view, words } = frame;
  const timestamps = (slots[transport + SCALES_AND_FLAGS] & TIMESTAMPS_FLAG) !== 0;
  const headerLength = tcp.TCP_LENGTH + (timestamps ? TIMESTAMPS_LENGTH : 0);
  frame.end = at + headerLength;
  const seq = slots[seen + ACKED + direction] + slots[transport + SEQ_SHIFT + direction];
  const flags = reset ? tcp.RST | tcp.ACK : tcp.ACK;
  // The window means nothing in a segment that is not acceptable, so it promises nothing.
  tcp.write(
    view,
    at,
    0,
    0,
    seq - (reset ? 0 : 1),
    slots[seen + ACKED + back],
    headerLength,
    flags,
    0,
  );
  const other = record + form.keyWords * back;
  words[at >> 2] = exchanged(slots[other + form.keyWords - 1]);
  if (timestamps) {
    const value =
      slots[seen + TIMESTAMP + direction] + slots[transport + TIMESTAMP_SHIFT + direction];
    writeTimestamps(view, at + tcp.TCP_LENGTH, value, slots[seen + TIMESTAMP + back]);
  }
  virtio.clear(view, VIRTIO_AT);
  const pseudo =
    form === IPV4_FORM
      ? writeIpv4(slots, other, frame, headerLength)
      : writeIpv6(slots, other, frame, headerLength);
  tcp.setChecksum(view, at, complement(sumBytes(view, at, frame.end, pseudo)));
}

// Both write the headers below a segment to who sends what the way at `other` says, and return the sum over
// the pseudo-header.

function writeIpv4(
  slots: Int32Array,
  other: number,
  { view, words }: Frame,
  length: number,
): number {
  view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV4);
  words[(NETWORK_AT + ipv4.SOURCE_AT) >> 2] = slots[other + 1];
  words[(NETWORK_AT + ipv4.DESTINATION_AT) >> 2] = slots[other];
  const source = ipv4.source(view, NETWORK_AT);
  const destination = ipv4.destination(view, NETWORK_AT);
  const total = ipv4.IPV4_LENGTH + length;
  const { DONT_FRAGMENT, PROTOCOL_TCP } = ipv4;
  ipv4.write(
    view,
    NETWORK_AT,
    total,
    0,
    DONT_FRAGMENT,
    TIME_TO_LIVE,
    PROTOCOL_TCP,
    source,
    destination,
  );
  return ipv4.pseudoHeaderSum(source, destination, PROTOCOL_TCP, length);
}

function writeIpv6(
  slots: Int32Array,
  other: number,
  { view, words }: Frame,
  length: number,
): number {
  view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV6);
  view.setUint32(NETWORK_AT, 0x6000_0000);
  view.setUint16(NETWORK_AT + ipv6.PAYLOAD_LENGTH_AT, length);
  view.setUint8(NETWORK_AT + ipv6.NEXT_HEADER_AT, ipv4.PROTOCOL_TCP);
  view.setUint8(NETWORK_AT + ipv6.HOP_LIMIT_AT, TIME_TO_LIVE);
  const source = (NETWORK_AT + ipv6.SOURCE_AT) >> 2;
  for (let word = 0; word < 4; word++) {
    words[source + word] = slots[other + 4 + word];
    words[source + 4 + word] = slots[other + word];
  }
  return ipv6.pseudoHeaderSum(view, NETWORK_AT, ipv4.PROTOCOL_TCP, length);
}
