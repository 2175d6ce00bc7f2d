// Frames that no decent host would send, made from decent ones.
import type { Frame } from '../../src/link/frame.ts';
import { complement, sumBytes } from '../../src/wire/checksum.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { buildFrame, type Harness, type Script } from '../tcp/harness.ts';

export const TRANSPORT_AT = NETWORK_AT + ipv4.IPV4_LENGTH;

/** A segment of the peer's, as a frame that can still be changed. */
export const segmentFrame = (t: Harness, script: Script, window = 65_535): Frame =>
  buildFrame(script, t, window);

/** Makes the IPv4 header checksum right again. */
export function repairIp({ view }: Frame): void {
  const length = Math.max(20, (view.getUint8(NETWORK_AT) & 0x0f) * 4);
  view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, 0);
  const sum = sumBytes(view, NETWORK_AT, NETWORK_AT + length);
  view.setUint16(NETWORK_AT + ipv4.CHECKSUM_AT, complement(sum));
}

/** Makes the TCP checksum right again, for a segment that ends with the frame. */
export function repairTcp({ view, end }: Frame): void {
  const from = ipv4.source(view, NETWORK_AT);
  const to = ipv4.destination(view, NETWORK_AT);
  tcp.setChecksum(view, TRANSPORT_AT, 0);
  const pseudo = ipv4.pseudoHeaderSum(from, to, ipv4.PROTOCOL_TCP, end - TRANSPORT_AT);
  tcp.setChecksum(view, TRANSPORT_AT, complement(sumBytes(view, TRANSPORT_AT, end, pseudo)));
}

/** Puts option bytes behind the TCP header of a segment without payload; they are padded with END. */
export function withOptions(frame: Frame, options: readonly number[]): Frame {
  const padded = (options.length + 3) & ~3;
  const at = TRANSPORT_AT + tcp.TCP_LENGTH;
  frame.bytes.fill(0, at, at + padded);
  frame.bytes.set(options, at);
  frame.end = at + padded;
  const { view } = frame;
  view.setUint8(TRANSPORT_AT + 12, (5 + padded / 4) << 4);
  view.setUint16(NETWORK_AT + 2, frame.end - NETWORK_AT);
  repairIp(frame);
  repairTcp(frame);
  return frame;
}

/** Sets the flags byte of a segment. */
export function withFlags(frame: Frame, flags: number): Frame {
  frame.view.setUint8(TRANSPORT_AT + tcp.FLAGS_AT, flags);
  repairTcp(frame);
  return frame;
}
