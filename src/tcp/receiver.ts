// A segment arrives for a connection (RFC 9293, section 3.10.7.4, in its order).
import { MILLISECOND, type Micros, NEVER, SECOND } from '../env/clock.ts';
import { ACK, FIN, RST, SYN } from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { TcpError } from './errors.ts';
import { completePassive, repeatSynAck, synSent } from './handshake.ts';
import { restartKeepalive } from './keepalive.ts';
import * as recovery from './recovery.ts';
import { sampleRtt } from './rtt.ts';
import type { Segment } from './segment.ts';
import { output } from './sender.ts';
import { advance, distance, isAfter, isBefore } from './sequence.ts';
import { sendAck, transmit } from './transmit.ts';

/** Linux delays an acknowledgment by 40 ms; RFC 9293 allows up to 500. */
const DELAYED_ACK: Micros = 40 * MILLISECOND;
/** Unacceptable segments without data are answered this often at most (RFC 5961, section 10). */
const CHALLENGE_INTERVAL: Micros = 100 * MILLISECOND;
/** TS.Recent is void after 24 days (RFC 7323, section 5.5). */
const TIMESTAMP_LIFE: Micros = 24 * 86_400 * SECOND;

/** Handles one segment; afterwards all that it calls for has been sent. */
export function segmentArrives(connection: Connection, segment: Segment, now: Micros): void {
  if (connection.state === 'syn-sent') synSent(connection, segment, now);
  else process(connection, segment, now);
  connection.arm();
}

function process(connection: Connection, segment: Segment, now: Micros): void {
  if (repeatSynAck(connection, segment, now)) return;
  if (!isAcceptable(connection, segment, now)) return;
  // Second, RST (RFC 5961, section 3.2): only the exact number resets, others are challenged.
  if (segment.has(RST)) {
    if (segment.seq === connection.rcv.nxt) resetByPeer(connection);
    else challenge(connection, segment, now);
    return;
  }
  // Fourth, SYN (RFC 5961, section 4.2): never legal here.
  if (segment.has(SYN)) {
    challenge(connection, segment, now);
    return;
  }
  // Fifth, ACK.
  if (!segment.has(ACK)) return;
  takeTimestamp(connection, segment, now);
  if (connection.state === 'syn-received') {
    if (!completePassive(connection, segment, now)) return;
    if (!connection.stack.isLive(connection)) return;
  }
  if (!takeAcknowledgment(connection, segment, now)) return;
  connection.heardAt = now;
  connection.retransmit.unanswered = 0;
  if (connection.keepalive.sent > 0) restartKeepalive(connection.keepalive, now);
  // Seventh and eighth, the text and the FIN.
  const repeat = takeData(connection, segment);
  const early = takeFin(connection, segment, now);
  if (!connection.stack.isLive(connection)) return;
  output(connection, now);
  acknowledge(connection, repeat || early, now);
}

/** First, the sequence number, and before it PAWS (RFC 7323, section 5.3). */
function isAcceptable(connection: Connection, segment: Segment, now: Micros): boolean {
  const { rcv, ts, negotiated, stack } = connection;
  const { options } = segment;
  if (
    negotiated.timestamps &&
    options.hasTimestamps &&
    !segment.has(RST) &&
    distance(options.timestampValue, ts.recent) < 0 &&
    now - ts.recentAt < TIMESTAMP_LIFE
  ) {
    stack.counters.pawsDrops++;
    challenge(connection, segment, now);
    return false;
  }
  const length = segment.length + (segment.has(FIN) ? 1 : 0) + (segment.has(SYN) ? 1 : 0);
  const window = distance(rcv.edge, rcv.nxt);
  const offset = distance(segment.seq, rcv.nxt);
  // The four cases of RFC 9293, table 6, and a segment that starts before the window but reaches into it.
  const starts = offset >= 0 && (offset < window || (offset === 0 && window === 0 && length === 0));
  const reaches = offset < 0 && offset + length > 0;
  if (starts || (reaches && window > 0)) return true;
  // RFC 9293, 3.8.6: with a closed window ACKs and RSTs are taken all the same; so are those of a probe.
  if (offset === 0 && window === 0) return true;
  // A peer that has filled the window sends its ACKs from the window's edge, and may have to repeat what
  // lies before: refusing them, as table 6 does, would stop our side for as long.
  if (offset === window && length === 0) return true;
  stack.counters.unacceptable++;
  if (segment.has(RST)) return false;
  if (segment.has(FIN) && connection.state === 'time-wait') {
    connection.endsAt = now + stack.timeWait;
  }
  challenge(connection, segment, now);
  return false;
}

/** Answers with the numbers that we expect; segments without data not more often than it takes. */
function challenge(connection: Connection, segment: Segment, now: Micros): void {
  if (segment.length === 0 && !segment.has(FIN)) {
    if (now - connection.challengedAt < CHALLENGE_INTERVAL) return;
    connection.challengedAt = now;
  }
  connection.stack.counters.challenges++;
  const { rcv, snd } = connection;
  // What the owner has let us acknowledge is repeated: our word of it got lost.
  const known = segment.length > 0 && isBefore(segment.seq, rcv.holdAt);
  if (rcv.holdAt >= 0 && known) transmit(connection, snd.nxt, 0, 0, now);
  else sendAck(connection, now);
}

function resetByPeer(connection: Connection): void {
  if (connection.state === 'time-wait') {
    // RFC 1337: a reset must not cut TIME-WAIT short.
    return;
  }
  const refused = connection.state === 'syn-received' && connection.onAccept === undefined;
  const last = connection.state === 'last-ack' || connection.state === 'closing';
  if (last) connection.close();
  else if (refused) {
    connection.close(new TcpError('ECONNREFUSED', 'the peer refused the connection'));
  } else connection.close(new TcpError('ECONNRESET', 'the peer reset the connection'));
}

/** RFC 7323, section 4.3: which segment's TSval is echoed. */
function takeTimestamp(connection: Connection, segment: Segment, now: Micros): void {
  const { ts, rcv, negotiated } = connection;
  const { options } = segment;
  if (!negotiated.timestamps || !options.hasTimestamps) return;
  if (isAfter(segment.seq, rcv.lastAckSent)) return;
  if (distance(options.timestampValue, ts.recent) < 0) return;
  ts.recent = options.timestampValue;
  ts.recentAt = now;
}

/** Fifth, the ACK field; false if the segment is to be dropped. */
function takeAcknowledgment(connection: Connection, segment: Segment, now: Micros): boolean {
  const { snd, stack, negotiated } = connection;
  // RFC 5961, section 5.2: an acknowledgment from outside of what may be under way is a blind guess.
  if (isAfter(segment.ack, snd.nxt) || distance(segment.ack, snd.una) < -snd.maxWnd - 1) {
    stack.counters.unacceptable++;
    challenge(connection, segment, now);
    return false;
  }
  const window = segment.window << negotiated.sendScale;
  const news = negotiated.sack && takeSack(connection, segment);
  if (isAfter(segment.ack, snd.una)) takeNewAcknowledgment(connection, segment, now);
  else if (isDuplicate(connection, segment, window, news)) recovery.onDuplicate(connection);
  updateWindow(connection, segment, window);
  switch (connection.state) {
    case 'fin-wait-1':
      if (isFinAcknowledged(connection)) {
        connection.enterFinWait2(now);
      }
      break;
    case 'closing':
      if (isFinAcknowledged(connection)) connection.enterTimeWait(now);
      break;
    case 'last-ack':
      if (isFinAcknowledged(connection)) connection.close();
      break;
    default:
      break;
  }
  return connection.state !== 'closed' && connection.state !== 'time-wait';
}

/** RFC 5681, section 2; with SACK, RFC 6675: what counts is news of data that has arrived. */
function isDuplicate(
  { snd, negotiated }: Connection,
  segment: Segment,
  window: number,
  news: boolean,
): boolean {
  if (segment.ack !== snd.una || snd.una === snd.nxt) return false;
  if (negotiated.sack) return news;
  return segment.length === 0 && !segment.has(FIN) && window === snd.wnd;
}

function isFinAcknowledged({ snd }: Connection): boolean {
  return snd.finSent && snd.una === snd.nxt;
}

function takeNewAcknowledgment(connection: Connection, segment: Segment, now: Micros): void {
  const { snd, sendBuffer, retransmit, congestion, rtt } = connection;
  const acked = distance(segment.ack, snd.una);
  const flight = recovery.inFlight(connection);
  // RFC 7661 and Linux: a window that is not in use says nothing; slow start may run ahead by twice.
  const { cwnd, ssthresh } = congestion;
  const limited = flight + connection.mss > cwnd || (cwnd < ssthresh && 2 * flight >= cwnd);
  sampleRtt(connection, segment, now);
  const bytes = Math.min(acked, sendBuffer.length);
  sendBuffer.release(bytes);
  snd.una = segment.ack;
  retransmit.timeouts = 0;
  // RFC 6298, 5.2 and 5.3.
  retransmit.at = snd.una === snd.nxt ? NEVER : now + rtt.rto;
  recovery.onAdvance(connection, acked, limited);
  if (bytes > 0) connection.handler.onAcknowledged?.(connection, bytes);
}

/** RFC 9293: the window is taken from segments that are not older than the last one that set it. */
function updateWindow({ snd, retransmit }: Connection, segment: Segment, window: number): void {
  const newer =
    isBefore(snd.wl1, segment.seq) || (snd.wl1 === segment.seq && !isAfter(snd.wl2, segment.ack));
  if (!newer || isBefore(segment.ack, snd.una)) return;
  if (snd.wnd === 0 && window > 0 && snd.una === snd.nxt) {
    retransmit.at = NEVER;
    retransmit.probes = 0;
  }
  snd.wnd = window;
  if (window > snd.maxWnd) snd.maxWnd = window;
  snd.wl1 = segment.seq;
  snd.wl2 = segment.ack;
}

/** Notes what the peer has beyond the acknowledgment; true if that is news. */
function takeSack(connection: Connection, { options, ack }: Segment): boolean {
  const { snd, scoreboard } = connection;
  if (options.sackBlocks === 0) return false;
  const before = scoreboard.bytes;
  for (let block = 0; block < options.sackBlocks; block++) {
    const left = options.sackEdges[2 * block];
    const right = options.sackEdges[2 * block + 1];
    const inside = isAfter(left, ack) && isBefore(left, right) && !isAfter(right, snd.nxt);
    if (inside && !isBefore(left, snd.una)) scoreboard.add(left, right);
  }
  return scoreboard.bytes > before;
}

/** Seventh, the segment text; true if the peer must hear again what is expected. */
function takeData(connection: Connection, segment: Segment): boolean {
  const { rcv, receiveBuffer, state } = connection;
  if (segment.length === 0) return false;
  if (state !== 'established' && state !== 'fin-wait-1' && state !== 'fin-wait-2') return false;
  const { bytes } = segment.packet.frame;
  let { seq, start, end } = segment;
  const before = distance(rcv.nxt, seq);
  if (before > 0) {
    start += before;
    seq = rcv.nxt;
  }
  const room = distance(rcv.edge, seq);
  const cut = end - start > room;
  if (cut) end = start + Math.max(0, room);
  // Old data, or none that fits: the sender must hear of it.
  if (start >= end) return true;
  if (seq !== rcv.nxt) {
    if (receiveBuffer.store(bytes, start, end, seq)) connection.latestGap = seq;
    else connection.stack.counters.reassemblyDrops++;
    rcv.quickAcks = Math.max(rcv.quickAcks, 2);
    return true;
  }
  receiveBuffer.append(bytes, start, end);
  rcv.nxt = advance(seq, end - start);
  rcv.unacknowledged += end - start;
  if (receiveBuffer.gaps.count > 0) {
    rcv.nxt = receiveBuffer.take(rcv.nxt);
    acknowledgeSoon(connection);
  }
  connection.handler.onReadable?.(connection);
  return cut || before > 0;
}

/** The next acknowledgment is not delayed (RFC 5681, 4.2: whatever fills a gap). */
function acknowledgeSoon({ rcv }: Connection): void {
  rcv.quickAcks = Math.max(rcv.quickAcks, 1);
}

/** Eighth, the FIN bit, of this segment or of one that came before; true if it came before its time. */
function takeFin(connection: Connection, segment: Segment, now: Micros): boolean {
  const { rcv } = connection;
  if (segment.has(FIN)) rcv.finAt = advance(segment.seq, segment.length);
  if (rcv.finReceived || !connection.stack.isLive(connection)) return false;
  if (rcv.finAt !== rcv.nxt) return segment.has(FIN);
  switch (connection.state) {
    case 'established':
      connection.state = 'close-wait';
      break;
    case 'fin-wait-1':
      connection.state = 'closing';
      break;
    case 'fin-wait-2':
      break;
    default:
      return false;
  }
  rcv.nxt = advance(rcv.nxt, 1);
  rcv.edge = isBefore(rcv.edge, rcv.nxt) ? rcv.nxt : rcv.edge;
  rcv.finReceived = true;
  rcv.unacknowledged++;
  acknowledgeSoon(connection);
  connection.handler.onEnd?.(connection);
  if (connection.state === 'fin-wait-2') {
    sendAck(connection, now);
    connection.enterTimeWait(now);
  }
  return false;
}

/**
 * Acknowledges what has come, now or soon (RFC 9293, 3.8.6.3; RFC 5681, section 4.2), unless a segment of ours
 * has done so meanwhile.
 * @param repeat whether the peer must be answered even if there is nothing new to say
 */
function acknowledge(connection: Connection, repeat: boolean, now: Micros): void {
  const { rcv } = connection;
  if (repeat) {
    sendAck(connection, now);
    return;
  }
  if (rcv.unacknowledged === 0) return;
  if (rcv.quickAcks > 0 || rcv.unacknowledged >= 2 * connection.mss) sendAck(connection, now);
  else if (rcv.ackAt === NEVER && rcv.holdAt < 0) rcv.ackAt = now + DELAYED_ACK;
}
