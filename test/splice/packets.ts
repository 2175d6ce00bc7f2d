// Packets made from scratch, with checksums computed in full: what the rewrite must arrive at by increments.
import fc from 'fast-check';
import { fromIpv4, toIpv4 } from '../../src/ip/address.ts';
import { Frame } from '../../src/link/frame.ts';
import { RECOVERY_NONE, type SpliceRecord } from '../../src/splice/record.ts';
import { complement, fold, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
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
  from: number;
  fromPort: number;
  to: number;
  toPort: number;
  seq: number;
  ack: number;
  flags: number;
  window: number;
  options: readonly Option[];
  payload: readonly number[];
  ttl: number;
  /** Bytes of IP options, a multiple of 4. */
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
export const tcpAt = (packet: Packet): number => NETWORK_AT + 20 + packet.ipOptions.length;

/** Makes the frame of a packet, all its checksums computed from scratch. */
export function frameOf(packet: Packet, into = new Frame(4_096)): Frame {
  const { view, bytes } = into;
  bytes.fill(0);
  const options = packet.options.flatMap(optionBytes);
  while (options.length % 4 !== 0) options.push(0);
  const ipLength = 20 + packet.ipOptions.length;
  const headerLength = 20 + options.length;
  const at = NETWORK_AT + ipLength;
  const total = ipLength + headerLength + packet.payload.length;
  into.end = NETWORK_AT + total;
  view.setUint16(ETHERNET_AT + 12, ethernet.TYPE_IPV4);
  ipv4.write(view, NETWORK_AT, total, 7, ipv4.DONT_FRAGMENT, packet.ttl, 6, packet.from, packet.to);
  view.setUint8(NETWORK_AT, 0x40 | (ipLength / 4));
  bytes.set(packet.ipOptions, NETWORK_AT + 20);
  view.setUint16(NETWORK_AT + 10, 0);
  view.setUint16(NETWORK_AT + 10, complement(sumBytes(view, NETWORK_AT, at)));
  const { fromPort, toPort, seq, ack, flags, window } = packet;
  tcp.write(view, at, fromPort, toPort, seq, ack, headerLength, flags, window);
  bytes.set(options, at + 20);
  bytes.set(packet.payload, at + headerLength);
  const pseudo = ipv4.pseudoHeaderSum(packet.from, packet.to, 6, total - ipLength);
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
    from: toIpv4(from.address),
    fromPort: from.port,
    to: toIpv4(to.address),
    toPort: to.port,
    seq: add(packet.seq, ahead),
    ack: hasAck ? add(packet.ack, -back) : packet.ack,
    window,
    options,
    ttl: packet.ttl - 1,
    gsoSize:
      packet.gsoType === virtio.GSO_NONE
        ? packet.gsoSize
        : Math.min(packet.gsoSize, receiverMss - optionLength),
  };
}

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const address = fc.integer({ min: 1, max: 0xffff_ffff });
const port = fc.integer({ min: 1, max: 0xffff });
const scale = fc.integer({ min: 0, max: 14 });
const mss = fc.integer({ min: 48, max: 0xffff });
/** Numbers near the wrap as often as others. */
export const sequence = fc.oneof(
  uint32,
  fc.integer({ min: -2_000, max: 2_000 }).map((near) => near >>> 0),
);

export const arbitraryRecord: fc.Arbitrary<SpliceRecord> = fc
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
  .filter((r) => r.client !== r.backend || r.virtual !== r.source || r.clientPort !== r.backendPort)
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
      client: { address: fromIpv4(client), port: clientPort },
      virtual: { address: fromIpv4(virtual), port: virtualPort },
      source: { address: fromIpv4(source), port: sourcePort },
      backend: { address: fromIpv4(backend), port: backendPort },
      timestampShiftToBackend: rest.timestamps ? a : 0,
      timestampShiftToClient: rest.timestamps ? b : 0,
    }),
  );

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
  return fc.record({
    from: fc.constant(toIpv4(from.address)),
    fromPort: fc.constant(from.port),
    to: fc.constant(toIpv4(to.address)),
    toPort: fc.constant(to.port),
    seq: sequence,
    ack: sequence,
    flags: fc.integer({ min: 0, max: 255 }),
    window: fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(0, 1, 2, 0xfffe, 0xffff)),
    options: fc.array(arbitraryOption, { maxLength: 14 }).map(fitting),
    payload: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }),
    ttl: fc.integer({ min: 2, max: 255 }),
    ipOptions: fc
      .integer({ min: 0, max: 10 })
      .chain((words) =>
        fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4 * words, maxLength: 4 * words }),
      ),
    partial: fc.boolean(),
    gsoType: fc.constantFrom(virtio.GSO_NONE, virtio.GSO_TCPV4, virtio.GSO_TCPV4 | virtio.GSO_ECN),
    gsoSize: fc.integer({ min: 1, max: 0xffff }),
  });
};

/** True if both checksums of a frame that is not partial hold. */
export function isIntact(frame: Frame): boolean {
  const { view } = frame;
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
