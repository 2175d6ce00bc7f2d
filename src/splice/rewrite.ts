// A spliced packet's IP header, in place: what comes in on one connection goes out on the other.
import type { Frame } from '../link/frame.ts';
import * as checksums from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { NETWORK_AT } from '../wire/layout.ts';
import * as field from './field.ts';
import * as record from './record.ts';
import * as rewrite from './rewrite-tcp.ts';
import type { Segment } from './segment.ts';

// The engine folds what a module binds itself into its code, and loads what it imports at each use.
const { change32, updateFull } = checksums;
const { ofWords } = field;
const { IPV4_KEY_WORDS, IPV4_TRANSPORT, IPV6_KEY_WORDS, IPV6_TRANSPORT } = record;
const { rewriteTcp } = rewrite;
const TTL_AT = NETWORK_AT + ipv4.TTL_AT;
const CHECKSUM_AT = NETWORK_AT + ipv4.CHECKSUM_AT;
const SOURCE_WORD = (NETWORK_AT + ipv4.SOURCE_AT) >> 2;
const DESTINATION_WORD = (NETWORK_AT + ipv4.DESTINATION_AT) >> 2;
const SOURCE6_WORD = (NETWORK_AT + ipv6.SOURCE_AT) >> 2;
const HOP_LIMIT_AT = NETWORK_AT + ipv6.HOP_LIMIT_AT;
/** Version and traffic class. */
const WITHOUT_LABEL = 0xfff0_0000;
/** What TTL - 1 adds to a sum: ~(ttl << 8) + ((ttl - 1) << 8), the same for every TTL. */
export const TTL_CHANGE = 0xffff - 0x0100;

/** Source and destination port of one way are destination and source of the other way's answer. */
export const exchanged = (ports: number): number => (ports << 16) | (ports >>> 16);

/**
 * Translates the IPv4 packet whose segment was read, TTL above 1, with the record at word `base`.
 * Ethernet addresses are left to the link.
 */
export function rewriteIpv4(
  records: Int32Array,
  base: number,
  direction: number,
  frame: Frame,
  segment: Segment,
): void {
  const { view, words } = frame;
  // What goes out looks like the answer to what comes in on the other way.
  const other = base + IPV4_KEY_WORDS * (1 - direction);
  const source = records[other + 1];
  const destination = records[other];
  const addresses = ofWords(
    change32(words[SOURCE_WORD] | 0, source) + change32(words[DESTINATION_WORD] | 0, destination),
  );
  words[SOURCE_WORD] = source;
  words[DESTINATION_WORD] = destination;
  view.setUint8(TTL_AT, view.getUint8(TTL_AT) - 1);
  view.setUint16(CHECKSUM_AT, updateFull(view.getUint16(CHECKSUM_AT), addresses + TTL_CHANGE));
  const ports = exchanged(records[other + 2]);
  rewriteTcp(records, base + IPV4_TRANSPORT, direction, frame, segment, ports, addresses);
}

/**
 * Translates the IPv6 packet whose segment was read, hop limit above 1, with the record at word `base`.
 * There is no header checksum, so the sum of the pseudo-header alone changes. The flow label was its
 * sender's for other addresses: it does not pass (RFC 6437, section 3: zero is "not labelled").
 */
export function rewriteIpv6(
  records: Int32Array,
  base: number,
  direction: number,
  frame: Frame,
  segment: Segment,
): void {
  const { view, words } = frame;
  const other = base + IPV6_KEY_WORDS * (1 - direction);
  const addresses = replaceIpv6(words, SOURCE6_WORD, records, other + 4, other);
  view.setUint32(NETWORK_AT, view.getUint32(NETWORK_AT) & WITHOUT_LABEL);
  view.setUint8(HOP_LIMIT_AT, view.getUint8(HOP_LIMIT_AT) - 1);
  const ports = exchanged(records[other + 8]);
  rewriteTcp(records, base + IPV6_TRANSPORT, direction, frame, segment, ports, addresses);
}

/**
 * Writes both addresses of an IPv6 header, which start at word `at` of a frame, from the words `source` and
 * `destination` of records on.
 * @returns what they add to the pseudo-header's sum, folded
 */
export function replaceIpv6(
  words: Uint32Array,
  at: number,
  records: Int32Array,
  source: number,
  destination: number,
): number {
  let change = 0;
  for (let word = 0; word < 4; word++) {
    change += change32(words[at + word] | 0, records[source + word]);
    change += change32(words[at + 4 + word] | 0, records[destination + word]);
    words[at + word] = records[source + word];
    words[at + 4 + word] = records[destination + word];
  }
  return ofWords(change);
}
