// What arrives: verified, put together again where it was cut, and handed to its protocol; or answered by an
// error, or dropped and counted.
import type { Micros } from '../env/clock.ts';
import type { Timers } from '../env/timers.ts';
import type { Frame } from '../link/frame.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpWire from '../wire/icmp.ts';
import * as icmpv6Wire from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as extensions from '../wire/ipv6-extensions.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../wire/layout.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import * as virtio from '../wire/virtio.ts';
import { isGroup, isHost, isUnspecified } from './address.ts';
import type { Icmp } from './icmp.ts';
import type { Icmpv6 } from './icmpv6.ts';
import type { IpCounters } from './ip.ts';
import { BAD_CHECKSUM, isSourceRouted, MALFORMED, readIpv4 } from './ipv4-family.ts';
import { readIpv6Header } from './ipv6-family.ts';
import type { LocalAddresses } from './local-addresses.ts';
import { Packet, type Protocol } from './packet.ts';
import { Fragment, Reassembler } from './reassembly.ts';

export interface IpInputOptions {
  counters: IpCounters;
  icmp: Icmp;
  icmpv6: Icmpv6;
  timers: Timers;
  local: LocalAddresses;
  protocols: ReadonlyMap<number, Protocol>;
}

export class IpInput {
  readonly reassembler: Reassembler;
  /**
   * Sees packets that were put together again before their protocol does, as they would have come in one piece.
   * True: consumed.
   */
  onWhole: ((frame: Frame, now: Micros) => boolean) | undefined;
  readonly #counters: IpCounters;
  readonly #icmp: Icmp;
  readonly #icmpv6: Icmpv6;
  readonly #local: LocalAddresses;
  readonly #protocols: ReadonlyMap<number, Protocol>;
  readonly #chain = new extensions.Chain();
  readonly #fragment = new Fragment();
  #packet: Packet | undefined;

  constructor({ counters, icmp, icmpv6, timers, local, protocols }: IpInputOptions) {
    this.#counters = counters;
    this.#icmp = icmp;
    this.#icmpv6 = icmpv6;
    this.#local = local;
    this.#protocols = protocols;
    this.reassembler = new Reassembler({
      timers,
      expired: (first, now) => this.#reassemblyExpired(first, now),
    });
  }

  receiveIpv4(frame: Frame, now: Micros, reassembled = false): void {
    const packet = this.#packetFor(frame);
    const outcome = readIpv4(frame, packet);
    if (outcome === MALFORMED) {
      this.#counters.malformed++;
      return;
    }
    if (outcome === BAD_CHECKSUM) {
      this.#counters.badChecksum++;
      return;
    }
    if (!this.#local.has(packet.destination)) {
      this.#counters.notForUs++;
      return;
    }
    // RFC 1122, 3.2.1.3 and 3.3.6. A source of ours would make us talk to ourselves.
    const broadcast = ethernet.isGroup(ethernet.destination(frame.view, ETHERNET_AT));
    if (broadcast || !isHost(packet.source) || this.#local.has(packet.source)) {
      this.#counters.martians++;
      return;
    }
    if (packet.payload > NETWORK_AT + ipv4.IPV4_LENGTH && isSourceRouted(packet)) {
      this.#counters.sourceRouted++;
      return;
    }
    if (!reassembled && ipv4.isFragment(frame.view, NETWORK_AT)) {
      this.#fragmentIpv4(packet, now);
      return;
    }
    this.#counters.received++;
    const protocol = this.#protocols.get(packet.protocol);
    // ICMP for one family means nothing in the other.
    if (protocol !== undefined && packet.protocol !== ipv6.PROTOCOL_ICMPV6) {
      protocol.receive(packet, now);
      return;
    }
    this.#counters.noProtocol++;
    this.#icmp.sendError(packet, icmpWire.UNREACHABLE, icmpWire.PROTOCOL_UNREACHABLE, 0, now);
  }

  receiveIpv6(frame: Frame, now: Micros, reassembled = false): void {
    const packet = this.#packetFor(frame);
    if (!readIpv6Header(frame, packet)) {
      this.#counters.malformed++;
      return;
    }
    const { source, destination } = packet;
    const group = isGroup(destination);
    if (!(group ? this.#local.isMember(destination) : this.#local.has(destination))) {
      this.#counters.notForUs++;
      return;
    }
    const toGroup = ethernet.isGroup(ethernet.destination(frame.view, ETHERNET_AT));
    // Who has no address yet asks from `::` whether he may have one (RFC 4862, section 5.4.2).
    const nobody = isUnspecified(source) && group;
    if ((toGroup && !group) || !(nobody || isHost(source)) || this.#local.has(source)) {
      this.#counters.martians++;
      return;
    }
    const chain = this.#chain;
    const outcome = extensions.walk(frame.view, NETWORK_AT, packet.end, chain);
    packet.protocol = chain.protocol;
    packet.payload = chain.payload;
    if (outcome === extensions.REACHED) this.#deliverIpv6(packet, group, nobody, now);
    else if (outcome === extensions.FRAGMENTED && !reassembled) this.#fragmentIpv6(packet, now);
    else {
      this.#counters.malformed++;
      if (outcome === extensions.PROBLEM) this.#problem(packet, now);
    }
  }

  #deliverIpv6(packet: Packet, group: boolean, nobody: boolean, now: Micros): void {
    const { protocol: number } = packet;
    const icmpv6 = number === ipv6.PROTOCOL_ICMPV6;
    // Groups are for neighbour discovery and echo; nothing else listens there.
    if ((group && !icmpv6) || number === extensions.NO_NEXT_HEADER) {
      this.#counters.notForUs++;
      return;
    }
    if (nobody && icmpv6Wire.type(packet.frame.view, packet.payload) === icmpv6Wire.ECHO) {
      this.#counters.martians++;
      return;
    }
    this.#counters.received++;
    const protocol = this.#protocols.get(number);
    if (protocol !== undefined && number !== ipv4.PROTOCOL_ICMP) {
      protocol.receive(packet, now);
      return;
    }
    this.#counters.noProtocol++;
    this.#chain.code = extensions.UNKNOWN_NEXT_HEADER;
    this.#chain.pointer = this.#chain.nextHeaderAt - NETWORK_AT;
    this.#chain.evenToGroup = false;
    this.#problem(packet, now);
  }

  #problem(packet: Packet, now: Micros): void {
    const { code, pointer, evenToGroup } = this.#chain;
    if (!isHost(packet.source)) return;
    const { PARAMETER_PROBLEM } = icmpv6Wire;
    this.#icmpv6.sendError(packet, PARAMETER_PROBLEM, code, pointer, now, evenToGroup);
  }

  #fragmentIpv4(packet: Packet, now: Micros): void {
    const { frame } = packet;
    const { view } = frame;
    this.#counters.fragments++;
    const fragment = this.#fragmentOf(packet);
    fragment.identification = ipv4.identification(view, NETWORK_AT);
    fragment.offset = ipv4.fragmentOffset(view, NETWORK_AT);
    fragment.more = (ipv4.fragment(view, NETWORK_AT) & ipv4.MORE_FRAGMENTS) !== 0;
    fragment.headersEnd = packet.payload;
    if (fragment.more && ((fragment.end - fragment.at) & 7) !== 0) {
      this.#counters.malformed++;
      return;
    }
    const whole = this.reassembler.add(frame, fragment, now);
    if (whole === undefined || this.onWhole?.(whole, now) === true) return;
    this.receiveIpv4(whole, now, true);
  }

  #fragmentIpv6(packet: Packet, now: Micros): void {
    const { frame } = packet;
    const { view } = frame;
    const chain = this.#chain;
    this.#counters.fragments++;
    const fragment = this.#fragmentOf(packet);
    fragment.identification = extensions.identification(view, chain.fragmentAt);
    fragment.offset = extensions.fragmentOffset(view, chain.fragmentAt);
    fragment.more = extensions.moreFragments(view, chain.fragmentAt);
    fragment.headersEnd = chain.fragmentAt;
    fragment.nextHeaderAt = chain.nextHeaderAt;
    const length = fragment.end - fragment.at;
    // RFC 8200, section 4.5: each part but the last is a multiple of 8 bytes, and the sum fits a packet.
    if (fragment.more && (length & 7) !== 0) {
      this.#refuse(packet, extensions.ERRONEOUS_FIELD, ipv6.PAYLOAD_LENGTH_AT, now);
      return;
    }
    const headers = fragment.headersEnd - NETWORK_AT - ipv6.IPV6_LENGTH;
    if (headers + fragment.offset + length > 0xffff) {
      const pointer = chain.fragmentAt + 2 - NETWORK_AT;
      this.#refuse(packet, extensions.ERRONEOUS_FIELD, pointer, now);
      return;
    }
    if (fragment.offset === 0 && !this.#isChainWhole(packet)) {
      this.#refuse(packet, extensions.INCOMPLETE_CHAIN, 0, now);
      return;
    }
    const whole = this.reassembler.add(frame, fragment, now);
    if (whole === undefined || this.onWhole?.(whole, now) === true) return;
    this.receiveIpv6(whole, now, true);
  }

  /** True if a first fragment holds every header up to the upper layer's (RFC 7112, section 5). */
  #isChainWhole({ frame, end }: Packet): boolean {
    const chain = this.#chain;
    const { fragmentAt, payload, nextHeaderAt } = chain;
    chain.nextHeaderAt = fragmentAt;
    const outcome = extensions.walkFrom(frame.view, NETWORK_AT, payload, end, chain);
    const whole =
      outcome !== extensions.MALFORMED && chain.payload + leastHeader(chain.protocol) <= end;
    chain.fragmentAt = fragmentAt;
    chain.nextHeaderAt = nextHeaderAt;
    return whole;
  }

  #refuse(packet: Packet, code: number, pointer: number, now: Micros): void {
    this.#counters.malformed++;
    this.#chain.code = code;
    this.#chain.pointer = pointer;
    this.#chain.evenToGroup = false;
    this.#problem(packet, now);
  }

  #fragmentOf({ source, destination, protocol, payload, end, trafficClass }: Packet): Fragment {
    const fragment = this.#fragment;
    fragment.source = source;
    fragment.destination = destination;
    fragment.protocol = protocol;
    fragment.at = payload;
    fragment.end = end;
    fragment.trafficClass = trafficClass;
    return fragment;
  }

  /** RFC 792 and RFC 4443, section 3.3: its sender learns that the rest did not come. */
  #reassemblyExpired(first: Frame, now: Micros): void {
    const packet = this.#packetFor(first);
    if (first.view.getUint8(NETWORK_AT) >> 4 === 4) {
      readIpv4(first, packet);
      this.#icmp.sendError(
        packet,
        icmpWire.TIME_EXCEEDED,
        icmpWire.REASSEMBLY_TIME_EXCEEDED,
        0,
        now,
      );
      return;
    }
    readIpv6Header(first, packet);
    extensions.walk(first.view, NETWORK_AT, packet.end, this.#chain);
    packet.protocol = this.#chain.protocol;
    packet.payload = this.#chain.payload;
    const { TIME_EXCEEDED, REASSEMBLY_TIME_EXCEEDED } = icmpv6Wire;
    this.#icmpv6.sendError(packet, TIME_EXCEEDED, REASSEMBLY_TIME_EXCEEDED, 0, now);
  }

  #packetFor(frame: Frame): Packet {
    this.#packet ??= new Packet(frame);
    const packet = this.#packet;
    packet.frame = frame;
    packet.header = NETWORK_AT;
    packet.trusted =
      (virtio.flags(frame.view, VIRTIO_AT) & (virtio.NEEDS_CSUM | virtio.DATA_VALID)) !== 0;
    packet.segmentSize = virtio.gsoSize(frame.view, VIRTIO_AT);
    return packet;
  }
}

/** Bytes of an upper layer's header that a first fragment must hold. */
function leastHeader(protocol: number): number {
  if (protocol === ipv4.PROTOCOL_TCP) return tcp.TCP_LENGTH;
  if (protocol === ipv4.PROTOCOL_UDP) return udp.UDP_LENGTH;
  return protocol === extensions.NO_NEXT_HEADER ? 0 : 1;
}
