// ICMP errors of a script as messages: what they say, and the packet of ours that they quote.
import type { Ends } from './addresses.ts';
import type { Flow } from './flow.ts';
import { ipPacket, PROTOCOL_TCP, tcpSegment } from './frames.ts';
import type { IcmpSpec } from './script.ts';
import { Unsupported } from './verdict.ts';

type Numbers = readonly [type: number, codes: Readonly<Record<string, number>>];

const V4: Readonly<Record<string, Numbers>> = {
  unreachable: [
    3,
    {
      net_unreachable: 0,
      host_unreachable: 1,
      protocol_unreachable: 2,
      port_unreachable: 3,
      frag_needed: 4,
      source_route_failed: 5,
      net_unknown: 6,
      host_unknown: 7,
      source_host_isolated: 8,
      net_prohibited: 9,
      host_prohibited: 10,
      net_unreachable_for_tos: 11,
      host_unreachable_for_tos: 12,
      admin_prohibited: 13,
      packet_filtered: 13,
      host_precedence_violation: 14,
      precedence_cutoff: 15,
    },
  ],
  source_quench: [4, {}],
  redirect: [5, {}],
  time_exceeded: [
    11,
    { exceeded_ttl: 0, ttl_exceeded_in_transit: 0, exceeded_frag_time: 1, frag_reassembly: 1 },
  ],
  parameter_problem: [12, { pointer: 0, missing_option: 1, bad_length: 2 }],
};

const V6: Readonly<Record<string, Numbers>> = {
  unreachable: [
    1,
    {
      no_route: 0,
      noroute: 0,
      admin_prohibited: 1,
      not_neighbour: 2,
      not_neighbor: 2,
      beyond_scope: 2,
      address_unreachable: 3,
      addr_unreach: 3,
      port_unreachable: 4,
      ingress_policy: 5,
      reject_route: 6,
    },
  ],
  packet_too_big: [2, {}],
  time_exceeded: [3, { exceeded_hop_limit: 0, exceeded_ttl: 0, exceeded_frag_time: 1 }],
  parameter_problem: [4, { header_field: 0, unknown_next_header: 1, unknown_option: 2 }],
};

/** The message, its checksum at offset 2 still zero. */
export function icmpMessage(
  spec: IcmpSpec,
  line: number,
  ends: Ends,
  flow: Pick<Flow, 'localPort' | 'remotePort' | 'oursToWire'>,
): Uint8Array {
  const [type, codes] = (ends.family === 4 ? V4 : V6)[spec.type] ?? [-1, {}];
  const code = spec.code === undefined ? 0 : codes[spec.code];
  if (type < 0 || code === undefined) {
    throw new Unsupported(line, `icmp ${spec.type} ${spec.code ?? ''} of IPv${ends.family}`);
  }
  const { seq = 0, length = 0 } = spec.quoted ?? {};
  const tcp = tcpSegment(
    {
      sourcePort: flow.localPort,
      destinationPort: flow.remotePort,
      seq: flow.oursToWire(seq),
      ack: 0,
      flags: 0,
      window: 0,
      urgent: 0,
    },
    new Uint8Array(0),
    new Uint8Array(length),
  );
  const quoted = ipPacket(
    ends.localBytes,
    ends.remoteBytes,
    { trafficClass: 0, timeToLive: 64, flowLabel: 0 },
    PROTOCOL_TCP,
    tcp,
  );
  // The IP header and the first 8 bytes behind it, as RFC 792 has it.
  const part = quoted.subarray(0, (ends.family === 4 ? 20 : 40) + 8);
  const message = new Uint8Array(8 + part.length);
  message[0] = type;
  message[1] = code;
  new DataView(message.buffer).setUint32(4, spec.mtu ?? 0);
  message.set(part, 8);
  return message;
}
