// When what has arrived is acknowledged (RFC 9293, section 3.8.6.3; RFC 5681, section 4.2), in Linux's way:
// at once while the peer may be in slow start and whenever something is unusual, otherwise every second full
// segment, and late while an answer of ours is likely to carry the acknowledgment anyway.
import { MILLISECOND, type Micros, NEVER } from '../env/clock.ts';
import { FIN, PSH, SYN, TCP_LENGTH, URG } from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { selectWindow } from './receive-window.ts';
import type { Segment } from './segment.ts';
import { distance } from './sequence.ts';
import { sendAck } from './transmit.ts';

/** The shortest and the longest delay (Linux: TCP_ATO_MIN and TCP_DELACK_MAX). RFC 9293 allows 500 ms. */
export const MIN_DELAY: Micros = 40 * MILLISECOND;
const MAX_DELAY: Micros = 200 * MILLISECOND;
const MAX_SLOW_DELAY: Micros = 500 * MILLISECOND;
/** Segments that are acknowledged at once at most after a start or a pause (Linux: TCP_MAX_QUICKACKS). */
export const MAX_QUICK = 16;
/** What the peer's segments are taken for before any has come (RFC 9293, 3.7.1), and the least (Linux). */
const DEFAULT_SEGMENT = 536;
const MIN_SEGMENT = 88;
/** A segment with one of these may be the last of a write, and so smaller than a full one. */
const REMNANT = FIN | SYN | URG | PSH;

/** The handshake is complete: a first guess at the peer's segments. */
export function beginAcknowledging(connection: Connection, now: Micros): void {
  const { ack, offer, rcv, mss } = connection;
  const half = distance(rcv.edge, rcv.nxt) >> 1;
  ack.segment = Math.max(MIN_SEGMENT, Math.min(offer.mss, mss, half, DEFAULT_SEGMENT));
  ack.receivedAt = now;
}

/** The next `most` segments, or as many as half a window has room for, are acknowledged at once. */
export function raiseQuick(connection: Connection, most: number): void {
  const { ack, rcv } = connection;
  const window = Math.max(0, distance(rcv.edge, rcv.lastAckSent));
  const quick = Math.min(Math.floor(window / (2 * ack.segment)) || 2, most);
  if (quick > ack.quick) ack.quick = quick;
}

/** Something unusual came: the peer hears of it at once, and of what follows. */
export function enterQuick(connection: Connection, most: number): void {
  raiseQuick(connection, most);
  connection.ack.interactive = false;
  connection.ack.timeout = MIN_DELAY;
}

/** Data in order has come: adapts the delay to its pace. */
export function dataArrived(connection: Connection, segment: Segment, now: Micros): void {
  const { ack, rtt } = connection;
  ack.scheduled = true;
  measureSegment(connection, segment);
  if (ack.timeout === 0) {
    raiseQuick(connection, MAX_QUICK);
    ack.timeout = MIN_DELAY;
  } else {
    const pause = now - ack.receivedAt;
    if (pause <= MIN_DELAY / 2) ack.timeout = ack.timeout / 2 + MIN_DELAY / 2;
    else if (pause < ack.timeout) ack.timeout = Math.min(ack.timeout / 2 + pause, rtt.rto);
    // Too long a pause: the peer probably starts slowly again.
    else if (pause > rtt.rto) raiseQuick(connection, MAX_QUICK);
  }
  ack.receivedAt = now;
}

/** Learns how large the peer's full segments are, and whether this one was the last of a write. */
function measureSegment({ ack, offer, negotiated }: Connection, segment: Segment): void {
  const { packet } = segment;
  const payload = packet.segmentSize > 0 ? packet.segmentSize : segment.length;
  const last = ack.lastSegment;
  ack.lastSegment = 0;
  if (payload >= ack.segment) {
    ack.segment = Math.min(payload, offer.mss);
    if (segment.has(PSH) && ack.pushed === 0) ack.pushed = 1;
    return;
  }
  // A smaller size that comes twice is the peer's new one, if the segments were not cut short by a push.
  const header = segment.start - packet.payload;
  const whole = payload + header;
  const large = whole >= DEFAULT_SEGMENT + TCP_LENGTH;
  if (large || (whole >= MIN_SEGMENT + TCP_LENGTH && !segment.has(REMNANT))) {
    ack.lastSegment = whole - TCP_LENGTH - (negotiated.timestamps ? 12 : 0);
    if (ack.lastSegment === last) {
      ack.segment = last;
      return;
    }
  }
  ack.pushed = Math.min(ack.pushed + 1, 2);
}

/** Acknowledges what is due, now or later, unless a segment of ours has done so meanwhile. */
export function acknowledge(connection: Connection, now: Micros): void {
  const { ack, rcv, receiveBuffer } = connection;
  if (!ack.scheduled) return;
  const quick = ack.quick > 0 && !ack.interactive;
  if (ack.immediate || quick || receiveBuffer.gaps.count > 0 || isSecondFull(connection)) {
    sendAck(connection, now);
  } else if (rcv.holdAt < 0) delay(connection, now);
}

/** More than one full segment came, and the window moves on; otherwise the reader will say so. */
function isSecondFull(connection: Connection): boolean {
  const { rcv, ack, receiveBuffer } = connection;
  if (distance(rcv.nxt, rcv.lastAckSent) <= ack.segment) return false;
  return (
    receiveBuffer.length === 0 || selectWindow(connection) >= distance(rcv.edge, rcv.lastAckSent)
  );
}

function delay(connection: Connection, now: Micros): void {
  const { ack, rtt } = connection;
  let wait = ack.timeout;
  if (wait > MIN_DELAY) {
    let most = ack.interactive || ack.pushed > 0 ? MAX_DELAY : MAX_SLOW_DELAY;
    if (rtt.srtt > 0) most = Math.min(most, Math.max(rtt.srtt, MIN_DELAY));
    wait = Math.min(wait, most);
  }
  wait = Math.min(wait, MAX_DELAY);
  if (ack.at !== NEVER && ack.at <= now + wait / 4) {
    // It is about to be sent anyway.
    sendAck(connection, now);
    return;
  }
  ack.at = Math.min(ack.at, now + wait);
}

/** A delayed acknowledgment is due: nobody carried it, so the guess at the delay was wrong. */
export function onAckTimer(connection: Connection, now: Micros): void {
  const { ack, rtt } = connection;
  ack.at = NEVER;
  if (!ack.scheduled) return;
  if (ack.interactive) {
    ack.interactive = false;
    ack.timeout = MIN_DELAY;
  } else ack.timeout = Math.min(2 * ack.timeout, rtt.rto);
  sendAck(connection, now);
}

/**
 * A segment of ours leaves: it acknowledges all that has come.
 * @param acknowledgment its number
 * @param length its payload: an answer soon after what it answers means that the sides speak in turn
 */
export function acknowledged(
  { ack, rcv }: Connection,
  acknowledgment: number,
  length: number,
  now: Micros,
): void {
  rcv.lastAckSent = acknowledgment;
  if (ack.scheduled && ack.quick > 0) {
    ack.quick--;
    if (ack.quick === 0) ack.timeout = MIN_DELAY;
  }
  ack.scheduled = false;
  ack.immediate = false;
  ack.pushed = 0;
  ack.at = NEVER;
  if (length === 0) return;
  if (now - ack.receivedAt < ack.timeout) ack.interactive = true;
}

/** The reader took something: perhaps that is worth an acknowledgment, or a window update. */
export function afterReading(connection: Connection, now: Micros): void {
  const { ack, rcv, receiveBuffer, state } = connection;
  if (rcv.holdAt >= 0 || state === 'closed' || state === 'time-wait') return;
  if (ack.scheduled) {
    const said = ack.pushed > 1 || (ack.pushed === 1 && !ack.interactive);
    const second = distance(rcv.nxt, rcv.lastAckSent) > ack.segment;
    if (second || (said && receiveBuffer.length === 0)) {
      sendAck(connection, now);
      return;
    }
  }
  if (rcv.finReceived) return;
  // RFC 9293, 3.8.6.2.2: no crumbs. Linux tells of a window that has at least doubled.
  const offered = Math.max(0, distance(rcv.edge, rcv.nxt));
  if (2 * offered > Math.min(rcv.limit, connection.window.clamp)) return;
  const window = selectWindow(connection);
  if (window > 0 && window >= 2 * offered) sendAck(connection, now);
}
