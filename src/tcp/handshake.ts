// Opening a connection (RFC 9293, 3.10.1 and 3.10.7.2 to 3.10.7.4): what a SYN says and what follows.
import { type Micros, NEVER } from '../env/clock.ts';
import { isIpv6 } from '../ip/address.ts';
import { ACK, CWR, ECE, FIN, RST, SYN } from '../wire/tcp.ts';
import type { Connection, Offer } from './connection.ts';
import { beginAcknowledging } from './delayed-ack.ts';
import { TcpError } from './errors.ts';
import { firstWindow, openWindow } from './receive-window.ts';
import { sampleRtt } from './rtt.ts';
import type { Segment } from './segment.ts';
import { output } from './sender.ts';
import { advance, distance, isAfter } from './sequence.ts';
import { takeData, takeFin } from './text.ts';
import { sendAck, transmitSyn } from './transmit.ts';
import { takeTimestamp } from './validate.ts';
import { beginSending } from './window-use.ts';

/** RFC 9293, MUST-15: what a peer that names no MSS takes, over IPv4 and IPv6. */
const DEFAULT_MSS = 536;
const DEFAULT_MSS_IPV6 = 1_220;
/** The least that we send in a segment, options included (Linux: tcp_min_snd_mss). */
const MIN_MSS = 48;
const TIMESTAMP_OPTION = 12;
/** The ECN field of the IP header. */
const ECN_FIELD = 0x03;

/** Sends our SYN. */
export function openActively(connection: Connection, now: Micros): void {
  const { snd, rtt, retransmit } = connection;
  connection.state = 'syn-sent';
  connection.stack.connecting.add(connection);
  openWindow(connection, firstWindow(connection.rcv.limit, connection.offer.mss));
  snd.nxt = advance(snd.iss, 1);
  rtt.timedEnd = snd.nxt;
  rtt.timedAt = now;
  transmitSyn(connection, now);
  retransmit.at = now + rtt.rto;
  connection.arm();
}

/** Answers a SYN that a listener took. */
export function openPassively(connection: Connection, segment: Segment, now: Micros): void {
  const { snd, rtt, retransmit } = connection;
  connection.state = 'syn-received';
  takeSyn(connection, segment, now);
  snd.nxt = advance(snd.iss, 1);
  rtt.timedEnd = snd.nxt;
  rtt.timedAt = now;
  transmitSyn(connection, now);
  retransmit.at = now + rtt.rto;
  connection.arm();
}

/** What is known of a handshake that left no state behind. */
export interface Remembered {
  readonly irs: number;
  readonly mss: number;
  /** Shift that the peer announced, or -1. */
  readonly windowScale: number;
  readonly sack: boolean;
  readonly timestamps: boolean;
}

/** The window that our SYN-ACK offers to a peer with or without timestamps. */
export const synAckWindow = (limit: number, offer: Offer, timestamps: boolean): number =>
  firstWindow(limit, offer.mss - (timestamps ? TIMESTAMP_OPTION : 0));

/**
 * Puts a connection where a handshake with these results would have left it.
 * @param window what our SYN-ACK offered
 */
export function establish(
  connection: Connection,
  facts: Remembered,
  window: number,
  now: Micros,
): void {
  const { snd, rcv, offer, negotiated } = connection;
  rcv.irs = facts.irs;
  rcv.nxt = advance(facts.irs, 1);
  rcv.lastAckSent = rcv.nxt;
  openWindow(connection, window);
  snd.una = advance(snd.iss, 1);
  snd.nxt = snd.una;
  negotiated.scaling = facts.windowScale >= 0 && offer.windowScale >= 0;
  negotiated.sendScale = negotiated.scaling ? facts.windowScale : 0;
  negotiated.receiveScale = negotiated.scaling ? offer.windowScale : 0;
  negotiated.sack = facts.sack && offer.sack;
  negotiated.timestamps = facts.timestamps && offer.timestamps;
  setMss(connection, facts.mss);
  beginSending(connection, now);
  connection.state = 'established';
  connection.heardAt = now;
  beginAcknowledging(connection, now);
}

/** Takes over what the peer's SYN says. */
function takeSyn(connection: Connection, segment: Segment, now: Micros): void {
  const { rcv, snd, ts, offer, negotiated } = connection;
  const { options } = segment;
  const before = rcv.nxt;
  rcv.irs = segment.seq;
  rcv.nxt = advance(segment.seq, 1);
  rcv.lastAckSent = rcv.nxt;
  negotiated.scaling = options.windowScale >= 0 && offer.windowScale >= 0;
  negotiated.sendScale = negotiated.scaling ? options.windowScale : 0;
  negotiated.receiveScale = negotiated.scaling ? offer.windowScale : 0;
  negotiated.sack = options.sackPermitted && offer.sack;
  negotiated.timestamps = options.hasTimestamps && offer.timestamps;
  if (negotiated.timestamps) {
    ts.recent = options.timestampValue;
    ts.recentAt = now;
  }
  // The window of a SYN is never scaled (RFC 7323, section 2.2).
  snd.wnd = segment.window;
  snd.maxWnd = segment.window;
  snd.wl1 = segment.seq;
  if (segment.has(ACK)) openWindow(connection, Math.max(0, distance(rcv.edge, before)));
  else openWindow(connection, synAckWindow(rcv.limit, offer, negotiated.timestamps));
  agreeOnEcn(connection, segment);
  setMss(connection, options.mss);
}

/** RFC 3168, section 6.1.1: a SYN asks with ECE and CWR, a SYN-ACK agrees with ECE alone. */
function agreeOnEcn(connection: Connection, segment: Segment): void {
  const { ecn, ecnMode } = connection;
  if (ecnMode === 'off') return;
  // A SYN that is itself marked as capable comes from a network that plays with the field (Linux).
  const played = (segment.packet.trafficClass & ECN_FIELD) !== 0;
  if (!segment.has(ACK)) ecn.ok = segment.has(ECE) && segment.has(CWR) && !played;
  else ecn.ok = ecn.asked && segment.has(ECE) && !segment.has(CWR);
}

function setMss(connection: Connection, announced: number): void {
  const { stack } = connection;
  const absent = isIpv6(connection.remote.address) ? DEFAULT_MSS_IPV6 : DEFAULT_MSS;
  const peer = announced === 0 ? absent : Math.max(announced, MIN_MSS);
  const most = Math.min(connection.maximumSegment, stack.maximumSegment(connection.remote.address));
  setSegmentSize(connection, Math.min(peer, most));
}

/** From now on segments carry at most `size` bytes, less the options in every segment (RFC 6691). */
export function setSegmentSize(connection: Connection, size: number): void {
  const { negotiated } = connection;
  negotiated.sendMss = Math.max(size, MIN_MSS);
  connection.mss = negotiated.sendMss - (negotiated.timestamps ? TIMESTAMP_OPTION : 0);
}

/** A segment for a connection in SYN-SENT (RFC 9293, 3.10.7.3). */
export function synSent(connection: Connection, segment: Segment, now: Micros): void {
  const { snd, stack } = connection;
  const acknowledges = segment.has(ACK);
  if (acknowledges && (!isAfter(segment.ack, snd.iss) || isAfter(segment.ack, snd.nxt))) {
    if (!segment.has(RST)) stack.reset(segment);
    return;
  }
  if (segment.has(RST)) {
    if (acknowledges) {
      connection.close(new TcpError('ECONNREFUSED', 'the peer refused the connection'));
    }
    return;
  }
  if (!segment.has(SYN)) return;
  stack.connecting.delete(connection);
  takeSyn(connection, segment, now);
  if (acknowledges) {
    snd.una = segment.ack;
    snd.wl2 = segment.ack;
    becomeEstablished(connection, segment, now);
    return;
  }
  // Simultaneous open (RFC 9293, figure 8).
  connection.state = 'syn-received';
  keepSynText(connection, segment);
  transmitSyn(connection, now);
  connection.retransmit.at = now + connection.rtt.rto;
}

/** RFC 9293, 3.10.7.3: "If there are other controls or text in the segment, then continue processing". */
function takeSynText(connection: Connection, segment: Segment, now: Micros): void {
  if (segment.length === 0 && !segment.has(FIN)) return;
  // The text begins behind the SYN.
  segment.seq = advance(segment.seq, 1);
  takeData(connection, segment, now);
  takeFin(connection, segment, now);
}

/** Keeps the text of a SYN that opens simultaneously until the connection is established (RFC 9293, 3.10.7.3). */
function keepSynText({ rcv, receiveBuffer }: Connection, { packet, start, end }: Segment): void {
  const room = Math.max(0, distance(rcv.edge, rcv.nxt));
  const stop = Math.min(end, start + room);
  if (stop > start) receiveBuffer.store(packet.frame.bytes, start, stop, rcv.nxt);
}

function takeWaitingText(connection: Connection): void {
  const { rcv, ack, receiveBuffer } = connection;
  if (receiveBuffer.gaps.count === 0) return;
  const before = rcv.nxt;
  rcv.nxt = receiveBuffer.take(before);
  if (rcv.nxt === before) return;
  ack.scheduled = true;
  connection.handler.onReadable?.(connection);
}

/** The ACK that completes a handshake in SYN-RECEIVED; false if it is not acceptable. */
export function completePassive(connection: Connection, segment: Segment, now: Micros): boolean {
  const { snd, negotiated, stack } = connection;
  if (!isAfter(segment.ack, snd.una) || isAfter(segment.ack, snd.nxt)) {
    stack.reset(segment);
    return false;
  }
  takeTimestamp(connection, segment, now);
  snd.una = segment.ack;
  snd.wnd = segment.window << negotiated.sendScale;
  snd.maxWnd = Math.max(snd.maxWnd, snd.wnd);
  snd.wl1 = segment.seq;
  snd.wl2 = segment.ack;
  becomeEstablished(connection, segment, now);
  return true;
}

function becomeEstablished(connection: Connection, segment: Segment, now: Micros): void {
  const { rtt, retransmit, snd } = connection;
  const active = connection.state === 'syn-sent';
  // Karn: only a timestamp tells which SYN was answered.
  if (retransmit.timeouts > 0) rtt.timedEnd = -1;
  sampleRtt(connection, segment, now);
  beginSending(connection, now);
  connection.state = snd.finQueued ? 'fin-wait-1' : 'established';
  beginAcknowledging(connection, now);
  if (connection.keepalive.at !== NEVER) connection.keepalive.at = now + connection.keepalive.idle;
  const sent = snd.nxt;
  const accept = connection.onAccept;
  connection.onAccept = undefined;
  if (accept !== undefined) accept(connection);
  if (!connection.stack.isLive(connection)) return;
  connection.handler.onConnect?.(connection);
  if (!connection.stack.isLive(connection)) return;
  if (active) takeSynText(connection, segment, now);
  else takeWaitingText(connection);
  if (!connection.stack.isLive(connection)) return;
  output(connection, now);
  if (active && snd.nxt === sent) sendAck(connection, now);
}

/**
 * The SYN-ACK of a peer that opens the connection while we do (RFC 9293, figure 8): it starts before our window,
 * and yet its acknowledgment counts.
 */
export function isCrossingSynAck(connection: Connection, segment: Segment): boolean {
  if (connection.state !== 'syn-received' || connection.onAccept !== undefined) return false;
  const { rcv, snd } = connection;
  return (
    segment.has(SYN) &&
    segment.has(ACK) &&
    !segment.has(RST) &&
    segment.seq === rcv.irs &&
    segment.ack === snd.nxt
  );
}

/** A SYN for a connection that is past it: a lost SYN-ACK, or an old duplicate. */
export function repeatSynAck(connection: Connection, segment: Segment, now: Micros): boolean {
  const { rcv, stack } = connection;
  const repeated =
    connection.state === 'syn-received' &&
    segment.has(SYN) &&
    !segment.has(ACK) &&
    segment.seq === rcv.irs;
  if (!repeated) return false;
  stack.counters.synAckRepeats++;
  transmitSyn(connection, now);
  return true;
}
