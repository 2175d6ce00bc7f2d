// Segments of our own within a splice: probes for the ends of a silent flow, and resets when both are gone.
import type { Frame } from '../link/frame.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import { writeTimestamps } from '../wire/tcp-options.ts';
import * as virtio from '../wire/virtio.ts';
import {
  IPV4_KEY_WORDS,
  IPV4_TRANSPORT,
  SCALES_AND_FLAGS,
  SEQ_SHIFT,
  TIMESTAMP_SHIFT,
  TIMESTAMPS_FLAG,
} from './record.ts';
import { exchanged } from './rewrite.ts';
import { ACKED, SLOT_WORDS, TIMESTAMP } from './slot.ts';
import type { SpliceTable } from './table.ts';

const TCP_AT = NETWORK_AT + ipv4.IPV4_LENGTH;
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
  const base = slot * SLOT_WORDS;
  const transport = base + IPV4_TRANSPORT;
  const back = 1 - direction;
  const { view, words } = frame;
  const timestamps = (slots[transport + SCALES_AND_FLAGS] & TIMESTAMPS_FLAG) !== 0;
  const headerLength = tcp.TCP_LENGTH + (timestamps ? TIMESTAMPS_LENGTH : 0);
  frame.end = TCP_AT + headerLength;
  const seq = slots[base + ACKED + direction] + slots[transport + SEQ_SHIFT + direction];
  const flags = reset ? tcp.RST | tcp.ACK : tcp.ACK;
  // The window means nothing in a segment that is not acceptable, so it promises nothing.
  tcp.write(
    view,
    TCP_AT,
    0,
    0,
    seq - (reset ? 0 : 1),
    slots[base + ACKED + back],
    headerLength,
    flags,
    0,
  );
  const other = base + IPV4_KEY_WORDS * back;
  words[TCP_AT >> 2] = exchanged(slots[other + 2]);
  if (timestamps) {
    const value =
      slots[base + TIMESTAMP + direction] + slots[transport + TIMESTAMP_SHIFT + direction];
    writeTimestamps(view, TCP_AT + tcp.TCP_LENGTH, value, slots[base + TIMESTAMP + back]);
  }
  virtio.clear(view, VIRTIO_AT);
  view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV4);
  words[(NETWORK_AT + ipv4.SOURCE_AT) >> 2] = slots[other + 1];
  words[(NETWORK_AT + ipv4.DESTINATION_AT) >> 2] = slots[other];
  const source = ipv4.source(view, NETWORK_AT);
  const destination = ipv4.destination(view, NETWORK_AT);
  const length = ipv4.IPV4_LENGTH + headerLength;
  ipv4.write(
    view,
    NETWORK_AT,
    length,
    0,
    ipv4.DONT_FRAGMENT,
    TIME_TO_LIVE,
    ipv4.PROTOCOL_TCP,
    source,
    destination,
  );
  const pseudo = ipv4.pseudoHeaderSum(source, destination, ipv4.PROTOCOL_TCP, headerLength);
  tcp.setChecksum(view, TCP_AT, complement(sumBytes(view, TCP_AT, frame.end, pseudo)));
}
