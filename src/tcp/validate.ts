// Whether a segment belongs to this connection at all, and what a stranger's gets for an answer (RFC 9293,
// section 3.10.7.4, first to fourth; RFC 5961; RFC 7323, section 5).
import { MILLISECOND, type Micros, SECOND } from '../env/clock.ts';
import { FIN, RST, SYN } from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { enterQuick, MAX_QUICK } from './delayed-ack.ts';
import { TcpError } from './errors.ts';
import { noteDuplicate } from './sack-blocks.ts';
import type { Segment } from './segment.ts';
import { advance, distance, isAfter, isBefore } from './sequence.ts';
import { sendAck, transmit } from './transmit.ts';

/**
 * Unacceptable segments without data are answered this often at most (RFC 5961, section 10; Linux:
 * tcp_invalid_ratelimit). Each connection counts for itself: a limit that all share would tell a stranger
 * about the others (CVE-2016-5696).
 */
export const CHALLENGE_INTERVAL: Micros = 500 * MILLISECOND;
/** TS.Recent is void after 24 days (RFC 7323, section 5.5). */
const TIMESTAMP_LIFE: Micros = 24 * 86_400 * SECOND;

/** First, the sequence number, and before it PAWS (RFC 7323, section 5.3). */
export function isAcceptable(connection: Connection, segment: Segment, now: Micros): boolean {
  const { rcv, stack } = connection;
  if (segment.has(RST) && isExactReset(connection, segment)) return true;
  if (!hasFreshTimestamp(connection, segment, now)) return false;
  const length = segment.length + (segment.has(FIN) ? 1 : 0) + (segment.has(SYN) ? 1 : 0);
  const window = Math.max(0, distance(rcv.edge, rcv.nxt));
  const offset = distance(segment.seq, rcv.nxt);
  // The four cases of RFC 9293, table 6, and a segment that starts before the window but reaches into it.
  const starts = offset >= 0 && offset < window;
  const reaches = offset < 0 && offset + length > 0;
  if (starts || (reaches && window > 0)) return true;
  // RFC 9293, 3.8.6: with a closed window ACKs and RSTs are taken all the same; so are those of a probe.
  if (offset === 0 && window === 0) return true;
  // A peer that has filled the window sends its ACKs from the window's edge, and may have to repeat what
  // lies before: refusing them, as table 6 does, would stop our side for as long.
  // Not a RST, which must lie inside (RFC 5961, section 3.2).
  if (offset === window && length === 0 && !segment.has(RST)) return true;
  stack.counters.unacceptable++;
  if (!segment.has(RST)) challenge(connection, segment, now);
  return false;
}

/** RFC 7323, section 5.3, R1: an older timestamp means an old segment. Resets need none. */
function hasFreshTimestamp(connection: Connection, segment: Segment, now: Micros): boolean {
  const { ts, negotiated, stack } = connection;
  const { options } = segment;
  if (!negotiated.timestamps || segment.has(RST)) return true;
  if (!options.hasTimestamps) {
    // Section 3.2 would have them dropped; Linux takes them, since middleboxes strip options.
    if (!stack.requireTimestamps) return true;
    stack.counters.timestampsMissing++;
    return false;
  }
  const older = distance(options.timestampValue, ts.recent) < 0;
  if (!older || now - ts.recentAt >= TIMESTAMP_LIFE) return true;
  stack.counters.pawsDrops++;
  challenge(connection, segment, now);
  return false;
}

/** RFC 7323, section 4.3: which segment's TSval is echoed. */
export function takeTimestamp(connection: Connection, segment: Segment, now: Micros): void {
  const { ts, rcv, negotiated } = connection;
  const { options } = segment;
  if (!negotiated.timestamps || !options.hasTimestamps) return;
  if (isAfter(segment.seq, rcv.lastAckSent)) return;
  const older = distance(options.timestampValue, ts.recent) < 0;
  if (older && now - ts.recentAt < TIMESTAMP_LIFE) return;
  ts.recent = options.timestampValue;
  ts.recentAt = now;
}

/**
 * Answers with the numbers that we expect (RFC 5961, sections 3 to 5); segments without data not more often
 * than it takes.
 */
export function challenge(connection: Connection, segment: Segment, now: Micros): void {
  const { rcv, snd, stack } = connection;
  if (segment.length === 0 || segment.has(SYN)) {
    if (now - connection.challengedAt < CHALLENGE_INTERVAL) {
      stack.counters.challengesWithheld++;
      return;
    }
    connection.challengedAt = now;
  } else if (isBefore(segment.seq, rcv.nxt)) {
    const end = advance(segment.seq, segment.length);
    noteDuplicate(connection, segment.seq, isAfter(end, rcv.nxt) ? rcv.nxt : end);
    enterQuick(connection, MAX_QUICK);
  }
  stack.counters.challenges++;
  // What the owner has let us acknowledge is repeated: our word of it got lost.
  const known = segment.length > 0 && isBefore(segment.seq, rcv.holdAt);
  if (rcv.holdAt >= 0 && known) transmit(connection, snd.nxt, 0, 0, now);
  else sendAck(connection, now);
}

/**
 * RFC 5961, section 3.2: only a reset with the exact number ends a connection. As Linux does, the end of what
 * we have reported by SACK counts as exact, and so does the number of the peer's FIN after it, which is that of
 * the reset of a Mac that has closed. That only while we wait for the acknowledgment of our own FIN: before, a
 * stranger's guess would cost data, and the answer to our FIN brings the exact number.
 */
export function isExactReset(
  { rcv, negotiated, receiveBuffer, state }: Connection,
  { seq }: Segment,
): boolean {
  if (seq === rcv.nxt) return true;
  const { gaps } = receiveBuffer;
  if (negotiated.sack && gaps.count > 0 && seq === gaps.end(gaps.count - 1)) return true;
  return rcv.finReceived && state === 'last-ack' && seq === advance(rcv.nxt, -1);
}

/** Second, RST: the connection is over. */
export function resetByPeer(connection: Connection): void {
  const { state } = connection;
  if (state === 'last-ack' || state === 'closing') connection.close();
  else if (state === 'syn-received' && connection.onAccept === undefined) {
    connection.close(new TcpError('ECONNREFUSED', 'the peer refused the connection'));
  } else connection.close(new TcpError('ECONNRESET', 'the peer reset the connection'));
}
