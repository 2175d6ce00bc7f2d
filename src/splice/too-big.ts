// A packet-too-big message of our own, to the sender of a direction.
import type { Frame } from '../link/frame.ts';
import { complement, sumBytes } from '../wire/checksum.ts';
import * as icmp from '../wire/icmp.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { NETWORK_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import { IPV4_FORM } from './form.ts';
import { payloadAt, writeHeader } from './own-packet.ts';
import type { SpliceTable } from './table.ts';

const TTL = 63;
/** What is quoted of the segment: its header without options. */
const QUOTED = tcp.TCP_LENGTH;

/** Bytes that hold any such packet. */
export const TOO_BIG_CAPACITY = NETWORK_AT + 2 * ipv6.IPV6_LENGTH + icmp.ICMP_LENGTH + QUOTED;

/**
 * Says that a packet of the sender of a direction was too big (RFC 1191, section 4; RFC 4443, section 3.2). It comes
 * from the address that the sender talks to, as the errors do that we translate.
 * @param seq the segment's number, which must be one that is under way (RFC 5927, section 4.1)
 * @param size bytes of the segment's data and options
 * @param most what they should have been at most
 */
export function writeTooBig(
  table: SpliceTable,
  slot: number,
  direction: number,
  seq: number,
  size: number,
  most: number,
  frame: Frame,
): void {
  const { form, words: slots } = table;
  const { view, words } = frame;
  const at = payloadAt(table);
  const quote = at + icmp.ICMP_LENGTH;
  const way = slot * table.slotWords + form.keyWords * direction;
  const back = 1 - direction;
  const isIpv4 = form === IPV4_FORM;
  const segment = quote + (isIpv4 ? ipv4.IPV4_LENGTH : ipv6.IPV6_LENGTH);
  frame.end = segment + QUOTED;
  const headers = segment - quote + tcp.TCP_LENGTH;
  const mtu = headers + most;
  const length = headers + size;
  const addressWords = form.addressBytes / 4;
  const source = (quote + (isIpv4 ? ipv4.SOURCE_AT : ipv6.SOURCE_AT)) >> 2;
  for (let word = 0; word < 2 * addressWords; word++) words[source + word] = slots[way + word];
  if (isIpv4) {
    const from = ipv4.source(view, quote);
    const to = ipv4.destination(view, quote);
    ipv4.write(view, quote, length, 0, ipv4.DONT_FRAGMENT, TTL, ipv4.PROTOCOL_TCP, from, to);
  } else {
    view.setUint32(quote, 0x6000_0000);
    view.setUint16(quote + ipv6.PAYLOAD_LENGTH_AT, length - ipv6.IPV6_LENGTH);
    view.setUint8(quote + ipv6.NEXT_HEADER_AT, ipv4.PROTOCOL_TCP);
    view.setUint8(quote + ipv6.HOP_LIMIT_AT, TTL);
  }
  tcp.write(view, segment, 0, 0, seq, 0, tcp.TCP_LENGTH, tcp.ACK, 0);
  words[segment >> 2] = slots[way + form.keyWords - 1];
  if (isIpv4) {
    const { UNREACHABLE, FRAGMENTATION_NEEDED } = icmp;
    icmp.write(view, at, frame.end, UNREACHABLE, FRAGMENTATION_NEEDED, mtu);
    writeHeader(table, slot, back, ipv4.PROTOCOL_ICMP, frame);
  } else {
    icmpv6.write(view, at, icmpv6.PACKET_TOO_BIG, 0, mtu);
    const pseudo = writeHeader(table, slot, back, ipv6.PROTOCOL_ICMPV6, frame);
    view.setUint16(at + icmpv6.CHECKSUM_AT, complement(sumBytes(view, at, frame.end, pseudo)));
  }
}
