// A received segment as the rules of RFC 9293 speak of it: SEG.SEQ, SEG.ACK, SEG.LEN, SEG.WND.
import type { Endpoint } from '../ip/address.ts';
import type { Packet } from '../ip/packet.ts';
import * as tcp from '../wire/tcp.ts';
import { Options, readOptions } from '../wire/tcp-options.ts';

/** One instance serves all segments of a stack, one at a time; nobody may keep it. */
export class Segment {
  packet: Packet;
  sourcePort = 0;
  destinationPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** The window field, not scaled. */
  window = 0;
  readonly options = new Options();
  /** The payload in the packet's frame. */
  start = 0;
  end = 0;

  constructor(packet: Packet) {
    this.packet = packet;
  }

  /** Payload bytes, without SYN and FIN. */
  get length(): number {
    return this.end - this.start;
  }

  get source(): Endpoint {
    return { address: this.packet.source, port: this.sourcePort };
  }

  get destination(): Endpoint {
    return { address: this.packet.destination, port: this.destinationPort };
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
}

/** Reads the segment in a packet; false if its header does not fit. */
export function readSegment(packet: Packet, into: Segment): boolean {
  const { view } = packet.frame;
  const at = packet.payload;
  const header = tcp.headerLength(view, at, packet.end);
  if (header < 0) return false;
  into.packet = packet;
  into.sourcePort = tcp.sourcePort(view, at);
  into.destinationPort = tcp.destinationPort(view, at);
  into.seq = tcp.seq(view, at);
  into.ack = tcp.ack(view, at);
  into.flags = tcp.flags(view, at);
  into.window = tcp.window(view, at);
  into.start = at + header;
  into.end = packet.end;
  readOptions(view, at + tcp.TCP_LENGTH, at + header, into.options);
  return true;
}
