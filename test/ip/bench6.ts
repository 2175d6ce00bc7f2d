// The scripted host with IPv6 addresses too, and frames for it.
import { type Address, formatAddress, parsePrefix, toIpv6 } from '../../src/ip/address.ts';
import { readIpv6 } from '../../src/ip/intern.ts';
import { macOfGroup, solicitedNode } from '../../src/ip/multicast.ts';
import { Frame } from '../../src/link/frame.ts';
import { complement, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as ndp from '../../src/wire/ndp.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { address } from '../sim/hosts.ts';
import { Bench, NEIGHBOUR_MAC, OUR_MAC } from './bench.ts';

export const OURS6 = address('2001:db8::1');
export const SERVICE6 = address('2001:db8:80::80');
export const NEIGHBOUR6 = address('2001:db8::2');
export const GATEWAY6 = address('2001:db8::fe');
export const ROUTER6 = address('fe80::fe');
export const ALL_NODES6 = address('ff02::1');
export const NOBODY6 = address('::');
export const BODY6 = NETWORK_AT + ipv6.IPV6_LENGTH;

export class Bench6 extends Bench {
  constructor(offload = false) {
    super(offload);
    const { ip } = this.host;
    ip.addAddress(OURS6);
    ip.addAddress(SERVICE6, false);
    const local = parsePrefix('2001:db8::/64');
    const all = parsePrefix('::/0');
    if (local !== undefined) ip.addRoute({ prefix: local });
    if (all !== undefined) ip.addRoute({ prefix: all, gateway: GATEWAY6 });
  }

  override acquainted(): this {
    super.acquainted();
    this.host.ip.neighbours.learn(NEIGHBOUR6, NEIGHBOUR_MAC, true, this.clock.now());
    return this;
  }

  /** The ICMPv6 messages sent since the last call. */
  sentIcmp6() {
    return this.sent()
      .filter(({ view }) => view.getUint16(ETHERNET_AT + 12) === ethernet.TYPE_IPV6)
      .map((frame) => ({
        mac: ethernet.destination(frame.view, ETHERNET_AT),
        from: formatAddress(readIpv6(frame.view, NETWORK_AT + ipv6.SOURCE_AT)),
        to: formatAddress(readIpv6(frame.view, NETWORK_AT + ipv6.DESTINATION_AT)),
        type: icmpv6.type(frame.view, BODY6),
        code: icmpv6.code(frame.view, BODY6),
        hops: ipv6.hopLimit(frame.view, NETWORK_AT),
        intact: icmpv6.isIntact(frame.view, NETWORK_AT, BODY6, frame.end),
        frame,
      }));
  }
}

export interface Ip6FrameOptions {
  from?: Address;
  to?: Address;
  mac?: number;
  hops?: number;
}

/** An IPv6 packet from the neighbour; `body` is what follows its fixed header. */
export function ip6Frame(
  next: number,
  body: Uint8Array,
  { from = NEIGHBOUR6, to = OURS6, mac = OUR_MAC, hops = 64 }: Ip6FrameOptions = {},
): Frame {
  const frame = new Frame(BODY6 + body.length);
  const { view } = frame;
  virtio.clear(view, VIRTIO_AT);
  ethernet.write(view, ETHERNET_AT, mac, NEIGHBOUR_MAC, ethernet.TYPE_IPV6);
  ipv6.write(view, NETWORK_AT, body.length, next, hops, toIpv6(from), toIpv6(to));
  frame.bytes.set(body, BODY6);
  frame.end = BODY6 + body.length;
  return frame;
}

/** An ICMPv6 message with a checksum that holds. */
export function icmp6Frame(
  type: number,
  code: number,
  rest: number,
  payload: Uint8Array,
  options: Ip6FrameOptions = {},
): Frame {
  const body = new Uint8Array(icmpv6.ICMPV6_LENGTH + payload.length);
  body.set(payload, icmpv6.ICMPV6_LENGTH);
  icmpv6.write(new DataView(body.buffer), 0, type, code, rest);
  const frame = ip6Frame(ipv6.PROTOCOL_ICMPV6, body, options);
  const { view, end } = frame;
  const pseudo = ipv6.pseudoHeaderSum(view, NETWORK_AT, 58, body.length);
  view.setUint16(BODY6 + 2, complement(sumBytes(view, BODY6, end, pseudo)));
  return frame;
}

const bytesOf = (target: Address): number[] => [...Buffer.from(toIpv6(target), 'latin1')];

/** A link-layer address option: 1 of the source, 2 of the target. */
export function macOption(kind: number, mac: number): number[] {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint16(0, (kind << 8) | 1);
  ethernet.writeMac(view, 2, mac);
  return [...new Uint8Array(view.buffer)];
}

export function solicitation(
  target: Address,
  options: Ip6FrameOptions & { extra?: readonly number[] } = {},
): Frame {
  const group = solicitedNode(target);
  const body = Uint8Array.from([
    ...bytesOf(target),
    ...(options.extra ?? macOption(1, NEIGHBOUR_MAC)),
  ]);
  return icmp6Frame(icmpv6.NEIGHBOUR_SOLICITATION, 0, 0, body, {
    to: group,
    mac: macOfGroup(group),
    hops: 255,
    ...options,
  });
}

export function advertisement(
  target: Address,
  flags: number,
  mac: number | undefined = NEIGHBOUR_MAC,
  options: Ip6FrameOptions = {},
): Frame {
  const extra = mac === undefined || mac < 0 ? [] : macOption(2, mac);
  const body = Uint8Array.from([...bytesOf(target), ...extra]);
  const { NEIGHBOUR_ADVERTISEMENT } = icmpv6;
  return icmp6Frame(NEIGHBOUR_ADVERTISEMENT, 0, (flags << 24) >>> 0, body, {
    from: target,
    hops: 255,
    ...options,
  });
}

export interface RouterFacts {
  lifetime?: number;
  hopLimit?: number;
  mtu?: number;
  prefix?: { address: Address; length: number; lifetime: number; onLink?: boolean };
}

export function routerAdvertisement(
  { lifetime = 1_800, hopLimit = 0, mtu = 0, prefix }: RouterFacts = {},
  options: Ip6FrameOptions = {},
): Frame {
  const body = new Uint8Array(8 + 8 + (mtu > 0 ? 8 : 0) + (prefix === undefined ? 0 : 32));
  const view = new DataView(body.buffer);
  body.set(macOption(1, NEIGHBOUR_MAC), 8);
  let at = 16;
  if (mtu > 0) {
    view.setUint16(at, 0x0501);
    view.setUint32(at + 4, mtu);
    at += 8;
  }
  if (prefix !== undefined) {
    view.setUint16(at, 0x0304);
    view.setUint8(at + 2, prefix.length);
    view.setUint8(at + 3, prefix.onLink === false ? 0 : 0x80);
    view.setUint32(at + 4, prefix.lifetime);
    body.set(bytesOf(prefix.address), at + ndp.PREFIX_AT);
  }
  const rest = hopLimit * 0x100_0000 + lifetime;
  return icmp6Frame(icmpv6.ROUTER_ADVERTISEMENT, 0, rest, body, {
    from: ROUTER6,
    to: ALL_NODES6,
    mac: macOfGroup(ALL_NODES6),
    hops: 255,
    ...options,
  });
}
