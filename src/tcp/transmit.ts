// One segment from a connection's state to the wire: header, options, payload, in the form that Linux
// gives them.
import { PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as options from '../wire/tcp-options.ts';
import type { Connection } from './connection.ts';
import { acknowledged } from './delayed-ack.ts';
import { acknowledgment, MAX_WINDOW_FIELD, receiveWindow } from './receive-window.ts';
import { segmentSize, segmentsOf } from './recovery/flight.ts';
import { hasSackBlocks, writeSackBlocks } from './sack-blocks.ts';
import { advance, distance, isBefore } from './sequence.ts';

const layout = { checksumOffset: tcp.CHECKSUM_AT, headerLength: 0, segmentSize: 0 };

/** Sends a SYN or SYN-ACK with all that we offer. */
export function transmitSyn(connection: Connection, now: number): void {
  const { stack, snd, rcv, offer, negotiated } = connection;
  const { view } = stack.frame;
  const at = stack.ip.payloadAt(connection.remote.address);
  const answer = connection.state === 'syn-received';
  // A SYN-ACK carries only what the SYN has offered (RFC 7323, sections 2.2 and 3.2; RFC 2018, section 2).
  const { timestamps, sack } = answer ? negotiated : offer;
  let end = options.writeMss(view, at + tcp.TCP_LENGTH, offer.mss);
  if (timestamps) {
    const value = stack.timestamp(now, connection.ts.offset);
    connection.ts.lastSent = value;
    end = sack
      ? options.writeSackPermittedTimestamps(view, end, value, connection.ts.recent)
      : options.writeTimestamps(view, end, value, connection.ts.recent);
  } else if (sack) end = options.writeSackPermitted(view, end);
  if (answer ? negotiated.scaling : offer.windowScale >= 0)
    end = options.writeWindowScale(view, end, offer.windowScale);
  const window = Math.min(distance(rcv.edge, rcv.nxt), MAX_WINDOW_FIELD);
  const flags = answer ? tcp.SYN | tcp.ACK : tcp.SYN;
  tcp.write(
    view,
    at,
    connection.local.port,
    connection.remote.port,
    snd.iss,
    answer ? rcv.nxt : 0,
    end - at,
    flags | ecnFlags(connection, answer),
    window,
  );
  finish(connection, end, end - at, 0, 0, 0);
}

/**
 * RFC 3168, section 6.1.1. A SYN that is sent again does not ask any more: something on the way may have
 * dropped it for asking (section 6.1.1.1).
 */
function ecnFlags({ ecn, ecnMode, retransmit }: Connection, answer: boolean): number {
  if (answer) return ecn.ok ? tcp.ECE : 0;
  ecn.asked = ecnMode === 'on' && retransmit.timeouts === 0;
  return ecn.asked ? tcp.ECE | tcp.CWR : 0;
}

/** The largest payload of a segment train: what fits an IP packet beside the longest headers. */
const MAX_TRAIN = 65_535 - 120;
/** ECN-capable transport, ECT(0), in the IP header (RFC 3168, section 5). */
const ECT_0 = 2;

/** Payload bytes that `send` takes at most: whole segments, if there is more than one. */
export function maximumTrain(connection: Connection): number {
  const size = segmentSize(connection);
  return Math.max(size, MAX_TRAIN - (MAX_TRAIN % size));
}

/**
 * Sends `length` bytes of the send buffer from `seq` on as a train of segments: in one frame where the link takes
 * that, else one by one.
 * @param flags the flags of the last segment; ACK is added
 */
export function send(
  connection: Connection,
  seq: number,
  flags: number,
  length: number,
  now: number,
): void {
  const { stack, ecn } = connection;
  const size = segmentSize(connection);
  let from = 0;
  // RFC 3168, 6.1.2: CWR belongs to one segment, not to each of a train.
  const alone = !stack.ip.link.offload || ecn.cwr;
  while (length - from > size && alone) {
    transmit(connection, advance(seq, from), 0, size, now);
    from += size;
    if (stack.ip.link.offload && !ecn.cwr) break;
  }
  // As Linux, so that a receiver that joins segments passes the train on at once.
  const pushed = length > size ? tcp.PSH : 0;
  transmit(connection, advance(seq, from), flags | pushed, length - from, now);
}

/**
 * Sends `length` bytes of the send buffer from `seq` on (0 for a segment without data).
 * @param flags the flags of the last segment; ACK is added
 */
export function transmit(
  connection: Connection,
  seq: number,
  flags: number,
  length: number,
  now: number,
): void {
  const { stack, snd, negotiated, ecn } = connection;
  const { frame } = stack;
  const { view } = frame;
  const at = stack.ip.payloadAt(connection.remote.address);
  let end = at + tcp.TCP_LENGTH;
  if (negotiated.timestamps) {
    const value = stack.timestamp(now, connection.ts.offset);
    connection.ts.lastSent = value;
    end = options.writeTimestamps(view, end, value, connection.ts.recent);
  }
  if (length === 0 && negotiated.sack && hasSackBlocks(connection)) {
    end = writeSackBlocks(connection, end);
  }
  const header = end - at;
  // RFC 3168, 6.1.4 and 6.1.5: neither pure acknowledgments nor what is sent again may be marked.
  const markable = ecn.ok && length > 0 && !isBefore(seq, snd.nxt);
  const reduced = markable && ecn.cwr;
  if (reduced) ecn.cwr = false;
  const trafficClass = markable ? ECT_0 : 0;
  if (length > 0) {
    connection.sendBuffer.copyTo(frame, end, distance(seq, snd.una), length);
    end += length;
  }
  const ack = acknowledgment(connection);
  const window = receiveWindow(connection);
  tcp.write(
    view,
    at,
    connection.local.port,
    connection.remote.port,
    seq,
    ack,
    header,
    flags | tcp.ACK | (ecn.echo ? tcp.ECE : 0) | (reduced ? tcp.CWR : 0),
    Math.min(window >>> negotiated.receiveScale, MAX_WINDOW_FIELD),
  );
  acknowledged(connection, ack, length, now);
  finish(connection, end, header, length > 0 ? segmentSize(connection) : 0, length, trafficClass);
}

/** Acknowledges what has arrived; nothing while the owner holds it back. */
export function sendAck(connection: Connection, now: number): void {
  if (connection.rcv.holdAt >= 0) return;
  transmit(connection, connection.snd.nxt, 0, 0, now);
}

function finish(
  connection: Connection,
  end: number,
  header: number,
  size: number,
  length: number,
  trafficClass: number,
): void {
  const { stack, local, remote, count } = connection;
  stack.frame.end = end;
  layout.headerLength = header;
  layout.segmentSize = size;
  stack.counters.segmentsOut++;
  const segments = length === 0 ? 1 : segmentsOf(length, size);
  count.segmentsOut += segments;
  if (length > 0) {
    count.dataSegmentsOut += segments;
    connection.recovery.bytesSent += length;
  }
  const hop = connection.currentHop();
  const { address } = local;
  stack.ip.send(stack.frame, address, remote.address, PROTOCOL_TCP, layout, hop, trafficClass);
}
