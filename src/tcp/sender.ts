// What to send, and when: new data within the two windows, as Nagle's rule and the silly window syndrome
// let it leave.
import { type Micros, NEVER } from '../env/clock.ts';
import { FIN, PSH } from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { startPersist } from './persist.ts';
import { halfWindow, inFlight, segmentSize, segmentsOf } from './recovery/flight.ts';
import { markOversized, retransmitLost } from './recovery/retransmit.ts';
import { NOTHING_SENT, PUSHED, RECORD_END } from './recovery/sent-queue.ts';
import { isReducing } from './recovery/state.ts';
import { isPending, rearmTimeout, scheduleProbe } from './recovery/timers.ts';
import { keepOpen } from './recovery/undo.ts';
import { advance, distance, isAfter } from './sequence.ts';
import { maximumTrain, send } from './transmit.ts';
import { noteFlight, restartAfterIdle } from './window-use.ts';

/** How new data is sent: by the rules; with no regard to Nagle's; as a probe, with no regard to the window. */
export type Manner = 'usual' | 'corked' | 'no-delay' | 'probe';

/** Sequence numbers that wait to be sent for the first time, a FIN among them. */
export function unsent({ snd, sendBuffer }: Connection): number {
  if (snd.finSent) return 0;
  return sendBuffer.length - distance(snd.nxt, snd.una) + (snd.finQueued ? 1 : 0);
}

function mayTransmit({ state }: Connection): boolean {
  switch (state) {
    case 'established':
    case 'close-wait':
    case 'fin-wait-1':
    case 'closing':
    case 'last-ack':
      return true;
    default:
      return false;
  }
}

/** Sends all new data that may be sent now. */
export function output(connection: Connection, now: Micros): void {
  if (!mayTransmit(connection)) return;
  if (unsent(connection) === 0) return;
  sendAll(connection, connection.snd.corked ? 'corked' : 'usual', now);
  startPersist(connection, now);
}

/**
 * The user has written something: sends what may be sent.
 * @param more more will follow at once (MSG_MORE): a segment that is not full waits for it
 * @param recordEnd a record ends here (MSG_EOR): what follows never shares a segment with it
 */
export function pushWritten(
  connection: Connection,
  now: Micros,
  more = false,
  recordEnd = false,
): void {
  const { snd, sendBuffer } = connection;
  // The first byte follows the SYN, which may not be acknowledged yet.
  const base = snd.una === snd.iss ? advance(snd.iss, 1) : snd.una;
  const end = advance(base, sendBuffer.length);
  if (!more) snd.pushEnd = end;
  // Two ends at one place, or one where sending is already, would make a segment without bytes.
  if (recordEnd && end !== snd.nxt && snd.recordEnds?.at(-1) !== end) {
    snd.recordEnds ??= [];
    snd.recordEnds.push(end);
  }
  if (!mayTransmit(connection)) return;
  sendAll(connection, more || snd.corked ? 'corked' : 'usual', now);
  startPersist(connection, now);
}

function sendAll(connection: Connection, manner: Manner, now: Micros): void {
  const { recovery } = connection;
  const before = recovery.packetsOut;
  while (sendNew(connection, now, manner));
  noteFlight(connection, recovery.packetsOut > before, now);
  if (recovery.packetsOut > before) scheduleProbe(connection, false, now);
}

/** Sends one train of new data, or the FIN; false if a window, Nagle's rule or SWS avoidance forbids it. */
export function sendNew(connection: Connection, now: Micros, manner: Manner): boolean {
  const { snd, sendBuffer, recovery } = connection;
  if (snd.finSent) return false;
  const available = sendBuffer.length - distance(snd.nxt, snd.una);
  if (available === 0 && !snd.finQueued) return false;
  if (recovery.packetsOut === 0) restartAfterIdle(connection, now);
  const size = segmentSize(connection);
  const piece = pieceLeft(connection, size);
  const record = Math.min(available, recordLength(connection, available), piece);
  const last = record === available;
  const fin = last && snd.finQueued;
  let quota = windowQuota(connection);
  if (quota === 0) {
    // The final FIN need not wait for a window, nor does a probe.
    if (manner !== 'probe' && !(fin && record <= size)) return false;
    quota = 1;
  }
  const window = distance(advance(snd.una, snd.wnd), snd.nxt);
  const first = Math.min(record, size);
  // RFC 9293, 3.8.6.2.1: nothing leaves before a segment of it fits into the peer's window.
  if (window < first + (fin && record <= size ? 1 : 0) || window <= 0) return false;
  let length: number;
  if (record <= size) {
    if (record < size && !fin && last && isHeldBack(connection, manner)) return false;
    length = record;
  } else length = trainLength(connection, record, size, quota, window, last, manner);
  const ends = fin && length === record && window > length;
  push(connection, length, flagsFor(connection, length, size, ends), now);
  return manner !== 'probe';
}

/** Payload bytes of a piece: as large as a train may be, but not more than half of the peer's largest window. */
const pieceSize = (connection: Connection, size: number): number => {
  const bound = halfWindow(connection.snd);
  return Math.max(size, Math.min(maximumTrain(connection), bound - (bound % size)));
};

/**
 * What is left of the piece that is to be sent. Linux cuts what is written into pieces of whole segments, and
 * sends each of them when a segment of it fits into the peer's window: so a window is not filled with crumbs.
 */
function pieceLeft(connection: Connection, size: number): number {
  const { snd } = connection;
  const most = pieceSize(connection, size);
  const left = distance(advance(snd.pieceAt, most), snd.nxt);
  if (left > 0 && left <= most) return left;
  snd.pieceAt = snd.nxt;
  return most;
}

/** Whole segments as far as both windows reach; the rest of the data too if Nagle's rule lets it. */
function trainLength(
  connection: Connection,
  record: number,
  size: number,
  quota: number,
  window: number,
  last: boolean,
  manner: Manner,
): number {
  const most = Math.min(maximumTrain(connection), size * quota);
  if (most <= window && !last) return Math.min(most, record);
  const needed = Math.min(record, window);
  if (most <= needed) return most;
  const partial = needed % size;
  return partial > 0 && isHeldBack(connection, manner) ? needed - partial : needed;
}

/** Segments that the congestion window lets out in one train: half of it at most, so that ACKs come in two. */
function windowQuota(connection: Connection): number {
  const { cwnd } = connection.congestion;
  const room = cwnd - inFlight(connection);
  return room <= 0 ? 0 : Math.min(room, Math.max(cwnd >> 1, 1));
}

/**
 * Nagle's rule (RFC 9293, 3.7.4) as Minshall changed it: a segment that is not full waits only while another
 * such one is unacknowledged.
 */
function isHeldBack({ snd, recovery }: Connection, manner: Manner): boolean {
  if (manner === 'corked') return true;
  if (manner !== 'usual' || snd.noDelay || recovery.packetsOut === 0) return false;
  return isAfter(snd.smallEnd, snd.una) && !isAfter(snd.smallEnd, snd.nxt);
}

/** PSH where Linux sets it: at the end of a write, and of a piece when half of the window had none. */
function flagsFor(connection: Connection, length: number, size: number, fin: boolean): number {
  const { snd } = connection;
  const end = advance(snd.nxt, length);
  const overdue =
    distance(end, snd.pushedAt) > snd.maxWnd >> 1 &&
    end === advance(snd.pieceAt, pieceSize(connection, size));
  const pushed = length > 0 && (end === snd.pushEnd || overdue);
  return (pushed ? PSH : 0) | (fin ? FIN : 0);
}

/** Sends the next `length` bytes and, if the flags have it, the FIN, and notes that they are in flight. */
export function push(connection: Connection, length: number, flags: number, now: Micros): void {
  const { snd, recovery, stack } = connection;
  const size = segmentSize(connection);
  const fin = (flags & FIN) !== 0;
  const before = recovery.packetsOut;
  const start = snd.nxt;
  const end = advance(start, length);
  if (inFlight(connection) === 0) {
    connection.congestionControl.resume(connection.congestion, snd.sentAt, now);
  }
  send(connection, start, flags, length, now);
  if ((flags & PSH) !== 0) snd.pushedAt = end;
  const segments = segmentsOf(length, size);
  if (length < segments * size) snd.smallEnd = end;
  snd.nxt = fin ? advance(end, 1) : end;
  if (fin) snd.finSent = true;
  if (connection.sent === NOTHING_SENT) connection.sent = stack.sentQueues.take();
  const marks = ((flags & PSH) !== 0 ? PUSHED : 0) | (takeRecordEnd(snd, end) ? RECORD_END : 0);
  // What is written from now on begins a piece of its own.
  if ((marks & RECORD_END) !== 0 || distance(end, snd.una) >= connection.sendBuffer.length) {
    snd.pieceAt = end;
  }
  const sequenceLength = length + (fin ? 1 : 0);
  connection.sent.push(start, sequenceLength, segments, marks, now, recovery.delivered);
  recovery.packetsOut += segments;
  if (isReducing(recovery)) recovery.prrOut += segments;
  snd.sentAt = now;
  // A tail loss probe is put off, and counts from what is sent now.
  if (before === 0) connection.retransmit.at = NEVER;
  if (before === 0 || isPending(connection, 'probe')) rearmTimeout(connection, now);
}

/** Bytes until the next end of a record. */
function recordLength({ snd }: Connection, available: number): number {
  const ends = snd.recordEnds;
  if (ends === undefined || ends.length === 0) return available;
  return distance(ends[0], snd.nxt);
}

function takeRecordEnd({ recordEnds }: Connection['snd'], end: number): boolean {
  if (recordEnds === undefined || recordEnds.length === 0 || recordEnds[0] !== end) return false;
  recordEnds.shift();
  return true;
}

/**
 * `mss` has become smaller because of the path (RFC 1191): what is in flight in larger segments is lost, though
 * not by congestion, and is sent again at once.
 */
export function resendTooLarge(connection: Connection, now: Micros): void {
  const { recovery, congestion, snd } = connection;
  if (!markOversized(connection)) return;
  if (recovery.phase !== 'loss') {
    recovery.point = snd.nxt;
    recovery.undoMarker = -1;
    recovery.priorSsthresh = 0;
    congestion.ssthresh = Math.max(
      congestion.ssthresh,
      (congestion.cwnd >> 1) + (congestion.cwnd >> 2),
    );
    recovery.phase = 'loss';
  }
  retransmitLost(connection, now);
  if (recovery.lostOut === 0) keepOpen(connection);
}
