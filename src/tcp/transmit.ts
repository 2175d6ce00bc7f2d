// One segment from a connection's state to the wire: header, options, payload, in the form that Linux
// gives them.
import { NEVER } from '../env/clock.ts';
import { PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as options from '../wire/tcp-options.ts';
import type { Connection } from './connection.ts';
import { advance, distance } from './sequence.ts';

const MAX_WINDOW_FIELD = 65_535;
const sackEdges = new Uint32Array(2 * options.MAX_SACK_BLOCKS);
const layout = { checksumOffset: tcp.CHECKSUM_AT, headerLength: 0, segmentSize: 0 };

/** The sequence number that an acknowledgment of ours carries now. */
export const acknowledgment = ({ rcv }: Connection): number =>
  rcv.holdAt >= 0 ? rcv.holdAt : rcv.nxt;

/**
 * Moves the right edge of the receive window as far as the buffer allows, but not for crumbs
 * (RFC 9293, 3.8.6.2.2), and returns the window in bytes.
 */
export function receiveWindow(connection: Connection): number {
  const { rcv, receiveBuffer } = connection;
  const free = Math.max(0, rcv.limit - receiveBuffer.length);
  const edge = advance(rcv.nxt, free);
  const gain = distance(edge, rcv.edge);
  if (gain >= Math.min(connection.mss, rcv.limit >> 1)) rcv.edge = edge;
  return Math.max(0, distance(rcv.edge, acknowledgment(connection)));
}

/** Sends a SYN or SYN-ACK with all that we offer. */
export function transmitSyn(connection: Connection, now: number): void {
  const { stack, snd, rcv, offer } = connection;
  const { view } = stack.frame;
  const at = stack.ip.payloadAt(connection.remote.address);
  const answer = connection.state === 'syn-received';
  let end = options.writeMss(view, at + tcp.TCP_LENGTH, offer.mss);
  if (offer.timestamps) {
    const value = stack.timestamp(now, connection.ts.offset);
    connection.ts.lastSent = value;
    end = offer.sack
      ? options.writeSackPermittedTimestamps(view, end, value, connection.ts.recent)
      : options.writeTimestamps(view, end, value, connection.ts.recent);
  } else if (offer.sack) end = options.writeSackPermitted(view, end);
  if (offer.windowScale >= 0) end = options.writeWindowScale(view, end, offer.windowScale);
  const window = Math.min(receiveWindow(connection), MAX_WINDOW_FIELD);
  const flags = answer ? tcp.SYN | tcp.ACK : tcp.SYN;
  tcp.write(
    view,
    at,
    connection.local.port,
    connection.remote.port,
    snd.iss,
    answer ? rcv.nxt : 0,
    end - at,
    flags,
    window,
  );
  finish(connection, end, end - at, 0);
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
  const { stack, snd, rcv, negotiated } = connection;
  const { frame } = stack;
  const { view } = frame;
  const at = stack.ip.payloadAt(connection.remote.address);
  let end = at + tcp.TCP_LENGTH;
  if (negotiated.timestamps) {
    const value = stack.timestamp(now, connection.ts.offset);
    connection.ts.lastSent = value;
    end = options.writeTimestamps(view, end, value, connection.ts.recent);
  }
  if (length === 0 && negotiated.sack && connection.receiveBuffer.gaps.count > 0) {
    end = writeSack(connection, end);
  }
  const header = end - at;
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
    flags | tcp.ACK,
    Math.min(window >>> negotiated.receiveScale, MAX_WINDOW_FIELD),
  );
  rcv.lastAckSent = ack;
  rcv.unacknowledged = 0;
  rcv.ackAt = NEVER;
  if (rcv.quickAcks > 0) rcv.quickAcks--;
  finish(connection, end, header, connection.mss);
}

/** Acknowledges what has arrived; nothing while the owner holds it back. */
export function sendAck(connection: Connection, now: number): void {
  if (connection.rcv.holdAt >= 0) return;
  transmit(connection, connection.snd.nxt, 0, 0, now);
}

function writeSack(connection: Connection, at: number): number {
  const { gaps } = connection.receiveBuffer;
  const room = connection.negotiated.timestamps ? 3 : 4;
  // RFC 2018, section 4: the range that the latest segment fell into comes first.
  const latest = Math.max(0, gaps.indexOf(connection.latestGap));
  const blocks = Math.min(gaps.count, room);
  for (let i = 0; i < blocks; i++) {
    const index = (latest + i) % gaps.count;
    sackEdges[2 * i] = gaps.start(index);
    sackEdges[2 * i + 1] = gaps.end(index);
  }
  return options.writeSack(connection.stack.frame.view, at, sackEdges, blocks);
}

function finish(connection: Connection, end: number, header: number, segmentSize: number): void {
  const { stack, local, remote } = connection;
  stack.frame.end = end;
  layout.headerLength = header;
  layout.segmentSize = segmentSize;
  stack.counters.segmentsOut++;
  const hop = connection.currentHop();
  stack.ip.send(stack.frame, local.address, remote.address, PROTOCOL_TCP, layout, hop);
}
