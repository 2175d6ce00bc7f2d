// Segments in flight, and the marks on them.
import type { Connection } from '../connection.ts';
import type { SendState } from '../state.ts';
import { EVER_RETRANS, LOST, NOTHING_SENT, RETRANS, SACKED } from './sent-queue.ts';

/** Segments believed to be on the way (RFC 6675, SetPipe). */
export const inFlight = ({ recovery }: Connection): number =>
  recovery.packetsOut - recovery.sackedOut - recovery.lostOut + recovery.retransOut;

/** Payload bytes of a segment: not more than half of the largest window, or acknowledgments would wait. */
export function segmentSize({ mss, snd }: Connection): number {
  const bound = halfWindow(snd);
  return bound > 0 && mss > bound ? Math.max(bound, MIN_SEGMENT) : mss;
}

/** Half of the largest window that the peer has offered, or all of one that is tiny. */
export const halfWindow = ({ maxWnd }: SendState): number =>
  maxWnd > SMALL_WINDOW ? maxWnd >> 1 : maxWnd;

/** A peer with a window as small as this gets it filled by one segment (Linux: TCP_MSS_DEFAULT). */
const SMALL_WINDOW = 536;
const MIN_SEGMENT = 48;

/** The segments that `length` numbers take. */
export const segmentsOf = (length: number, size: number): number =>
  length <= size ? 1 : Math.ceil(length / size);

/** The end of the highest reported segment, or SND.UNA without a report. */
export const highestSacked = ({ recovery, snd }: Connection): number =>
  recovery.sackedOut === 0 ? snd.una : recovery.fack;

/** Takes an entry for lost; a retransmission of it that is in flight as well. */
export function markLost({ sent, recovery }: Connection, index: number): void {
  const flags = sent.flags(index);
  if ((flags & SACKED) !== 0) return;
  if ((flags & LOST) === 0) {
    recovery.lostOut += sent.segments(index);
    sent.setFlags(index, flags | LOST);
  } else if ((flags & RETRANS) !== 0) {
    recovery.retransOut -= sent.segments(index);
    sent.setFlags(index, flags & ~RETRANS);
  }
}

/** Nothing is lost after all. */
export function unmarkLost({ sent, recovery }: Connection): void {
  for (let index = 0; index < sent.count; index++) {
    sent.setFlags(index, sent.flags(index) & ~LOST);
  }
  recovery.lostOut = 0;
}

/** True if the answer to a retransmission may still be on its way. */
export const anyRetransmitted = ({ recovery, sent }: Connection): boolean =>
  recovery.retransOut > 0 || (sent.count > 0 && (sent.flags(0) & EVER_RETRANS) !== 0);

/** Splits an entry behind its first `length` numbers, which are whole segments. */
export function splitEntry(connection: Connection, index: number, length: number): void {
  const { sent } = connection;
  const size = segmentSize(connection);
  const first = Math.min(segmentsOf(length, size), Math.max(1, sent.segments(index) - 1));
  const before = sent.segments(index);
  sent.split(index, length, first);
  const more = first + sent.segments(index + 1) - before;
  if (more !== 0) recount(connection, sent.flags(index), more);
}

/** An entry with these flags counts `more` segments (or, negative, fewer) than it did. */
export function recount({ recovery, negotiated }: Connection, flags: number, more: number): void {
  recovery.packetsOut += more;
  // Without reports nobody knows which of them the duplicates spoke of.
  if (!negotiated.sack && more < 0) recovery.sackedOut = Math.max(0, recovery.sackedOut + more);
  if ((flags & SACKED) !== 0) recovery.sackedOut += more;
  if ((flags & LOST) !== 0) recovery.lostOut += more;
  if ((flags & RETRANS) !== 0) recovery.retransOut += more;
}

/** Nothing is in flight any more: what described it goes back. */
export function releaseSent(connection: Connection): void {
  const { sent, recovery, stack } = connection;
  if (sent !== NOTHING_SENT) {
    connection.sent = NOTHING_SENT;
    stack.sentQueues.give(sent);
  }
  recovery.packetsOut = 0;
  recovery.sackedOut = 0;
  recovery.lostOut = 0;
  recovery.retransOut = 0;
}
