// Sending again what is lost, as far as the window allows.
import type { Micros } from '../../env/clock.ts';
import { FIN, PSH } from '../../wire/tcp.ts';
import type { Connection } from '../connection.ts';
import { advance, distance, isAfter } from '../sequence.ts';
import { maximumTrain, send } from '../transmit.ts';
import { inFlight, recount, segmentSize, segmentsOf, splitEntry } from './flight.ts';
import { EVER_RETRANS, LOST, PUSHED, RECORD_END, RETRANS, SACKED } from './sent-queue.ts';
import { isReducing } from './state.ts';
import { startTimer } from './timers.ts';

/**
 * Sends the first `segments` segments of an entry again; false if the peer's window, which has shrunk, does not
 * take them. The caller says what that means for what is in flight.
 */
export function repeat(
  connection: Connection,
  index: number,
  segments: number,
  now: Micros,
): boolean {
  const { sent, snd, sendBuffer, recovery, stack } = connection;
  const size = segmentSize(connection);
  const start = sent.start(index);
  let room = distance(advance(snd.una, snd.wnd), start);
  if (room <= 0) {
    // With a closed window the first segment serves as a probe; nothing else does.
    if (start !== snd.una) return false;
    room = size;
  }
  let length = Math.min(size * segments, maximumTrain(connection));
  if (length > room) length = room >= size ? room - (room % size) : room;
  const dataEnd = advance(snd.una, sendBuffer.length);
  // A FIN weighs nothing: it stays with the segment that it ends.
  const finAt = snd.finSent && isAfter(sent.end(index), dataEnd) ? 1 : 0;
  if (sent.length(index) - finAt > length) splitEntry(connection, index, length);
  else collapse(connection, index, size, room);
  const end = sent.end(index);
  const fin = snd.finSent && isAfter(end, dataEnd);
  const bytes = sent.length(index) - (fin ? 1 : 0);
  const repeats = sent.segments(index);
  const pushed = (sent.flags(index) & PUSHED) !== 0;
  send(connection, start, (fin ? FIN : 0) | (pushed ? PSH : 0), bytes, now);
  sent.setSent(index, now, recovery.delivered);
  sent.setFlags(index, sent.flags(index) | EVER_RETRANS);
  if (recovery.retransAt < 0) recovery.retransAt = now;
  recovery.undoRetrans = Math.max(0, recovery.undoRetrans) + repeats;
  recovery.totalRetrans += repeats;
  recovery.bytesRetrans += bytes;
  stack.counters.retransmits++;
  return true;
}

/** Joins an entry of one small segment with those behind it that fit into the same segment. */
function collapse(connection: Connection, index: number, size: number, room: number): void {
  const { sent } = connection;
  while (index + 1 < sent.count) {
    const flags = sent.flags(index);
    const next = sent.flags(index + 1);
    const length = sent.length(index) + sent.length(index + 1);
    if (sent.segments(index) > 1 || sent.segments(index + 1) > 1) return;
    if (length > Math.min(size, room) || (next & SACKED) !== 0) return;
    if ((flags & RECORD_END) !== 0) return;
    recount(connection, next, -sent.segments(index + 1));
    const keep = flags & (LOST | RETRANS | EVER_RETRANS);
    sent.merge(index, 1, keep | (next & (EVER_RETRANS | PUSHED | RECORD_END)));
  }
}

/** Sends an entry again and counts it as in flight. */
export function retransmit(
  connection: Connection,
  index: number,
  segments: number,
  now: Micros,
): boolean {
  const { sent, recovery } = connection;
  if (!repeat(connection, index, segments, now)) return false;
  const flags = sent.flags(index);
  if ((flags & RETRANS) === 0) {
    sent.setFlags(index, flags | RETRANS);
    recovery.retransOut += sent.segments(index);
  }
  return true;
}

/** Sends again what is marked lost, the lowest first, as far as the window allows. */
export function retransmitLost(connection: Connection, now: Micros): void {
  const { sent, recovery, congestion, retransmit: timer, rtt } = connection;
  if (recovery.packetsOut === 0) return;
  let first = false;
  for (let index = 0; index < sent.count; index++) {
    const room = congestion.cwnd - inFlight(connection);
    if (room <= 0 || recovery.retransOut >= recovery.lostOut) break;
    const flags = sent.flags(index);
    if ((flags & LOST) === 0 || (flags & (SACKED | RETRANS)) !== 0) continue;
    if (!retransmit(connection, index, room, now)) break;
    if (isReducing(recovery)) recovery.prrOut += sent.segments(index);
    if (index === 0 && timer.timer !== 'reorder') first = true;
  }
  if (first) startTimer(connection, 'rto', now + rtt.rto);
}

/** What is larger than a segment may be now was lost on the way (RFC 1191, 6.4). */
export function markOversized(connection: Connection): boolean {
  const { sent, recovery } = connection;
  const size = segmentSize(connection);
  const before = recovery.lostOut;
  for (let index = 0; index < sent.count; index++) {
    const flags = sent.flags(index);
    const length = sent.length(index);
    if ((flags & SACKED) !== 0 || length / sent.segments(index) <= size) continue;
    const segments = segmentsOf(length, size);
    if ((flags & RETRANS) !== 0) {
      recovery.retransOut -= sent.segments(index);
      sent.setFlags(index, flags & ~RETRANS);
    }
    if ((flags & LOST) === 0) {
      recovery.lostOut += sent.segments(index);
      sent.setFlags(index, (flags & ~RETRANS) | LOST);
    }
    recount(connection, sent.flags(index), segments - sent.segments(index));
    sent.setSegments(index, segments);
  }
  return recovery.lostOut > before;
}
