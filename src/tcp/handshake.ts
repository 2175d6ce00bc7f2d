// Opening a connection (RFC 9293, 3.10.1 and 3.10.7.2 to 3.10.7.4): what a SYN says and what follows.
import { type Micros, NEVER } from '../env/clock.ts';
import { ACK, RST, SYN } from '../wire/tcp.ts';
import { congestionState } from './congestion.ts';
import type { Connection } from './connection.ts';
import { TcpError } from './errors.ts';
import { sampleRtt } from './rtt.ts';
import type { Segment } from './segment.ts';
import { output } from './sender.ts';
import { advance, isAfter } from './sequence.ts';
import { sendAck, transmitSyn } from './transmit.ts';

/** RFC 9293, MUST-15 and RFC 6691: what a peer that names no MSS takes. */
const DEFAULT_MSS = 536;
/** A smaller MSS would only multiply segments: Linux refuses to go below it too. */
const MIN_MSS = 88;
const TIMESTAMP_OPTION = 12;

/** Sends our SYN. */
export function openActively(connection: Connection, now: Micros): void {
  const { snd, rtt, retransmit } = connection;
  connection.state = 'syn-sent';
  connection.stack.connecting.add(connection);
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

/** Puts a connection where a handshake with these results would have left it. */
export function establish(connection: Connection, facts: Remembered, now: Micros): void {
  const { snd, rcv, offer, negotiated } = connection;
  rcv.irs = facts.irs;
  rcv.nxt = advance(facts.irs, 1);
  rcv.edge = rcv.nxt;
  rcv.lastAckSent = rcv.nxt;
  snd.una = advance(snd.iss, 1);
  snd.nxt = snd.una;
  negotiated.scaling = facts.windowScale >= 0 && offer.windowScale >= 0;
  negotiated.sendScale = negotiated.scaling ? facts.windowScale : 0;
  negotiated.receiveScale = negotiated.scaling ? offer.windowScale : 0;
  negotiated.sack = facts.sack && offer.sack;
  negotiated.timestamps = facts.timestamps && offer.timestamps;
  setMss(connection, facts.mss);
  connection.recovery.highRxt = snd.una;
  snd.sentAt = now;
  connection.state = 'established';
  connection.heardAt = now;
}

/** Takes over what the peer's SYN says. */
function takeSyn(connection: Connection, segment: Segment, now: Micros): void {
  const { rcv, snd, ts, offer, negotiated } = connection;
  const { options } = segment;
  rcv.irs = segment.seq;
  rcv.nxt = advance(segment.seq, 1);
  rcv.edge = rcv.nxt;
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
  setMss(connection, options.mss);
}

function setMss(connection: Connection, announced: number): void {
  const { negotiated, offer, stack } = connection;
  const peer = announced === 0 ? DEFAULT_MSS : Math.max(announced, MIN_MSS);
  negotiated.sendMss = Math.min(
    peer,
    Math.max(offer.mss, stack.maximumSegment(connection.remote.address)),
  );
  connection.mss = negotiated.sendMss - (negotiated.timestamps ? TIMESTAMP_OPTION : 0);
  connection.congestion = congestionState(connection.mss);
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
  transmitSyn(connection, now);
  connection.retransmit.at = now + connection.rtt.rto;
}

/** The ACK that completes a handshake in SYN-RECEIVED; false if it is not acceptable. */
export function completePassive(connection: Connection, segment: Segment, now: Micros): boolean {
  const { snd, negotiated, stack } = connection;
  if (!isAfter(segment.ack, snd.una) || isAfter(segment.ack, snd.nxt)) {
    stack.reset(segment);
    return false;
  }
  snd.una = segment.ack;
  snd.wnd = segment.window << negotiated.sendScale;
  snd.maxWnd = Math.max(snd.maxWnd, snd.wnd);
  snd.wl1 = segment.seq;
  snd.wl2 = segment.ack;
  becomeEstablished(connection, segment, now);
  return true;
}

function becomeEstablished(connection: Connection, segment: Segment, now: Micros): void {
  const { rtt, retransmit, recovery, congestion, snd } = connection;
  const active = connection.state === 'syn-sent';
  const repeated = retransmit.timeouts > 0;
  if (repeated) {
    // Karn: only a timestamp tells which SYN was answered. RFC 5681, 3.1: a lost SYN warns of congestion.
    rtt.timedEnd = -1;
    congestion.cwnd = connection.mss;
  }
  sampleRtt(connection, segment, now);
  retransmit.at = NEVER;
  retransmit.timeouts = 0;
  recovery.highRxt = snd.una;
  snd.sentAt = now;
  connection.state = snd.finQueued ? 'fin-wait-1' : 'established';
  if (connection.keepalive.at !== NEVER) connection.keepalive.at = now + connection.keepalive.idle;
  const sent = snd.nxt;
  const accept = connection.onAccept;
  connection.onAccept = undefined;
  if (accept !== undefined) accept(connection);
  if (!connection.stack.isLive(connection)) return;
  connection.handler.onConnect?.(connection);
  if (!connection.stack.isLive(connection)) return;
  output(connection, now);
  if (active && snd.nxt === sent) sendAck(connection, now);
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
