import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { parsePrefix } from '../../src/ip/address.ts';
import { MemoryLink } from '../../src/link/memory.ts';
import { CaptureLink } from '../../src/link/pcapng.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { address } from '../sim/hosts.ts';

const LEFT = address('10.0.0.1');
const RIGHT = address('10.0.0.2');

/** Two hosts that greet each other; what the left one sees, as pcapng. */
function conversation(options: { snapLength?: number; length: number }): Uint8Array {
  const clock = new VirtualClock(2_000_000.25, 1_700_000_000);
  const chunks: Uint8Array[] = [];
  const [a, b] = MemoryLink.pair();
  const link = new CaptureLink(a, (bytes) => chunks.push(bytes.slice()), { clock, ...options });
  const make = (own: typeof LEFT, at: MemoryLink | CaptureLink, mac: number) => {
    const host = new Host({ link: at, mac, clock, random: seededRandom(mac) });
    host.ip.addAddress(own);
    const prefix = parsePrefix('10.0.0.0/24');
    if (prefix !== undefined) host.ip.addRoute({ prefix });
    return host;
  };
  const left = make(LEFT, link, 0x0200_0000_0001);
  const right = make(RIGHT, b, 0x0200_0000_0002);
  right.tcp.listen({
    local: { address: RIGHT, port: 80 },
    accept: () => ({ onEnd: (connection) => connection.end() }),
  });
  const connection = left.tcp.connect({
    local: LEFT,
    localPort: 4_000,
    remote: { address: RIGHT, port: 80 },
    handler: { onConnect: (opened) => opened.end() },
  });
  connection.write(new Uint8Array(options.length).fill(65));
  for (let i = 0; i < 20; i++) {
    left.breath();
    right.breath();
    clock.advanceTo(clock.now() + 1_000);
  }
  expect(connection.state).toBe('time-wait');
  return Buffer.concat(chunks);
}

test('every block says its length twice, and padding is zero', () => {
  const bytes = conversation({ length: 5 });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const types: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = view.getUint32(at + 4, true);
    expect(length % 4).toBe(0);
    expect(view.getUint32(at + length - 4, true)).toBe(length);
    types.push(view.getUint32(at, true));
    at += length;
  }
  expect(at).toBe(bytes.length);
  expect(types.slice(0, 3)).toEqual([0x0a0d0d0a, 1, 6]);
});

let tshark = true;
try {
  execFileSync('tshark', ['-v'], { stdio: 'pipe' });
} catch {
  tshark = false;
  console.warn('skipped: tshark is not installed, so that nobody reads the captures');
}

/** The given fields of each packet, as tshark sees them. */
function dissect(bytes: Uint8Array, ...fields: string[]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), 'suture-pcapng-'));
  try {
    const file = join(folder, 'capture.pcapng');
    writeFileSync(file, bytes);
    const args = ['-r', file, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
    const output = execFileSync('tshark', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return output
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.skipIf(!tshark)('tshark reads frames, addresses, times and directions', () => {
  const bytes = conversation({ length: 5 });
  const packets = dissect(
    bytes,
    'frame.time_epoch',
    'frame.packet_flags_direction',
    'ip.src',
    'tcp.flags.str',
    'tcp.len',
    'frame.interface_name',
  );
  const direction = (hex: string): number => Number.parseInt(hex, 16);
  expect(packets[0]).toMatchObject([
    expect.stringMatching(/^1700000002\.0000000*$|^1700000002\.000000000$/),
    expect.anything(),
    '',
    '',
    '',
    'suture',
  ]);
  const tcp = packets.filter(([, , source]) => source !== '');
  const outgoing = tcp.filter(([, , source]) => source === '10.0.0.1');
  const incoming = tcp.filter(([, , source]) => source === '10.0.0.2');
  expect(outgoing.length).toBeGreaterThanOrEqual(3);
  expect(incoming.length).toBeGreaterThanOrEqual(2);
  expect(new Set(outgoing.map(([, flags]) => direction(flags)))).toEqual(new Set([2]));
  expect(new Set(incoming.map(([, flags]) => direction(flags)))).toEqual(new Set([1]));
  expect(tcp.some(([, , , , length]) => length === '5')).toBe(true);
});

test.skipIf(!tshark)('a train is one packet, and the snap length cuts it', () => {
  const whole = dissect(conversation({ length: 14_000 }), 'tcp.len', 'frame.cap_len');
  expect(whole.some(([length]) => Number(length) > 5_000)).toBe(true);
  const cut = dissect(
    conversation({ length: 14_000, snapLength: 100 }),
    'frame.len',
    'frame.cap_len',
  );
  expect(cut.some(([length]) => Number(length) > 5_000)).toBe(true);
  expect(Math.max(...cut.map(([, captured]) => Number(captured)))).toBe(100);
});
