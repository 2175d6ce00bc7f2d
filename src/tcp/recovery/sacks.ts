// The peer's reports of what has arrived out of order (RFC 2018, 6675) or twice (RFC 2883).
import type { Micros } from '../../env/clock.ts';
import type { Options } from '../../wire/tcp-options.ts';
import type { Connection } from '../connection.ts';
import { distance, isAfter, isBefore } from '../sequence.ts';
import type { AckFacts } from './ack.ts';
import { highestSacked, segmentSize, segmentsOf, splitEntry } from './flight.ts';
import { noteReordering, rackDelivered } from './rack.ts';
import {
  EVER_RETRANS,
  LOST,
  PUSHED,
  RECORD_END,
  RETRANS,
  SACKED,
  type SentQueue,
} from './sent-queue.ts';

/** Marks what the blocks of an acknowledgment of `acknowledged` report. */
export function takeSacks(
  connection: Connection,
  options: Options,
  acknowledged: number,
  ack: AckFacts,
  now: Micros,
): void {
  const { recovery, snd } = connection;
  const edges = options.sackEdges;
  const duplicate = isDsack(connection, options, acknowledged, ack);
  if (recovery.packetsOut === 0) return;
  for (let block = 0; block < options.sackBlocks; block++) {
    const left = edges[2 * block];
    const right = edges[2 * block + 1];
    const again = duplicate && block === 0;
    if (!isPlausible(connection, again, left, right)) continue;
    if (isAfter(right, ack.priorUna)) markBlock(connection, left, right, again, ack, now);
  }
  const { phase, undoMarker } = recovery;
  if (phase !== 'loss' || undoMarker >= 0) {
    if (isBefore(ack.reordered, highestSacked(connection)) && ack.reordered !== snd.nxt) {
      noteReordering(connection, ack.reordered);
    }
  }
}

/** RFC 2018, section 4: within what is in flight, and not upside down; a DSACK may lie a bit below. */
function isPlausible(
  { snd, recovery }: Connection,
  duplicate: boolean,
  left: number,
  right: number,
): boolean {
  if (isAfter(right, snd.nxt) || !isBefore(left, right)) return false;
  if (!isBefore(left, snd.nxt)) return false;
  if (isAfter(left, snd.una)) return true;
  const { undoMarker } = recovery;
  if (!duplicate || undoMarker < 0 || isAfter(right, snd.una)) return false;
  if (!isBefore(left, undoMarker)) return true;
  return isAfter(right, undoMarker) && distance(right, left) <= snd.maxWnd;
}

/** RFC 2883, section 4: the first block reports something received twice. */
function isDsack(
  connection: Connection,
  { sackEdges, sackBlocks }: Options,
  acknowledged: number,
  ack: AckFacts,
): boolean {
  const left = sackEdges[0];
  const right = sackEdges[1];
  const below = isBefore(left, acknowledged);
  const within = sackBlocks > 1 && !isAfter(right, sackEdges[3]) && !isBefore(left, sackEdges[2]);
  if (!below && !within) return false;
  const segments = noteDuplicate(connection, left, right, ack);
  if (segments === 0) return false;
  const { recovery } = connection;
  // Of what is acknowledged already nothing is kept: it is counted.
  const known = !isAfter(right, ack.priorUna) && isAfter(right, recovery.undoMarker);
  if (recovery.undoMarker >= 0 && recovery.undoRetrans > 0 && known) {
    recovery.undoRetrans = Math.max(0, recovery.undoRetrans - segments);
  }
  return true;
}

/** Counts the segments of a DSACK; 0 if it cannot be the answer to retransmissions of ours. */
function noteDuplicate(connection: Connection, left: number, right: number, ack: AckFacts): number {
  const { recovery, snd } = connection;
  const length = distance(right, left);
  if (length <= 0 || length > snd.maxWnd) return 0;
  const size = segmentSize(connection);
  const segments = segmentsOf(length, size);
  if (segments === 1 && recovery.tlpEnd >= 0 && recovery.tlpEnd === right) ack.dsackTlp = true;
  recovery.dsackDups += segments;
  // The network, or an attacker, has duplicated more than we repeated.
  if (recovery.dsackDups > recovery.totalRetrans) return 0;
  // RFC 8985, 6.2 step 4: a probe of the tail says nothing about reordering.
  if (recovery.reordSeen > 0 && !ack.dsackTlp) recovery.reoDsack = true;
  ack.dsack = true;
  return segments;
}

/** Marks the segments that lie wholly in `[left, right)`. */
function markBlock(
  connection: Connection,
  left: number,
  right: number,
  duplicate: boolean,
  ack: AckFacts,
  now: Micros,
): void {
  const { sent } = connection;
  for (let index = sent.find(left); index < sent.count; index++) {
    if (!isBefore(sent.start(index), right)) return;
    if ((sent.flags(index) & SACKED) !== 0 && !duplicate) continue;
    // A part of a train: it is split where segments end, and what is not whole does not count.
    if (isBefore(sent.start(index), left)) {
      if (!splitAt(connection, index, left, true)) continue;
      index++;
    }
    if (isAfter(sent.end(index), right) && !splitAt(connection, index, right, false)) return;
    if (isAfter(sent.end(index), right)) return;
    markEntry(connection, index, duplicate, ack, now);
    index = joinReported(connection, index);
  }
}

/** Splits an entry at the segment border next to `seq`: behind it if `up`; false if there is none inside. */
function splitAt(connection: Connection, index: number, seq: number, up: boolean): boolean {
  const { sent } = connection;
  if (sent.segments(index) < 2) return false;
  const size = segmentSize(connection);
  const inside = distance(seq, sent.start(index));
  const segments = up ? Math.ceil(inside / size) : Math.floor(inside / size);
  const length = segments * size;
  if (length <= 0 || length >= sent.length(index)) return false;
  splitEntry(connection, index, length);
  return true;
}

function markEntry(
  connection: Connection,
  index: number,
  duplicate: boolean,
  ack: AckFacts,
  now: Micros,
): void {
  const { sent, recovery } = connection;
  const segments = sent.segments(index);
  const start = sent.start(index);
  const end = sent.end(index);
  let flags = sent.flags(index);
  if (duplicate && (flags & EVER_RETRANS) !== 0) {
    const counted = recovery.undoMarker >= 0 && isAfter(end, recovery.undoMarker);
    if (counted && recovery.undoRetrans > 0) {
      recovery.undoRetrans = Math.max(0, recovery.undoRetrans - segments);
    }
    if ((flags & SACKED) !== 0 && isBefore(start, ack.reordered)) ack.reordered = start;
  }
  if ((flags & SACKED) === 0) {
    const sentAt = sent.sentAt(index);
    rackDelivered(connection, flags, end, sentAt, now);
    if ((flags & RETRANS) !== 0) {
      // Not taken for lost: its retransmission is believed to be on its way still.
      if ((flags & LOST) !== 0) {
        flags &= ~(LOST | RETRANS);
        recovery.lostOut -= segments;
        recovery.retransOut -= segments;
      }
    } else {
      if ((flags & EVER_RETRANS) === 0) {
        const late = isBefore(start, highestSacked(connection));
        if (late && isBefore(start, ack.reordered)) ack.reordered = start;
        if (!isAfter(end, recovery.point)) ack.originalDelivered = true;
        if (ack.firstSackedAt < 0) ack.firstSackedAt = sentAt;
        ack.lastSackedAt = sentAt;
      }
      if ((flags & LOST) !== 0) {
        flags &= ~LOST;
        recovery.lostOut -= segments;
      }
    }
    ack.priorDelivered = Math.max(ack.priorDelivered, sent.delivered(index));
    flags |= SACKED;
    ack.sacked = true;
    if (recovery.sackedOut === 0 || isAfter(end, recovery.fack)) recovery.fack = end;
    recovery.sackedOut += segments;
    recovery.delivered += segments;
  }
  if (duplicate && (flags & RETRANS) !== 0) {
    flags &= ~RETRANS;
    recovery.retransOut -= segments;
  }
  sent.setFlags(index, flags);
}

/** Joins a reported entry with reported neighbours, so that few entries remain; its index after that. */
function joinReported({ sent }: Connection, index: number): number {
  let at = index;
  if (at > 0 && join(sent, at - 1)) at--;
  if (at + 1 < sent.count) join(sent, at);
  return at;
}

const ENDS = PUSHED | RECORD_END;
const MAX_JOINED = 0xffff;

/** Joins an entry with the next if the peer has both and nothing else differs. */
function join(sent: SentQueue, index: number): boolean {
  const first = sent.flags(index);
  const second = sent.flags(index + 1);
  if ((first & SACKED) === 0 || (first & RECORD_END) !== 0) return false;
  if ((first & ~PUSHED) !== (second & ~ENDS)) return false;
  const segments = sent.segments(index) + sent.segments(index + 1);
  if (segments > MAX_JOINED) return false;
  sent.merge(index, segments, second);
  return true;
}
