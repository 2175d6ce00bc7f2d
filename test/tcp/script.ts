// Segments as tests write them, to frames and back. Sequence numbers are relative to the first byte of their
// stream; a handshake's initial numbers say where that is.
import { expect } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { complement, sumBytes } from '../../src/wire/checksum.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as wire from '../../src/wire/tcp-options.ts';
import * as virtio from '../../src/wire/virtio.ts';
import { address } from '../sim/hosts.ts';

export const OUR_MAC = 0x0200_0000_0001;
export const PEER_MAC = 0x0200_0000_0002;
export const OURS = { address: address('10.0.0.1'), port: 4_000 };
export const PEER = { address: address('10.0.0.2'), port: 5_000 };
const TRANSPORT = NETWORK_AT + ipv4.IPV4_LENGTH;

/** A segment as tests write it; what is absent is not compared, and has a default when it is sent. */
export interface Script {
  /** Letters of S, F, R, A, E, W, and P and U, which are not compared. */
  flags: string;
  /** The ECN field of the IP header. */
  ecn?: number;
  seq?: number;
  ack?: number;
  /** Payload bytes. */
  length?: number;
  data?: string;
  /** The window field. */
  window?: number;
  mss?: number;
  scale?: number;
  sackPermitted?: boolean;
  /** TSval and TSecr. */
  timestamps?: [number, number];
  sack?: [number, number][];
  fromPort?: number;
  toPort?: number;
}

export const SYN: Script = { flags: 'S', seq: -1 };
export const SYN_ACK: Script = { flags: 'SA', seq: -1, ack: 0 };
export const ACK: Script = { flags: 'A', length: 0 };
export const DATA: Script = { flags: 'A' };
export const FIN: Script = { flags: 'FA' };
export const RST: Script = { flags: 'R' };

/** Initial sequence numbers, ours and the peer's. */
export interface Numbers {
  iss: number;
  irs: number;
}

/** The peer's segment as a frame; `window` is its window field unless it names one itself. */
export function buildFrame(script: Script, { iss, irs }: Numbers, window: number): Frame {
  const { flags, data, length = data?.length ?? 0, timestamps } = script;
  const frame = new Frame();
  const { view } = frame;
  let at = TRANSPORT + tcp.TCP_LENGTH;
  if (script.mss !== undefined) at = wire.writeMss(view, at, script.mss);
  if (script.sackPermitted) at = wire.writeSackPermitted(view, at);
  if (timestamps !== undefined) at = wire.writeTimestamps(view, at, timestamps[0], timestamps[1]);
  if (script.scale !== undefined) at = wire.writeWindowScale(view, at, script.scale);
  if (script.sack !== undefined) {
    const edges = Uint32Array.from(script.sack.flat().map((edge) => iss + 1 + edge));
    at = wire.writeSack(view, at, edges, script.sack.length);
  }
  const bytes = data === undefined ? pattern(length, script.seq) : Buffer.from(data, 'latin1');
  frame.bytes.set(bytes, at);
  frame.end = at + bytes.length;
  const { fromPort = PEER.port, toPort = OURS.port } = script;
  const seq = irs + 1 + (script.seq ?? 0);
  const ack = flags.includes('A') ? iss + 1 + (script.ack ?? 0) : 0;
  const field = script.window ?? window;
  const header = at - TRANSPORT;
  tcp.write(view, TRANSPORT, fromPort, toPort, seq, ack, header, encodeFlags(flags), field);
  finishFrame(frame, script.ecn ?? 0);
  return frame;
}

/** What a frame of ours says; its checksum must hold unless it is left to the device. */
export function parseFrame(
  { view, bytes, end }: Frame,
  { iss, irs }: Numbers,
  offload: boolean,
): Script {
  const at = TRANSPORT;
  const header = tcp.headerLength(view, at, end);
  expect(header).toBeGreaterThanOrEqual(20);
  if (!offload) {
    const from = ipv4.source(view, NETWORK_AT);
    const to = ipv4.destination(view, NETWORK_AT);
    const pseudo = ipv4.pseudoHeaderSum(from, to, ipv4.PROTOCOL_TCP, end - at);
    expect(complement(sumBytes(view, at, end, pseudo))).toBe(0);
  }
  const options = new wire.Options();
  wire.readOptions(view, at + tcp.TCP_LENGTH, at + header, options);
  const flags = decodeFlags(tcp.flags(view, at));
  const base = flags.includes('A') ? irs + 1 : 0;
  const edges = [...options.sackEdges.subarray(0, 2 * options.sackBlocks)];
  const relative = edges.map((edge) => (edge - irs - 1) | 0);
  return {
    flags,
    seq: (tcp.seq(view, at) - iss - 1) | 0,
    ack: (tcp.ack(view, at) - base) | 0,
    length: end - at - header,
    data: Buffer.from(bytes.subarray(at + header, end)).toString('latin1'),
    window: tcp.window(view, at),
    mss: options.mss,
    scale: options.windowScale,
    sackPermitted: options.sackPermitted,
    ...(options.hasTimestamps
      ? { timestamps: [options.timestampValue, options.timestampEcho] as [number, number] }
      : {}),
    sack: Array.from({ length: options.sackBlocks }, (_, i) => [
      relative[2 * i],
      relative[2 * i + 1],
    ]),
    fromPort: tcp.sourcePort(view, at),
    toPort: tcp.destinationPort(view, at),
  };
}

/** Bytes of which each says where in the stream it is. */
export function pattern(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (from + index) % 251);
}

const LETTERS: readonly [string, number][] = [
  ['S', tcp.SYN],
  ['F', tcp.FIN],
  ['R', tcp.RST],
  ['A', tcp.ACK],
  ['E', tcp.ECE],
  ['W', tcp.CWR],
];

const encodeFlags = (letters: string): number =>
  [...LETTERS, ['P', tcp.PSH] as const, ['U', tcp.URG] as const].reduce(
    (flags, [letter, bit]) => flags | (letters.includes(letter) ? bit : 0),
    0,
  );

const decodeFlags = (flags: number): string =>
  LETTERS.filter(([, bit]) => (flags & bit) !== 0)
    .map(([letter]) => letter)
    .join('');

/** Writes the headers below TCP, and all checksums. */
function finishFrame(frame: Frame, ecn: number): void {
  const { view, end } = frame;
  const from = Number(PEER.address);
  const to = Number(OURS.address);
  virtio.clear(view, VIRTIO_AT);
  ethernet.write(view, ETHERNET_AT, OUR_MAC, PEER_MAC, ethernet.TYPE_IPV4);
  const length = end - NETWORK_AT;
  ipv4.write(view, NETWORK_AT, length, 1, ipv4.DONT_FRAGMENT, 64, ipv4.PROTOCOL_TCP, from, to, ecn);
  const pseudo = ipv4.pseudoHeaderSum(from, to, ipv4.PROTOCOL_TCP, end - TRANSPORT);
  tcp.setChecksum(view, TRANSPORT, complement(sumBytes(view, TRANSPORT, end, pseudo)));
}
