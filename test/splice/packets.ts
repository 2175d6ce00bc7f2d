// Packets made from scratch, with checksums computed in full: what the rewrite must arrive at by increments.
import fc from 'fast-check';
import { type Address, fromIpv4, fromIpv6, parseAddress } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import { RECOVERY_NONE, type SpliceRecord } from '../../src/splice/record.ts';
import { complement, fold, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as virtio from '../../src/wire/virtio.ts';

export const CLIENT = 0x0a00_0a02;
export const VIRTUAL = 0x0a00_0064;
export const SOURCE = 0x0a00_0101;
export const BACKEND = 0x0a00_0120;

export const RECORD: SpliceRecord = {
  client: { address: fromIpv4(CLIENT), port: 40_001 },
  virtual: { address: fromIpv4(VIRTUAL), port: 80 },
  source: { address: fromIpv4(SOURCE), port: 20_002 },
  backend: { address: fromIpv4(BACKEND), port: 8_080 },
  seqShiftToBackend: 0x1234_5678,
  seqShiftToClient: 0xfedc_ba98,
  timestamps: true,
  timestampShiftToBackend: 77_777,
  timestampShiftToClient: 0xffff_0001,
  clientScale: 7,
  scaleToClient: 7,
  scaleToBackend: 7,
  backendScale: 7,
  clientSack: true,
  backendSack: true,
  clientMss: 1_460,
  backendMss: 1_460,
  epoch: 1,
  home: 3,
  service: 9,
  recovery: RECOVERY_NONE,
};

function parsed(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
}

export const CLIENT6 = parsed('2001:db8:a::2');
export const VIRTUAL6 = parsed('2001:db8:ffff::100');
export const SOURCE6 = parsed('2001:db8:1::21');
export const BACKEND6 = parsed('2001:db8:1::31');

/** The same over IPv6. */
export const RECORD6: SpliceRecord = {
  ...RECORD,
  client: { address: CLIENT6, port: 40_001 },
  virtual: { address: VIRTUAL6, port: 80 },
  source: { address: SOURCE6, port: 20_002 },
  backend: { address: BACKEND6, port: 8_080 },
  clientMss: 1_440,
  backendMss: 1_440,
};

/** A TCP option by what it says; `unknown` is any that the rewrite must leave alone. */
export type Option =
  | { kind: 'nop' }
  | { kind: 'end' }
  | { kind: 'mss'; value: number }
  | { kind: 'scale'; value: number }
  | { kind: 'sackPermitted' }
  | { kind: 'timestamps'; value: number; echo: number }
  | { kind: 'sack'; edges: readonly number[] }
  | { kind: 'unknown'; bytes: readonly number[] };

export interface Packet {
  /** An `Address`: the family of both ends is that of the packet. */
  from: number | string;
  fromPort: number;
  to: number | string;
  toPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  options: readonly Option[];
  payload: readonly number[];
  ttl: number;
  /** IPv6 alone. */
  flowLabel: number;
  /** Bytes of IP options, a multiple of 4; of a destination options header, a multiple of 8, for IPv6. */
  ipOptions: readonly number[];
  /** True: only the pseudo-header's sum is in the checksum field. */
  partial: boolean;
  gsoType: number;
  gsoSize: number;
}

export const PACKET: Packet = {
  from: CLIENT,
  fromPort: RECORD.client.port,
  to: VIRTUAL,
  toPort: RECORD.virtual.port,
  seq: 1_000,
  ack: 5_000,
  flags: tcp.ACK,
  window: 500,
  options: [],
  payload: [],
  ttl: 64,
  flowLabel: 0,
  ipOptions: [],
  partial: false,
  gsoType: virtio.GSO_NONE,
  gsoSize: 0,
};

/** What the backend sends, in the template's terms. */
export const ANSWER: Packet = {
  ...PACKET,
  from: BACKEND,
  fromPort: RECORD.backend.port,
  to: SOURCE,
  toPort: RECORD.source.port,
};

export const PACKET6: Packet = { ...PACKET, from: CLIENT6, to: VIRTUAL6 };
export const ANSWER6: Packet = { ...ANSWER, from: BACKEND6, to: SOURCE6 };

const bytes32 = (value: number): number[] => [
  value >>> 24,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];

export function optionBytes(option: Option): number[] {
  switch (option.kind) {
    case 'nop':
      return [1];
    case 'end':
      return [0];
    case 'mss':
      return [2, 4, option.value >>> 8, option.value & 255];
    case 'scale':
      return [3, 3, option.value];
    case 'sackPermitted':
      return [4, 2];
    case 'timestamps':
      return [8, 10, ...bytes32(option.value), ...bytes32(option.echo)];
    case 'sack':
      return [5, 2 + 4 * option.edges.length, ...option.edges.flatMap(bytes32)];
    case 'unknown':
      return [254, 2 + option.bytes.length, ...option.bytes];
  }
}

/** Where the TCP header of a packet starts in its frame. */
export const tcpAt = ({ from, ipOptions }: Packet): number =>
  NETWORK_AT + (typeof from === 'number' ? 20 : 40) + ipOptions.length;

/** Makes the frame of a packet, all its checksums computed from scratch. */
export function frameOf(packet: Packet, into = new Frame(4_096)): Frame {
  const { view, bytes } = into;
  bytes.fill(0);
  const options = packet.options.flatMap(optionBytes);
  while (options.length % 4 !== 0) options.push(0);
  const headerLength = 20 + options.length;
  const at = tcpAt(packet);
  const length = headerLength + packet.payload.length;
  into.end = at + length;
  const { from, to } = packet;
  const pseudo =
    typeof from === 'number' && typeof to === 'number'
      ? writeIpv4(into, packet, from, to, length)
      : writeIpv6(into, packet, String(from), String(to), length);
  const { fromPort, toPort, seq, ack, flags, window } = packet;
  tcp.write(view, at, fromPort, toPort, seq, ack, headerLength, flags, window);
  bytes.set(options, at + 20);
  bytes.set(packet.payload, at + headerLength);
  tcp.setChecksum(
    view,
    at,
    packet.partial ? fold(pseudo) : complement(sumBytes(view, at, into.end, pseudo)),
  );
  const flag = packet.partial ? virtio.NEEDS_CSUM : 0;
  const start = packet.partial ? at - ETHERNET_AT : 0;
  const offset = packet.partial ? tcp.CHECKSUM_AT : 0;
  virtio.write(view, VIRTIO_AT, flag, packet.gsoType, 0, packet.gsoSize, start, offset);
  return into;
}

// Both write the header below a segment of `length` bytes and return the sum over the pseudo-header.

function writeIpv4(
  { view, bytes }: Frame,
  packet: Packet,
  from: number,
  to: number,
  length: number,
): number {
  const ipLength = 20 + packet.ipOptions.length;
  const total = ipLength + length;
  view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV4);
  ipv4.write(view, NETWORK_AT, total, 7, ipv4.DONT_FRAGMENT, packet.ttl, 6, from, to);
  view.setUint8(NETWORK_AT, 0x40 | (ipLength / 4));
  bytes.set(packet.ipOptions, NETWORK_AT + 20);
  view.setUint16(NETWORK_AT + 10, 0);
  view.setUint16(NETWORK_AT + 10, complement(sumBytes(view, NETWORK_AT, NETWORK_AT + ipLength)));
  return ipv4.pseudoHeaderSum(from, to, 6, length);
}

function writeIpv6(
  { view, bytes }: Frame,
  { ipOptions, ttl, flowLabel }: Packet,
  from: string,
  to: string,
  length: number,
): number {
  view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV6);
  const next = ipOptions.length > 0 ? 60 : 6;
  const payload = ipOptions.length + length;
  ipv6.write(view, NETWORK_AT, payload, next, ttl, from, to, 0, flowLabel);
  if (ipOptions.length > 0) {
    bytes.set(ipOptions, NETWORK_AT + 40);
    // One option that is to be skipped by who does not know it.
    const size = ipOptions.length;
    bytes.set([6, size / 8 - 1, 0x1e, size - 4], NETWORK_AT + 40);
  }
  return ipv6.pseudoHeaderSum(view, NETWORK_AT, 6, length);
}

/** What a frame holds from its IP header on, and its virtio header: all but the Ethernet addresses. */
export const contents = (frame: Frame): number[] => [
  ...frame.bytes.subarray(0, VIRTIO_AT + 10),
  ...frame.bytes.subarray(NETWORK_AT, frame.end),
];

const add = (value: number, shift: number): number => (value + shift) >>> 0;

/** The translation as the table of the design has it, field by field, with none of the rewrite's means. */
export function translated(packet: Packet, record: SpliceRecord, toBackend: boolean): Packet {
  const { client, virtual, source, backend } = record;
  const [from, to] = toBackend ? [source, backend] : [virtual, client];
  const ahead = toBackend ? record.seqShiftToBackend : record.seqShiftToClient;
  const back = toBackend ? record.seqShiftToClient : record.seqShiftToBackend;
  const clockAhead = toBackend ? record.timestampShiftToBackend : record.timestampShiftToClient;
  const clockBack = toBackend ? record.timestampShiftToClient : record.timestampShiftToBackend;
  const senderScale = toBackend ? record.clientScale : record.backendScale;
  const toldScale = toBackend ? record.scaleToBackend : record.scaleToClient;
  const receiverSack = toBackend ? record.backendSack : record.clientSack;
  const senderMss = toBackend ? record.clientMss : record.backendMss;
  const receiverMss = toBackend ? record.backendMss : record.clientMss;
  const hasAck = (packet.flags & tcp.ACK) !== 0;
  const isSyn = (packet.flags & tcp.SYN) !== 0;
  const bytes = packet.window * 2 ** senderScale;
  const window = isSyn ? packet.window : Math.min(65_535, Math.floor(bytes / 2 ** toldScale));
  const done = packet.options.findIndex((option) => option.kind === 'end');
  const options = packet.options.flatMap((option, index): Option[] => {
    if (done >= 0 && index > done) return [option];
    if (option.kind === 'timestamps') {
      const echo = hasAck ? add(option.echo, -clockBack) : option.echo;
      return [{ ...option, value: add(option.value, clockAhead), echo }];
    }
    if (option.kind === 'sack') {
      if (receiverSack) return [{ ...option, edges: option.edges.map((edge) => add(edge, -back)) }];
      return optionBytes(option).map(() => ({ kind: 'nop' }));
    }
    if (option.kind === 'mss' && isSyn) {
      return [{ ...option, value: Math.min(option.value, senderMss) }];
    }
    return [option];
  });
  const optionLength = Math.ceil(packet.options.flatMap(optionBytes).length / 4) * 4;
  return {
    ...packet,
    from: from.address,
    fromPort: from.port,
    to: to.address,
    toPort: to.port,
    seq: add(packet.seq, ahead),
    ack: hasAck ? add(packet.ack, -back) : packet.ack,
    window,
    options,
    ttl: packet.ttl - 1,
    flowLabel: 0,
    gsoSize:
      packet.gsoType === virtio.GSO_NONE
        ? packet.gsoSize
        : Math.min(packet.gsoSize, receiverMss - optionLength),
  };
}

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const addresses = {
  4: fc.integer({ min: 1, max: 0xffff_ffff }).map(fromIpv4),
  6: fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .filter((bytes) => bytes.some((byte) => byte !== 0))
    .map((bytes) => fromIpv6(String.fromCharCode(...bytes))),
};
const port = fc.integer({ min: 1, max: 0xffff });
const scale = fc.integer({ min: 0, max: 14 });
const mss = fc.integer({ min: 48, max: 0xffff });
/** Numbers near the wrap as often as others. */
export const sequence = fc.oneof(
  uint32,
  fc.integer({ min: -2_000, max: 2_000 }).map((near) => near >>> 0),
);

const arbitraryRecordOf = (address: fc.Arbitrary<Address>): fc.Arbitrary<SpliceRecord> =>
  fc
    .record({
      client: address,
      clientPort: port,
      virtual: address,
      virtualPort: port,
      source: address,
      sourcePort: port,
      backend: address,
      backendPort: port,
      seqShiftToBackend: sequence,
      seqShiftToClient: sequence,
      timestamps: fc.boolean(),
      a: sequence,
      b: sequence,
      clientScale: scale,
      scaleToClient: scale,
      scaleToBackend: scale,
      backendScale: scale,
      clientSack: fc.boolean(),
      backendSack: fc.boolean(),
      clientMss: mss,
      backendMss: mss,
      epoch: uint32,
      home: fc.integer({ min: 0, max: 255 }),
      service: fc.integer({ min: 0, max: 0xffff }),
      recovery: fc.integer({ min: 0, max: 2 }),
    })
    .filter(
      (r) => r.client !== r.backend || r.virtual !== r.source || r.clientPort !== r.backendPort,
    )
    .map(
      ({
        client,
        clientPort,
        virtual,
        virtualPort,
        source,
        sourcePort,
        backend,
        backendPort,
        a,
        b,
        ...rest
      }) => ({
        ...rest,
        client: { address: client, port: clientPort },
        virtual: { address: virtual, port: virtualPort },
        source: { address: source, port: sourcePort },
        backend: { address: backend, port: backendPort },
        timestampShiftToBackend: rest.timestamps ? a : 0,
        timestampShiftToClient: rest.timestamps ? b : 0,
      }),
    );

export const arbitraryIpv4Record = arbitraryRecordOf(addresses[4]);
export const arbitraryIpv6Record = arbitraryRecordOf(addresses[6]);
/** A record of either family. */
export const arbitraryRecord = fc.oneof(arbitraryIpv4Record, arbitraryIpv6Record);

const arbitraryOption: fc.Arbitrary<Option> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Option>({ kind: 'nop' }) },
  fc.constant<Option>({ kind: 'end' }),
  fc.constant<Option>({ kind: 'sackPermitted' }),
  fc.integer({ min: 0, max: 0xffff }).map((value): Option => ({ kind: 'mss', value })),
  scale.map((value): Option => ({ kind: 'scale', value })),
  {
    weight: 3,
    arbitrary: fc
      .tuple(sequence, sequence)
      .map(([value, echo]): Option => ({ kind: 'timestamps', value, echo })),
  },
  {
    weight: 3,
    arbitrary: fc
      .integer({ min: 1, max: 4 })
      .chain((blocks) => fc.array(sequence, { minLength: 2 * blocks, maxLength: 2 * blocks }))
      .map((edges): Option => ({ kind: 'sack', edges })),
  },
  fc
    .array(fc.integer({ min: 0, max: 255 }), { maxLength: 5 })
    .map((bytes): Option => ({ kind: 'unknown', bytes })),
);

/** As many of the options as fit into 40 bytes. */
function fitting(options: readonly Option[]): Option[] {
  let length = 0;
  return options.filter((option) => {
    const needed = optionBytes(option).length;
    if (length + needed > 40) return false;
    length += needed;
    return true;
  });
}

/** Any packet that comes in on one way of a record. */
export const arbitraryPacket = (record: SpliceRecord, toBackend: boolean): fc.Arbitrary<Packet> => {
  const [from, to] = toBackend ? [record.client, record.virtual] : [record.backend, record.source];
  const isIpv6 = typeof from.address === 'string';
  const unit = isIpv6 ? 8 : 4;
  const train = isIpv6 ? virtio.GSO_TCPV6 : virtio.GSO_TCPV4;
  return fc.record({
    from: fc.constant(from.address),
    fromPort: fc.constant(from.port),
    to: fc.constant(to.address),
    toPort: fc.constant(to.port),
    flowLabel: fc.integer({ min: 0, max: isIpv6 ? 0xf_ffff : 0 }),
    // Nor is the reset that denies a connection.
    seq: toBackend ? sequence.filter((seq) => seq !== record.seqShiftToClient) : sequence,
    ack: sequence,
    // A client's SYN is never translated.
    flags: fc
      .integer({ min: 0, max: 255 })
      .map((flags) => (toBackend && (flags & tcp.SYN) !== 0 ? flags | tcp.ACK : flags)),
    window: fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 1, 2, 0xfffe, 0xffff)),
    options: fc.array(arbitraryOption, { maxLength: 14 }).map(fitting),
    payload: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }),
    ttl: fc.integer({ min: 2, max: 255 }),
    ipOptions: fc
      .integer({ min: 0, max: 40 / unit })
      .map((count) => count * unit)
      .chain((length) =>
        fc.array(fc.integer({ min: 0, max: 255 }), { minLength: length, maxLength: length }),
      ),
    partial: fc.boolean(),
    gsoType: fc.constantFrom(virtio.GSO_NONE, train, train | virtio.GSO_ECN),
    gsoSize: fc.integer({ min: 1, max: 0xffff }),
  });
};

/** True if both checksums of a frame that is not partial hold. */
export function isIntact(frame: Frame): boolean {
  const { view } = frame;
  if (view.getUint8(NETWORK_AT) >> 4 === 6) {
    // A destination options header is all that stands before a segment here.
    const first = NETWORK_AT + ipv6.IPV6_LENGTH;
    const hasOptions = ipv6.nextHeader(view, NETWORK_AT) !== 6;
    const segment = first + (hasOptions ? 8 * (view.getUint8(first + 1) + 1) : 0);
    const last = first + ipv6.payloadLength(view, NETWORK_AT);
    const sum = ipv6.pseudoHeaderSum(view, NETWORK_AT, 6, last - segment);
    return complement(sumBytes(view, segment, last, sum)) === 0;
  }
  const length = ipv4.headerLength(view, NETWORK_AT, frame.end);
  const end = NETWORK_AT + ipv4.totalLength(view, NETWORK_AT);
  const at = NETWORK_AT + length;
  const from = ipv4.source(view, NETWORK_AT);
  const to = ipv4.destination(view, NETWORK_AT);
  const pseudo = ipv4.pseudoHeaderSum(from, to, 6, end - at);
  return (
    ipv4.isIntact(view, NETWORK_AT, length) && complement(sumBytes(view, at, end, pseudo)) === 0
  );
}
