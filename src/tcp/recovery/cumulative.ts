// What a cumulative acknowledgment takes off the queue, and what can be learnt from that.
import type { Micros } from '../../env/clock.ts';
import type { Connection } from '../connection.ts';
import { sampleAck } from '../rtt.ts';
import type { Segment } from '../segment.ts';
import { distance, isAfter, isBefore } from '../sequence.ts';
import type { AckFacts } from './ack.ts';
import { detectionOf } from './detection.ts';
import { releaseSent, segmentSize, segmentsOf } from './flight.ts';
import { noteReordering, rackDelivered } from './rack.ts';
import { EVER_RETRANS, LOST, RETRANS, SACKED } from './sent-queue.ts';

/** SND.UNA has moved: forgets what is acknowledged, takes round trips, counts what was delivered. */
export function takeCumulative(
  connection: Connection,
  segment: Segment,
  ack: AckFacts,
  now: Micros,
): void {
  const { sent, snd, recovery, negotiated } = connection;
  let firstAt: Micros = -1;
  let lastAt: Micros = -1;
  let segments = 0;
  let whole = true;
  const deliveredBefore = recovery.delivered;
  while (sent.count > 0 && isAfter(snd.una, sent.start(0))) {
    const flags = sent.flags(0);
    const start = sent.start(0);
    const end = sent.end(0);
    const sentAt = sent.sentAt(0);
    const sentDelivered = sent.delivered(0);
    let gone = sent.segments(0);
    if (isAfter(end, snd.una)) {
      whole = false;
      const left = segmentsOf(distance(end, snd.una), segmentSize(connection));
      gone -= Math.min(left, gone);
      sent.trim(distance(snd.una, start), sent.segments(0) - gone);
      // A part of a segment is no segment delivered.
      if (gone === 0) break;
    } else sent.shift();
    if ((flags & EVER_RETRANS) !== 0) {
      if ((flags & RETRANS) !== 0) recovery.retransOut -= gone;
      ack.retransAcked = true;
    } else if ((flags & SACKED) === 0) {
      lastAt = sentAt;
      if (firstAt < 0) firstAt = sentAt;
      if (isBefore(start, ack.reordered)) ack.reordered = start;
      if (!isAfter(end, recovery.point)) ack.originalDelivered = true;
    }
    if ((flags & SACKED) !== 0) recovery.sackedOut -= gone;
    else if (negotiated.sack) {
      recovery.delivered += gone;
      if (!isSpurious(connection, flags, sentAt, segment)) {
        rackDelivered(connection, flags, end, sentAt, now);
      }
    }
    if ((flags & LOST) !== 0) recovery.lostOut -= gone;
    recovery.packetsOut -= gone;
    segments += gone;
    ack.priorDelivered = Math.max(ack.priorDelivered, sentDelivered);
    ack.acked = true;
    if (!whole) break;
  }
  if (sent.count === 0) releaseSent(connection);
  else if ((sent.flags(0) & SACKED) !== 0) ack.reneging = true;
  ack.maybeDelayed =
    segments === 1 &&
    whole &&
    ack.priorSacked === 0 &&
    distance(snd.una, ack.priorUna) < segmentSize(connection) &&
    ack.priorDelivered + 1 === recovery.delivered &&
    recovery.delivered === deliveredBefore + 1 &&
    !ack.sacked &&
    !ack.dsack &&
    !ack.echo;
  const measured = sampleAck(connection, segment, ack, firstAt, lastAt, now);
  if (ack.acked) {
    ack.setTimer = true;
    const detection = detectionOf(connection);
    detection.acknowledged(connection, segments);
    if (negotiated.sack) {
      // A hole that was never sent again has filled: the path reorders.
      if (isBefore(ack.reordered, ack.priorFack)) noteReordering(connection, ack.reordered);
    } else if (ack.retransAcked) {
      // Without reports nobody knows which of them was the original.
      ack.originalDelivered = false;
    }
  } else if (measured && sent.count > 0 && ack.firstSackedAt >= 0) {
    // Where data behind a hole was sent after the last repetition of the hole, the timer is not put off.
    ack.setTimer = ack.firstSackedAt < sent.sentAt(0);
  }
}

/** RFC 3522: the echo is older than the retransmission, which therefore was not needed. */
function isSpurious(
  { ts, stack, negotiated }: Connection,
  flags: number,
  sentAt: Micros,
  { options }: Segment,
): boolean {
  if ((flags & EVER_RETRANS) === 0 || !negotiated.timestamps || !options.hasTimestamps)
    return false;
  if (options.timestampEcho === 0) return false;
  return distance(options.timestampEcho, stack.timestamp(sentAt, ts.offset)) < 0;
}
