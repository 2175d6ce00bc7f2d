// ICMP errors about spliced packets (RFC 5508, section 7; RFC 5927): translated, or path MTU discovery
// breaks and an end point never learns why its packets do not arrive.
import type { Frame } from '../link/frame.ts';
import { change32, complement, sumBytes, updateFull } from '../wire/checksum.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as virtio from '../wire/virtio.ts';
import { ofWords } from './field.ts';
import { isPlausible, NOT_SPLICED, QUOTED_PAYLOAD, REFUSED, restoreSegment } from './quote.ts';
import { IPV4_KEY_WORDS } from './record.ts';
import { exchanged, TTL_CHANGE } from './rewrite.ts';
import type { SpliceTable } from './table.ts';

const SOURCE_WORDS = ipv4.SOURCE_AT >> 2;

const key = new Uint32Array(IPV4_KEY_WORDS);

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
  key[0] = words[inner + SOURCE_WORDS + 1];
  key[1] = words[inner + SOURCE_WORDS];
  key[2] = exchanged(words[segment >> 2]);
  const answer = table.find(key, 0);
  if (answer < 0 || words[outer + SOURCE_WORDS + 1] !== words[inner + SOURCE_WORDS]) {
    return NOT_SPLICED;
  }
  const slot = answer >> 1;
  const back = answer & 1;
  const direction = 1 - back;
  if (
    (virtio.flags(view, VIRTIO_AT) & virtio.NEEDS_CSUM) !== 0 ||
    !icmp.isIntact(view, at, end) ||
    ipv4.timeToLive(view, NETWORK_AT) <= 1 ||
    !isPlausible(table, slot, direction, view, segment)
  ) {
    return REFUSED;
  }

  const way = slot * table.slotWords + IPV4_KEY_WORDS * direction;
  const own = table.words[way];
  const peer = table.words[way + 1];
  const addresses = setAddresses(frame, quote, own, peer);
  restoreSegment(table, slot, direction, frame, segment, end, addresses);
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
