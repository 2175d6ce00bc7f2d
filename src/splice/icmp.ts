// ICMP errors about spliced packets (RFC 5508, section 7; RFC 5927): translated, or path MTU discovery
// breaks and an end point never learns why its packets do not arrive.
import type { Frame } from '../link/frame.ts';
import { change32, complement, sumBytes, updateFull } from '../wire/checksum.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import * as virtio from '../wire/virtio.ts';
import { addTo, ofWords } from './field.ts';
import { IPV4_KEY_WORDS, IPV4_TRANSPORT, SEQ_SHIFT } from './record.ts';
import { exchanged, TTL_CHANGE } from './rewrite.ts';
import { NEXT, NEXT_KNOWN, REACH, SLOT_WORDS, STATUS } from './slot.ts';
import type { SpliceTable } from './table.ts';

/** Not about a spliced packet. */
export const NOT_SPLICED = -1;
/** About one, but damaged, implausible or at the end of its life. */
export const REFUSED = -2;

/** The least that a router quotes of a packet's payload (RFC 792): ports and sequence number. */
const QUOTED_PAYLOAD = 8;
const SOURCE_WORDS = ipv4.SOURCE_AT >> 2;

/**
 * Translates an ICMP error whose quoted packet we had translated, in place, back into the terms of the
 * end point that sent that packet. The error's own source becomes the address that the end point talks
 * to: routers behind us are nobody's business, and a filter may drop what comes from them.
 *
 * One packet in is at most one packet out, and nothing is remembered of it. Of the quoted TCP header only
 * what identifies the segment is translated: ports, SEQ, ACK and, when it was quoted, the checksum.
 *
 * @param at where the ICMP message starts, behind a valid IPv4 header
 * @returns `slot * 2 + direction` in which it must go, `NOT_SPLICED` or `REFUSED`
 */
export function translateIcmp(table: SpliceTable, frame: Frame, at: number): number {
  const { view, words } = frame;
  const end = NETWORK_AT + ipv4.totalLength(view, NETWORK_AT);
  const quote = at + icmp.ICMP_LENGTH;
  const segment = quotedSegment(view, at, end);
  if (segment < 0) return NOT_SPLICED;

  const outer = NETWORK_AT >> 2;
  const inner = quote >> 2;
  // The quoted packet is what went out in a direction; its answer comes in on the other way.
  const answer = table.find(
    words[inner + SOURCE_WORDS + 1],
    words[inner + SOURCE_WORDS],
    exchanged(words[segment >> 2]),
  );
  if (answer < 0 || words[outer + SOURCE_WORDS + 1] !== words[inner + SOURCE_WORDS]) {
    return NOT_SPLICED;
  }
  const slot = answer >> 1;
  const back = answer & 1;
  const direction = 1 - back;
  const base = slot * SLOT_WORDS;
  const records = table.words;
  const shift = records[base + IPV4_TRANSPORT + SEQ_SHIFT + direction];
  const seq = (view.getInt32(segment + tcp.SEQ_AT) - shift) | 0;
  if (
    (virtio.flags(view, VIRTIO_AT) & virtio.NEEDS_CSUM) !== 0 ||
    !icmp.isIntact(view, at, end) ||
    ipv4.timeToLive(view, NETWORK_AT) <= 1 ||
    !isPlausible(table, slot, direction, seq)
  ) {
    return REFUSED;
  }

  const key = base + IPV4_KEY_WORDS * direction;
  const own = records[key];
  const peer = records[key + 1];
  const addresses = setAddresses(frame, quote, own, peer);
  let change = addresses + ofWords(change32(words[segment >> 2] | 0, records[key + 2]));
  words[segment >> 2] = records[key + 2];
  change += addTo(view, segment + tcp.SEQ_AT, -shift | 0);
  if (segment + tcp.FLAGS_AT < end && (tcp.flags(view, segment) & tcp.ACK) !== 0) {
    const acked = records[base + IPV4_TRANSPORT + SEQ_SHIFT + back];
    change += addTo(view, segment + tcp.ACK_AT, acked);
  }
  if (segment + tcp.CHECKSUM_AT + 2 <= end) {
    tcp.setChecksum(view, segment, updateFull(tcp.checksum(view, segment), change));
  }
  view.setUint16(at + 2, 0);
  view.setUint16(at + 2, complement(sumBytes(view, at, end)));

  setAddresses(frame, NETWORK_AT, peer, own);
  view.setUint8(NETWORK_AT + ipv4.TTL_AT, ipv4.timeToLive(view, NETWORK_AT) - 1);
  const checksum = updateFull(ipv4.checksum(view, NETWORK_AT), TTL_CHANGE);
  view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, checksum);
  frame.end = end;
  return 2 * slot + back;
}

/** Where the TCP header starts that an error in `[at, end)` quotes, or -1. */
function quotedSegment(view: DataView, at: number, end: number): number {
  const quote = at + icmp.ICMP_LENGTH;
  if (quote + ipv4.IPV4_LENGTH > end) return -1;
  const type = icmp.type(view, at);
  if (type !== icmp.UNREACHABLE && type !== icmp.TIME_EXCEEDED) return -1;
  const first = view.getUint8(quote);
  const length = (first & 0x0f) * 4;
  if (first >> 4 !== 4 || length < ipv4.IPV4_LENGTH) return -1;
  if (quote + length + QUOTED_PAYLOAD > end) return -1;
  if (ipv4.protocol(view, quote) !== ipv4.PROTOCOL_TCP) return -1;
  return ipv4.fragmentOffset(view, quote) === 0 ? quote + length : -1;
}

/** RFC 5927, section 4.1: the quoted segment must be one that may still be in flight. */
function isPlausible(table: SpliceTable, slot: number, direction: number, seq: number): boolean {
  const at = slot * SLOT_WORDS;
  if ((table.words[at + STATUS] & (NEXT_KNOWN << direction)) === 0) return true;
  const ahead = (seq - table.words[at + NEXT + direction]) | 0;
  return ahead <= 0 && ahead > -REACH;
}

/** Sets both addresses of a header and its checksum; returns what they add to a sum, folded. */
function setAddresses(frame: Frame, at: number, source: number, destination: number): number {
  const { view, words } = frame;
  const word = (at + ipv4.SOURCE_AT) >> 2;
  const change = ofWords(
    change32(words[word] | 0, source) + change32(words[word + 1] | 0, destination),
  );
  words[word] = source;
  words[word + 1] = destination;
  view.setUint16(at + ipv4.CHECKSUM_AT, updateFull(ipv4.checksum(view, at), change));
  return change;
}
