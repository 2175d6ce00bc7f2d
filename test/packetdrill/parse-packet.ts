// Packets in a script: `> P. 1:1001(1000) ack 1 win 257 <nop,nop,TS val 100 ecr 200>`.
import * as tcp from '../../src/wire/tcp.ts';
import type { Scanner } from './scanner.ts';
import type { Direction, IcmpSpec, IpSpec, OptionSpec, TcpSpec } from './script.ts';
import { Unsupported } from './verdict.ts';

const FLAG_BITS: Readonly<Record<string, number>> = {
  F: tcp.FIN,
  S: tcp.SYN,
  R: tcp.RST,
  P: tcp.PSH,
  '.': tcp.ACK,
  U: tcp.URG,
  E: tcp.ECE,
  W: tcp.CWR,
};
const ECN = ['noecn', 'ect0', 'ect1', 'ect01', 'ce'] as const;
const OTHER_PROTOCOLS = ['udp', 'udplite', 'sctp', 'gre', 'mpls', 'ipv4', 'ipv6'];

export function parsePacket(scanner: Scanner, direction: Direction): TcpSpec | IcmpSpec {
  const { line } = scanner;
  const ip = parseIp(scanner);
  const word = scanner.peekName();
  if (word === 'icmp' || word === 'icmpv4' || word === 'icmpv6') {
    scanner.takeName();
    return parseIcmp(scanner, direction, ip);
  }
  if (word !== undefined && OTHER_PROTOCOLS.includes(word)) {
    throw new Unsupported(line, `${word} packets`);
  }
  return parseTcp(scanner, direction, ip);
}

/** `(tos 0x28, ttl 3)`, `[ect0]` and their like. */
function parseIp(scanner: Scanner): IpSpec {
  let ip: IpSpec = {};
  while (scanner.sees('(') || scanner.sees('[')) {
    const close = scanner.take('(') ? ')' : ']';
    if (close === ']') scanner.expect('[');
    while (!scanner.take(close)) {
      scanner.take(',');
      const name = scanner.name('a field of the IP header');
      const ecn = ECN.find((each) => each === name);
      if (ecn !== undefined) ip = { ...ip, ecn };
      else if (name === 'tos' || name === 'tclass') {
        ip = { ...ip, trafficClass: scanner.integer('a traffic class') };
      } else if (name === 'ttl' || name === 'hlim') {
        ip = { ...ip, timeToLive: scanner.integer('a time to live') };
      } else if (name === 'flowlabel') ip = { ...ip, flowLabel: scanner.integer('a flow label') };
      else throw new Unsupported(scanner.line, `${name} of the IP header`);
    }
  }
  return ip;
}

function parseTcp(scanner: Scanner, direction: Direction, ip: IpSpec): TcpSpec {
  const { line } = scanner;
  const letters = scanner.flags() ?? scanner.fail('the flags of a packet');
  let flags = 0;
  for (const letter of letters) {
    if (letter === '-') continue;
    const bit = FLAG_BITS[letter];
    if (bit === undefined) throw new Unsupported(line, `flag ${letter} (accurate ECN)`);
    flags |= bit;
  }
  const { seq, length } = parseSequence(scanner);
  const absolute = scanner.take('!');
  // FreeBSD scripts repeat the acknowledgment number where the flag is missing; it goes on the wire.
  const ack = scanner.takeWord('ack')
    ? parseNumber(scanner, 'an acknowledgment number')
    : undefined;
  scanner.take('!');
  const window = scanner.takeWord('win') ? parseNumber(scanner, 'a window') : undefined;
  const urgent = scanner.takeWord('urg') ? scanner.integer('an urgent pointer') : undefined;
  const options = parseOptions(scanner);
  return { kind: 'tcp', direction, ip, flags, seq, absolute, length, ack, window, urgent, options };
}

function parseSequence(scanner: Scanner): { seq: number | undefined; length: number } {
  if (scanner.take('...')) return { seq: undefined, length: parseLength(scanner) };
  const seq = scanner.integer('a sequence number');
  scanner.expect(':');
  const end = scanner.integer('the sequence number behind the payload');
  const length = parseLength(scanner);
  if ((seq + length) >>> 0 !== end >>> 0) scanner.fail(`${seq}:${seq + length}(${length}) before`);
  return { seq: seq >>> 0, length };
}

function parseLength(scanner: Scanner): number {
  scanner.expect('(');
  const length = scanner.integer('the length of the payload');
  scanner.expect(')');
  if (length < 0 || length > 65_535) scanner.fail('a payload of at most 65535 bytes before');
  return length;
}

/** A number, or `...` for one that does not matter. */
function parseNumber(scanner: Scanner, expected: string): number | undefined {
  return scanner.take('...') ? undefined : scanner.integer(expected);
}

function parseOptions(scanner: Scanner): readonly OptionSpec[] | 'any' {
  if (!scanner.sees('<')) return [];
  scanner.expect('<');
  if (scanner.take('...')) {
    scanner.expect('>');
    return 'any';
  }
  const options: OptionSpec[] = [];
  while (!scanner.take('>')) {
    if (options.length > 0) scanner.expect(',');
    options.push(parseOption(scanner));
  }
  return options;
}

function parseOption(scanner: Scanner): OptionSpec {
  const { line } = scanner;
  const name = scanner.name('a TCP option');
  switch (name) {
    case 'mss':
      return { kind: 'mss', value: parseNumber(scanner, 'a segment size') };
    case 'wscale':
      return { kind: 'wscale', shift: parseNumber(scanner, 'a shift') };
    case 'sackOK':
    case 'nop':
    case 'eol':
      return { kind: name };
    case 'sack':
      return { kind: 'sack', blocks: parseBlocks(scanner) };
    case 'TS': {
      if (!scanner.takeWord('val')) scanner.fail('"val"');
      const value = parseNumber(scanner, 'a timestamp');
      if (!scanner.takeWord('ecr')) scanner.fail('"ecr"');
      return { kind: 'timestamps', value, echo: parseNumber(scanner, 'a timestamp') };
    }
    default:
      throw new Unsupported(line, `TCP option ${name}`);
  }
}

function parseBlocks(scanner: Scanner): [number, number][] {
  const blocks: [number, number][] = [];
  do {
    const left = scanner.integer('the left edge of a block');
    scanner.expect(':');
    blocks.push([left >>> 0, scanner.integer('the right edge of a block') >>> 0]);
  } while (/^\d/.test(scanner.rest));
  return blocks;
}

function parseIcmp(scanner: Scanner, direction: Direction, ip: IpSpec): IcmpSpec {
  const type = scanner.name('the type of an ICMP message');
  const code = scanner.peekName() === 'mtu' || scanner.sees('[') ? undefined : scanner.takeName();
  const mtu = scanner.takeWord('mtu') ? scanner.integer('an MTU') : undefined;
  let quoted: IcmpSpec['quoted'];
  if (scanner.take('[')) {
    const { seq = 0, length } = parseSequence(scanner);
    quoted = { seq, length };
    scanner.expect(']');
  }
  return { kind: 'icmp', direction, ip, type, code, mtu, quoted };
}
