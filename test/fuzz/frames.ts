// A frame around bytes that may be a packet.
import { Frame } from '../../src/link/frame.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { ETHERNET_AT, NETWORK_AT } from '../../src/wire/layout.ts';
import * as virtio from '../../src/wire/virtio.ts';

export const OUR_MAC = 0x0200_0000_0001;
export const PEER_MAC = 0x0200_0000_0002;

/** A frame with a sane Ethernet header; its type is that of the version in `bytes` unless it is given. */
export function frameOfPacket(bytes: Uint8Array, type?: number): Frame {
  const frame = new Frame(NETWORK_AT + bytes.length + 8);
  virtio.clear(frame.view, 0);
  const version = (bytes[0] ?? 0) >> 4;
  const guessed = version === 6 ? ethernet.TYPE_IPV6 : ethernet.TYPE_IPV4;
  ethernet.write(frame.view, ETHERNET_AT, OUR_MAC, PEER_MAC, type ?? guessed);
  frame.bytes.set(bytes, NETWORK_AT);
  frame.end = NETWORK_AT + bytes.length;
  return frame;
}
