// ICMPv6 errors about spliced packets (RFC 4443; RFC 5927), as icmp.ts has it for IPv4: above all "packet too
// big", for no router on the way fragments.
import type { Frame } from '../link/frame.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as virtio from '../wire/virtio.ts';
import { isPlausible, NOT_SPLICED, QUOTED_PAYLOAD, REFUSED, restoreSegment } from './quote.ts';
import { IPV6_KEY_WORDS } from './record.ts';
import { exchanged, replaceIpv6 } from './rewrite.ts';
import type { SpliceTable } from './table.ts';

const OUTER_SOURCE = (NETWORK_AT + ipv6.SOURCE_AT) >> 2;
const HOP_LIMIT_AT = NETWORK_AT + ipv6.HOP_LIMIT_AT;

const key = new Uint32Array(IPV6_KEY_WORDS);

/**
 * Translates an ICMPv6 error whose quoted packet we had translated, as `translateIcmp` does.
 *
 * @param at where the ICMPv6 message starts, behind a valid IPv6 header
 * @returns `slot * 2 + direction` in which it must go, `NOT_SPLICED` or `REFUSED`
 */
export function translateIcmpv6(table: SpliceTable, frame: Frame, at: number): number {
  const { view, words } = frame;
  const end = NETWORK_AT + ipv6.IPV6_LENGTH + ipv6.payloadLength(view, NETWORK_AT);
  const quote = at + icmpv6.ICMPV6_LENGTH;
  const segment = quote + ipv6.IPV6_LENGTH;
  if (segment + QUOTED_PAYLOAD > end) return NOT_SPLICED;
  // Unreachable, too big, time exceeded, parameter problem (RFC 4443, section 3).
  const type = icmpv6.type(view, at);
  if (type < icmpv6.UNREACHABLE || type > icmpv6.PARAMETER_PROBLEM) return NOT_SPLICED;
  if (view.getUint8(quote) >> 4 !== 6) return NOT_SPLICED;
  if (ipv6.nextHeader(view, quote) !== PROTOCOL_TCP) return NOT_SPLICED;

  // The quoted packet is what went out in a direction; its answer comes in on the other way.
  const inner = (quote + ipv6.SOURCE_AT) >> 2;
  let ours = true;
  for (let word = 0; word < 4; word++) {
    key[word] = words[inner + 4 + word];
    key[4 + word] = words[inner + word];
    ours &&= words[OUTER_SOURCE + 4 + word] === words[inner + word];
  }
  key[8] = exchanged(words[segment >> 2]);
  const answer = table.find(key, 0);
  if (answer < 0 || !ours) return NOT_SPLICED;
  const slot = answer >> 1;
  const back = answer & 1;
  const direction = 1 - back;
  if (
    (virtio.flags(view, VIRTIO_AT) & virtio.NEEDS_CSUM) !== 0 ||
    !icmpv6.isIntact(view, NETWORK_AT, at, end) ||
    view.getUint8(HOP_LIMIT_AT) <= 1 ||
    !isPlausible(table, slot, direction, view, segment)
  ) {
    return REFUSED;
  }

  const own = slot * table.slotWords + IPV6_KEY_WORDS * direction;
  const addresses = replaceIpv6(words, inner, table.words, own, own + 4);
  restoreSegment(table, slot, direction, frame, segment, end, addresses);
  replaceIpv6(words, OUTER_SOURCE, table.words, own + 4, own);
  view.setUint8(HOP_LIMIT_AT, view.getUint8(HOP_LIMIT_AT) - 1);
  view.setUint16(at + icmpv6.CHECKSUM_AT, 0);
  const pseudo = ipv6.pseudoHeaderSum(view, NETWORK_AT, ipv6.PROTOCOL_ICMPV6, end - at);
  view.setUint16(at + icmpv6.CHECKSUM_AT, complement(sumBytes(view, at, end, pseudo)));
  frame.end = end;
  return 2 * slot + back;
}
