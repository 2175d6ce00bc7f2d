// IPv6 as attackers send it: lying lengths, chains of headers, impossible sources, fragments that overlap.
import { expect, test } from 'vitest';
import { NEVER } from '../../src/env/clock.ts';
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import type { Frame } from '../../src/link/frame.ts';
import { MemoryLink } from '../../src/link/memory.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';
import { frameOfPacket, OUR_MAC, PEER_MAC } from '../fuzz/frames.ts';
import { repair } from '../fuzz/mutation.ts';
import { split } from '../fuzz/split.ts';
import { hostAddress } from '../sim/hosts.ts';

const US = 'fd000000000000000000000000000001';
const PEER = 'fd000000000000000000000000000002';
const SYN = '13880050000000010000000060020400000000000204'.concat('05b4');

/** A host that listens, and the link's other end. */
class Victim {
  readonly clock = new VirtualClock();
  readonly far: MemoryLink;
  readonly host: Host;

  constructor() {
    const [near, far] = MemoryLink.pair({ offload: false });
    this.far = far;
    const { clock } = this;
    this.host = new Host({ link: near, mac: OUR_MAC, clock, random: seededRandom(1) });
    const local = hostAddress(1, 6);
    const prefix = parsePrefix('fd00::/64');
    this.host.ip.addAddress(local);
    if (prefix !== undefined) this.host.ip.addRoute({ prefix });
    this.host.ip.neighbours.learn(hostAddress(2, 6), PEER_MAC, true, 0);
    this.host.tcp.listen({ local: { address: local, port: 80 }, accept: () => ({}) });
  }

  hear(frame: Frame): this {
    this.far.send(frame);
    this.host.breath();
    return this;
  }

  /** Frames that it has sent. */
  get sent(): number {
    return this.far.pending;
  }

  get connections(): number {
    return this.host.tcp.connectionCount;
  }

  /** Lets an hour pass, in which it must come to rest. */
  rest(): void {
    for (let step = 0; step < 1_000 && this.host.nextAt !== NEVER; step++) {
      this.clock.advanceTo(this.host.nextAt);
      this.host.breath();
    }
    expect(this.host.timers.armed).toBe(0);
    expect(this.host.ip.input.reassembler.held).toEqual({ bytes: 0, datagrams: 0 });
  }
}

/** A packet whose extension headers come before a SYN; its lengths and checksum are right. */
function packet(extensionsHex = '', first = 6, source = PEER, payload = SYN): Frame {
  const length = (extensionsHex.length + payload.length) / 2;
  const header = `60000000${length.toString(16).padStart(4, '0')}${first.toString(16).padStart(2, '0')}40`;
  const frame = frameOfPacket(Buffer.from(header + source + US + extensionsHex + payload, 'hex'));
  if (extensionsHex === '') repair(frame);
  else {
    // The checksum is over the segment alone, wherever it lies.
    const plain = packet('', 6, source, payload);
    const at = NETWORK_AT + 40;
    frame.bytes.set(plain.bytes.subarray(at, plain.end), at + extensionsHex.length / 2);
  }
  return frame;
}

test('a SYN opens a connection, also behind headers that mean nothing', () => {
  expect(new Victim().hear(packet()).connections).toBe(1);
  expect(new Victim().hear(packet('0600010400000000', 60)).connections).toBe(1);
  expect(new Victim().hear(packet('3c000104000000000600010400000000', 0)).connections).toBe(1);
  // An atomic fragment (RFC 6946).
  expect(new Victim().hear(packet('0600000000000001', 44)).connections).toBe(1);
});

test('a packet cut anywhere opens none', () => {
  for (const whole of [packet(), packet('0600010400000000', 60)]) {
    const victim = new Victim();
    const { end } = whole;
    for (let length = ETHERNET_AT; length < end; length++) {
      whole.end = length;
      victim.hear(whole);
    }
    expect(victim.connections).toBe(0);
    victim.rest();
  }
});

test.each([0, 1, 19, 20, 25, 65_535])(
  'a payload length of %i that is not true opens none',
  (lie) => {
    const victim = new Victim();
    const frame = packet();
    frame.view.setUint16(NETWORK_AT + 4, lie);
    victim.hear(frame);
    expect(victim.connections).toBe(0);
    victim.rest();
  },
);

test.each([
  ['our own address (LAND)', US],
  ['nobody', '0'.repeat(32)],
  ['the loop', `${'0'.repeat(31)}1`],
  ['a group', 'ff020000000000000000000000000001'],
  ['an IPv4 address in disguise', '00000000000000000000ffff0a000001'],
])('a SYN from %s opens none and is not answered', (_, source) => {
  const victim = new Victim().hear(packet('', 6, source));
  expect(victim.connections).toBe(0);
  expect(victim.sent).toBe(0);
});

test.each([1, 8, 50, 120, 170])('a chain of %i headers costs one look', (count) => {
  const next = (index: number): string => (index === count - 1 ? '06' : '3c');
  const chain = Array.from({ length: count }, (_, i) => `${next(i)}00010400000000`).join('');
  const victim = new Victim().hear(packet(chain, 60));
  expect(victim.connections).toBeLessThanOrEqual(1);
  expect(victim.sent).toBeLessThanOrEqual(1);
  victim.rest();
});

test.each([
  ['a header that is longer than the packet', '06ff010400000000', 60],
  ['an option that is longer than its header', '0600ff0801020304', 60],
  ['an option of length 0 without end', '0600010001000100', 60],
  ['an unknown option that asks for discard', '0600410400000000', 60],
  ['an unknown option that asks for an error', '0600810400000000', 60],
  ['hop-by-hop options behind others', '00000104000000000600010400000000', 60],
  ['a routing header of type 0 (RFC 5095)', '0600000100000000', 43],
  ['an unknown next header', '0600010400000000', 253],
  ['nothing behind it', '3b00010400000000', 60],
  ['a fragment header that names itself', '2c00000100000001', 44],
] as const)('%s is survived', (_, headers, first) => {
  const victim = new Victim().hear(packet(headers, first));
  expect(victim.connections).toBeLessThanOrEqual(1);
  expect(victim.sent).toBeLessThanOrEqual(1);
  victim.rest();
});

test('fragments in any order are whole; those that overlap never are (RFC 5722)', () => {
  const long = () => packet('', 6, PEER, SYN + 'aa'.repeat(100));
  const forward = new Victim();
  for (const piece of split(long(), 32)) forward.hear(piece);
  expect(forward.connections).toBe(1);
  const backward = new Victim();
  for (const piece of split(long(), 32).reverse()) backward.hear(piece);
  expect(backward.connections).toBe(1);
  const overlapping = new Victim();
  for (const piece of split(long(), 32, 8)) overlapping.hear(piece);
  expect(overlapping.connections).toBe(0);
  overlapping.rest();
});

test('a first fragment too small for the headers opens no connection (RFC 7112)', () => {
  const victim = new Victim();
  for (const piece of split(packet(), 8)) victim.hear(piece);
  expect(victim.connections).toBe(0);
  victim.rest();
});

test('fragments without end from everywhere are bounded', () => {
  const victim = new Victim();
  const [first] = split(packet(), 8);
  for (let i = 0; i < 5_000; i++) {
    first.view.setUint32(NETWORK_AT + 20, i);
    first.view.setUint32(NETWORK_AT + 44, i);
    victim.hear(first);
  }
  const { bytes, datagrams } = victim.host.ip.input.reassembler.held;
  expect(bytes).toBeLessThanOrEqual(4 * 1_048_576 + 70_000);
  expect(datagrams).toBeLessThanOrEqual(1_100);
  victim.rest();
});
