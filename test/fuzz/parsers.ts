// Everything that reads what strangers send, fed with bytes that are nearly right.
import { NEVER } from '../../src/env/clock.ts';
import { below, chance, type Random, seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import { Channel } from '../../src/link/channel.ts';
import { Frame } from '../../src/link/frame.ts';
import { MemoryLink } from '../../src/link/memory.ts';
import { segment } from '../../src/link/segmentation.ts';
import { isHeadError, parseRequestHead } from '../../src/proxy/request-head.ts';
import { Datagram } from '../../src/replication/datagram.ts';
import * as envelope from '../../src/replication/envelope.ts';
import * as messages from '../../src/replication/messages.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { TcpStack } from '../../src/tcp/stack.ts';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { Options, readOptions } from '../../src/wire/tcp-options.ts';
import * as udp from '../../src/wire/udp.ts';
import { hostAddress } from '../sim/hosts.ts';
import { frameOfPacket, OUR_MAC } from './frames.ts';
import { repair } from './mutation.ts';
import { FLOW_SEEDS, RECORD_SEEDS, readRecord, splice } from './splice-parsers.ts';

/** Bytes for one parser. */
export interface ParserCase {
  readonly kind: 'parser';
  readonly parser: string;
  readonly hex: string;
}

/** Reads `bytes`; throws if anything is not as it must be. */
type Parser = (bytes: Uint8Array) => void;

const must = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what);
};

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** A host that hears `frame`, and then for an hour nothing more. */
function hear(frame: Frame, repaired: boolean): void {
  if (repaired) repair(frame);
  const clock = new VirtualClock();
  const [near, far] = MemoryLink.pair({ offload: false });
  const host = new Host({ link: near, mac: OUR_MAC, clock, random: seededRandom(1) });
  for (const [family, prefix] of [
    [4, '10.0.0.0/24'],
    [6, 'fd00::/64'],
  ] as const) {
    const local = hostAddress(1, family);
    const parsed = parsePrefix(prefix);
    host.ip.addAddress(local);
    if (parsed !== undefined) host.ip.addRoute({ prefix: parsed });
    host.tcp.listen({ local: { address: local, port: 80 }, accept: () => ({}) });
  }
  far.send(frame);
  host.breath();
  let sent = 0;
  const drained = new Frame();
  for (let step = 0; step < 2_000 && host.nextAt !== NEVER; step++) {
    if (host.nextAt > 3_600_000_000) return;
    clock.advanceTo(host.nextAt);
    host.breath();
    while (far.receive(drained)) sent++;
    must(sent < 200, 'one frame brings about a storm');
  }
  must(host.nextAt === NEVER, 'one frame keeps a host busy for ever');
  must(host.tcp instanceof TcpStack && host.tcp.connectionCount <= 1, 'too many connections');
}

export const parsers: Readonly<Record<string, Parser>> = {
  'tcp options': (bytes) => {
    const options = new Options();
    readOptions(viewOf(bytes), 0, bytes.length, options);
    must(options.windowScale >= -1 && options.windowScale <= 14, 'a scale out of bounds');
    must(options.sackBlocks >= 0 && options.sackBlocks <= 4, 'too many SACK blocks');
  },
  headers: (bytes) => {
    const view = viewOf(bytes);
    const { length } = bytes;
    const inside = (header: number, least: number): void =>
      must(header === -1 || (header >= least && header <= length), 'a header reaches out');
    inside(tcp.headerLength(view, 0, length), 20);
    inside(ipv4.headerLength(view, 0, length), 20);
    if (udp.isValid(view, 0, length)) must(udp.length(view, 0) <= length, 'UDP reaches out');
    if (arp.isValid(view, 0, length)) must(length >= arp.ARP_LENGTH, 'ARP reaches out');
    icmp.isIntact(view, 0, length);
  },
  segmentation: (bytes) => {
    const frame = new Frame(bytes.length + 8);
    frame.bytes.set(bytes);
    frame.end = bytes.length;
    let pieces = 0;
    let total = 0;
    segment(frame, new Frame(frame.end + 8), (piece) => {
      pieces++;
      total += piece.end;
    });
    must(pieces <= 65_536 && total <= 65_536 * 80, 'more comes out than went in');
  },
  channel: (bytes) => {
    const conditions = { corruption: 0.5, duplication: 0.5, marking: 1 };
    const channel = new Channel(seededRandom(1), conditions);
    channel.offer(frameOfPacket(bytes), 0, () => {});
  },
  host: (bytes) => hear(frameOfPacket(bytes), false),
  'host, checksums repaired': (bytes) => hear(frameOfPacket(bytes), true),
  'host, ARP': (bytes) => hear(frameOfPacket(bytes, ethernet.TYPE_ARP), false),
  'replication messages': (bytes) => {
    for (const numbered of [false, true]) {
      const datagram = new Datagram();
      const body = bytes.subarray(0, envelope.MAX_BODY);
      datagram.bytes.set(body, envelope.BODY_AT);
      datagram.end = envelope.BODY_AT + body.length;
      const { view, end } = datagram;
      if (!messages.isValidBody(view, envelope.BODY_AT, end, numbered)) continue;
      let at = envelope.BODY_AT;
      while (at < end) {
        const type = messages.messageType(view, at);
        if (type === messages.HEARTBEAT) messages.heartbeatMembers(view, at);
        if (type === messages.HEAD) {
          must(
            messages.headBytesAt(view, at) <= messages.messageEnd(view, at),
            'a head reaches out',
          );
        }
        at = messages.messageEnd(view, at);
      }
      must(at === end, 'a message reaches past the datagram');
    }
  },
  'splice record': readRecord,
  splicer: splice,
  'request head': (bytes) => {
    const result = parseRequestHead(bytes, bytes.length, { maxHeadBytes: 16_384 });
    if (result === 'incomplete' || isHeadError(result)) return;
    must(result.headLength <= bytes.length, 'a head reaches out');
  },
};

/** Beginnings that get far: of packets, messages and requests. */
const SEEDS: Readonly<Record<string, readonly string[]>> = {
  'tcp options': ['020405b40402080a000000010000000001030307', '0101050a0000000100000002'],
  headers: ['4500002800014000400600000a0000020a000001', '0001080006040001020000000002'],
  segmentation: [
    '01013600b40522001000020000000001020000000002080045000100000140004006000000000a0000020a00000113880050000000010000000250100400000000',
  ],
  channel: ['450200280001400040060000'],
  host: [],
  'replication messages': ['0100060000000100000110004000', '1200200000000000'],
  'splice record': RECORD_SEEDS,
  splicer: FLOW_SEEDS,
  'request head': [
    Buffer.from('GET /a?b HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\n').toString(
      'hex',
    ),
  ],
};
const PACKETS = [
  // SYN, ACK and data to port 80; UDP to port 9; echo; unreachable; a fragment.
  '4500002c00014000400600000a0000020a00000113880050000000010000000060020400000000000204 05b4',
  '4500003000014000400600000a0000020a000001138800500000000200000001501804000000000061626364 65666768',
  '4500002400014000401100000a0000020a00000113880009001000006162636465666768',
  '4500002400014000400100000a0000020a0000010800000000010001616263646566',
  '4500003800014000400100000a0000020a00000103030000000000004500002800014000400600000a0000010a0000020050138800000001',
  '4500002c00012000400600000a0000020a00000113880050000000010000000060020400000000000204 05b4',
  // ARP.
  '00010800060400010200000000020a0000020000000000000a000001',
  // SYN over IPv6, behind a hop-by-hop header, a fragment; echo; neighbour solicitation; router advertisement.
  '60000000001806 40fd000000000000000000000000000002fd00000000000000000000000000000113880050000000010000000060020400000000000204 05b4',
  '60000000002000 40fd000000000000000000000000000002fd0000000000000000000000000000010600010400000000138800500000000100000000600204000000000002040 5b4',
  '6000000000202c 40fd000000000000000000000000000002fd0000000000000000000000000000010600000100000001138800500000000100000000600204000000000002040 5b4',
  '60000000000c3a 40fd000000000000000000000000000002fd0000000000000000000000000000018000000000010001 61626364',
  '6000000000203a fffd000000000000000000000000000002ff0200000000000000000001ff0000018700000000000000fd0000000000000000000000000000010101020000000002',
  '6000000000103a fffe800000000000000000000000000002ff0200000000000000000000000000018600000040000708 0000000000000000',
].map((hex) => hex.replaceAll(' ', ''));

/** Bytes for `parser` that `random` makes up. */
export function drawParserCase(random: Random): ParserCase {
  const names = Object.keys(parsers);
  const parser = names[below(random, names.length)];
  const own = SEEDS[parser] ?? [];
  const pool = parser.startsWith('host') || own.length === 0 ? PACKETS : own;
  let bytes = chance(random, 0.9)
    ? Buffer.from(pool[below(random, pool.length)], 'hex')
    : Buffer.alloc(below(random, 100));
  const changes = 1 + below(random, 6);
  for (let i = 0; i < changes; i++) bytes = change(bytes, random);
  return { kind: 'parser', parser, hex: bytes.toString('hex') };
}

function change(bytes: Buffer<ArrayBuffer>, random: Random): Buffer<ArrayBuffer> {
  const at = below(random, Math.max(1, bytes.length));
  switch (below(random, 6)) {
    case 0:
      return Buffer.concat([bytes, Buffer.alloc(1 + below(random, 300), random.uint32() & 0xff)]);
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(below(random, at + 1))]);
    default: {
      const copy = Buffer.from(bytes);
      if (copy.length > 0) {
        copy[at] = chance(random, 0.4)
          ? [0, 1, 0x7f, 0x80, 0xff][below(random, 5)]
          : random.uint32();
      }
      return copy;
    }
  }
}

/** @throws Error when the parser does not stand the bytes */
export function runParser({ parser, hex }: ParserCase): void {
  const parse = parsers[parser];
  if (parse === undefined) throw new Error(`there is no parser ${parser}`);
  parse(Buffer.from(hex, 'hex'));
}
