// The text of a segment and its FIN (RFC 9293, section 3.10.7.4, seventh and eighth).
import type { Micros } from '../env/clock.ts';
import { CWR, FIN } from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { dataArrived, enterQuick, MAX_QUICK } from './delayed-ack.ts';
import { growWindow } from './receive-window.ts';
import { noteDuplicate } from './sack-blocks.ts';
import type { Segment } from './segment.ts';
import { advance, distance, isAfter, isBefore } from './sequence.ts';

/** The ECN field of an IP header (RFC 3168, section 5). */
const ECN_FIELD = 0x03;
const CONGESTION_EXPERIENCED = 0x03;

/** Takes what is new of a segment's text, and notes what is to be acknowledged. */
export function takeData(connection: Connection, segment: Segment, now: Micros): void {
  const { rcv, ack, receiveBuffer, state, stack, count } = connection;
  if (segment.length === 0) return;
  if (state !== 'established' && state !== 'fin-wait-1' && state !== 'fin-wait-2') return;
  if (connection.ecn.ok) takeCongestionMark(connection, segment);
  const { bytes } = segment.packet.frame;
  let { seq, start, end } = segment;
  const before = distance(rcv.nxt, seq);
  if (before > 0) {
    noteDuplicate(connection, seq, advance(seq, Math.min(before, end - start)));
    start += before;
    seq = rcv.nxt;
    ack.scheduled = true;
    ack.immediate = true;
  }
  const room = distance(rcv.edge, seq);
  if (end - start > room) {
    end = start + Math.max(0, room);
    ack.scheduled = true;
    ack.immediate = true;
  }
  // Old data, or none that fits: the sender must hear of it.
  if (start >= end) {
    enterQuick(connection, MAX_QUICK);
    return;
  }
  count.dataSegmentsIn += segmentsOf(segment);
  if (seq !== rcv.nxt) {
    takeEarly(connection, bytes, start, end, seq);
    return;
  }
  if (stack.memory.isExhausted && receiveBuffer.length > 0) {
    // It was promised room, and yet there is none: it is as if it had been lost on the way.
    stack.counters.memoryDrops++;
    ack.scheduled = true;
    return;
  }
  // RFC 2883, section 4.2: it may bring again what has waited for it. A duplicate before that is told first.
  if (before <= 0 && receiveBuffer.gaps.count > 0) {
    noteOverlap(connection, seq, advance(seq, end - start));
  }
  receiveBuffer.append(bytes, start, end);
  rcv.nxt = advance(seq, end - start);
  if (receiveBuffer.gaps.count > 0) {
    rcv.nxt = receiveBuffer.take(rcv.nxt);
    // RFC 5681, 4.2: whatever fills a gap is acknowledged at once.
    if (receiveBuffer.gaps.count === 0) ack.immediate = true;
  }
  count.bytesReceived += distance(rcv.nxt, seq);
  dataArrived(connection, segment, now);
  growWindow(connection, segment, now);
  connection.handler.onReadable?.(connection);
}

/** Keeps what came before what precedes it. */
function takeEarly(
  connection: Connection,
  bytes: Uint8Array,
  start: number,
  end: number,
  seq: number,
): void {
  const { ack, receiveBuffer, stack, count } = connection;
  ack.scheduled = true;
  ack.immediate = true;
  noteOverlap(connection, seq, advance(seq, end - start));
  count.outOfOrder++;
  if (stack.memory.isExhausted || !receiveBuffer.store(bytes, start, end, seq)) {
    stack.counters.reassemblyDrops++;
  }
}

/** RFC 2883, section 4: what has been kept already is a duplicate. */
function noteOverlap(connection: Connection, start: number, end: number): void {
  const { gaps } = connection.receiveBuffer;
  for (let i = 0; i < gaps.count && isBefore(gaps.start(i), end); i++) {
    if (!isAfter(gaps.end(i), start)) continue;
    const from = isAfter(gaps.start(i), start) ? gaps.start(i) : start;
    const to = isBefore(gaps.end(i), end) ? gaps.end(i) : end;
    noteDuplicate(connection, from, to);
    return;
  }
}

/** RFC 3168, section 6.1.3: a mark is echoed until the sender says that it has reduced its window. */
function takeCongestionMark(connection: Connection, segment: Segment): void {
  const { ecn, ack, count } = connection;
  if (segment.has(CWR)) {
    ecn.echo = false;
    // A window that has just been reduced may be so small that its sender waits for this acknowledgment.
    ack.immediate = true;
  }
  const field = segment.packet.trafficClass & ECN_FIELD;
  if (field === CONGESTION_EXPERIENCED) {
    count.marked += segmentsOf(segment);
    if (!ecn.echo) enterQuick(connection, 2);
    ecn.echo = true;
  } else if (field === 0 && ecn.seen) enterQuick(connection, 2); // Probably a retransmission.
  if (field !== 0) ecn.seen = true;
}

const segmentsOf = (segment: Segment): number => {
  const { segmentSize } = segment.packet;
  return segmentSize > 0 ? Math.ceil(segment.length / segmentSize) : 1;
};

/** Eighth, the FIN bit, of this segment or of one that came before. */
export function takeFin(connection: Connection, segment: Segment, now: Micros): void {
  const { rcv, ack } = connection;
  if (segment.has(FIN)) {
    const at = advance(segment.seq, segment.length);
    if (!isWithin(connection, at)) return;
    rcv.finAt = at;
    ack.scheduled = true;
    if (at !== rcv.nxt) ack.immediate = true;
  }
  if (rcv.finReceived || rcv.finAt !== rcv.nxt || !connection.stack.isLive(connection)) return;
  switch (connection.state) {
    case 'established':
      connection.state = 'close-wait';
      // Our own FIN is likely to follow at once, and to acknowledge this one too: as on Linux, it is waited for.
      ack.interactive = true;
      break;
    case 'fin-wait-1':
      connection.state = 'closing';
      break;
    case 'fin-wait-2':
      break;
    default:
      return;
  }
  rcv.nxt = advance(rcv.nxt, 1);
  rcv.edge = isBefore(rcv.edge, rcv.nxt) ? rcv.nxt : rcv.edge;
  rcv.finReceived = true;
  ack.scheduled = true;
  if (connection.state !== 'close-wait' || !segment.has(FIN)) ack.immediate = true;
  connection.receiveBuffer.dropGaps();
  connection.handler.onEnd?.(connection);
  if (connection.state === 'fin-wait-2') connection.enterTimeWait(now);
}

/** A FIN whose text was cut at the window's edge has not arrived; one just behind a full window has. */
function isWithin({ rcv }: Connection, at: number): boolean {
  return !isAfter(at, rcv.edge) && !isBefore(at, advance(rcv.nxt, -1));
}
