// A received packet as the protocols above IP see it: offsets into its frame, and opaque addresses.
import type { Frame } from '../link/frame.ts';
import { type Address, fromIpv4 } from './address.ts';

/** One instance serves all packets of a host, one at a time; nobody may keep it. */
export class Packet {
  frame: Frame;
  source: Address = fromIpv4(0);
  destination: Address = fromIpv4(0);
  protocol = 0;
  /** DSCP and ECN. */
  trafficClass = 0;
  timeToLive = 0;
  /** Where the IP header starts. */
  header = 0;
  /** Where the payload starts and ends in the frame. */
  payload = 0;
  end = 0;
  /** True if the transport checksum needs no verification: partial, or verified by the device. */
  trusted = false;
  /** Payload bytes of each segment, if the frame stands for a train of them; else 0. */
  segmentSize = 0;

  constructor(frame: Frame) {
    this.frame = frame;
  }
}

/** What an ICMP error says about a packet of ours, in terms that do not depend on the family. */
export interface PathError {
  readonly kind: 'unreachable' | 'refused' | 'too-big' | 'expired';
  /**
   * The largest IP packet that the path takes in bytes, for `too-big`; else 0. Nobody may believe it before the
   * quoted packet proves to be one of ours (RFC 5927, section 7); then `Ip.learnPathMtu` takes it.
   */
  readonly mtu: number;
  /** Source and destination of the quoted packet, as we sent it. */
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  /** The first 8 bytes of the quoted payload, at least. */
  readonly view: DataView;
  readonly quote: number;
}

/** A protocol above IP. */
export interface Protocol {
  /** Takes a packet for one of our addresses. */
  receive(packet: Packet, now: number): void;
  /** Learns that a packet of ours met an error. */
  pathError(error: PathError, now: number): void;
}
