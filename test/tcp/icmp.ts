// ICMP errors about frames that the host has sent, for tests.
import { Frame } from '../../src/link/frame.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { ETHERNET_AT, NETWORK_AT, VIRTIO_AT } from '../../src/wire/layout.ts';
import * as virtio from '../../src/wire/virtio.ts';

/**
 * The error that a router would send about `sent`.
 * @param shift added to the quoted sequence number
 */
export function icmpError(sent: Frame, type: number, code: number, shift: number, rest = 0): Frame {
  const frame = new Frame();
  const { view } = frame;
  const body = NETWORK_AT + ipv4.IPV4_LENGTH;
  const quote = body + icmp.ICMP_LENGTH;
  frame.bytes.set(sent.bytes.subarray(NETWORK_AT, NETWORK_AT + 28), quote);
  frame.end = quote + 28;
  const seqAt = quote + ipv4.IPV4_LENGTH + 4;
  view.setUint32(seqAt, view.getUint32(seqAt) + shift);
  virtio.clear(view, VIRTIO_AT);
  const to = ethernet.source(sent.view, ETHERNET_AT);
  ethernet.write(view, ETHERNET_AT, to, 0x0200_0000_0002, ethernet.TYPE_IPV4);
  const length = frame.end - NETWORK_AT;
  const from = ipv4.destination(sent.view, NETWORK_AT);
  const us = ipv4.source(sent.view, NETWORK_AT);
  ipv4.write(view, NETWORK_AT, length, 1, 0, 64, ipv4.PROTOCOL_ICMP, from, us);
  icmp.write(view, body, frame.end, type, code, rest);
  return frame;
}
