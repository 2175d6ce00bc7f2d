// What to send, and when: new data within the two windows, lost data again, probes of a closed window.
import { type Micros, NEVER } from '../env/clock.ts';
import { FIN, PSH } from '../wire/tcp.ts';
import { initialWindow } from './congestion.ts';
import type { Connection } from './connection.ts';
import { TcpError } from './errors.ts';
import * as recovery from './recovery.ts';
import { backOff, persistInterval } from './rtt.ts';
import { advance, distance, isAfter } from './sequence.ts';
import { transmit, transmitSyn } from './transmit.ts';

/** The largest payload of a segment train: what fits an IP packet beside the longest headers. */
const MAX_TRAIN = 65_535 - 120;
/** Timeouts in a row before a connection is given up (Linux: tcp_retries2, tcp_syn_retries). */
const MAX_TIMEOUTS = 15;
const MAX_SYN_TIMEOUTS = 6;
/** The same when nobody waits for the connection any more (Linux: tcp_orphan_retries). */
const MAX_ORPHAN_TIMEOUTS = 8;

/** Sends all that may be sent now. */
export function output(connection: Connection, now: Micros): void {
  switch (connection.state) {
    case 'established':
    case 'close-wait':
    case 'fin-wait-1':
    case 'closing':
    case 'last-ack':
      break;
    default:
      return;
  }
  while (retransmitLost(connection, now) || sendNew(connection, now));
  const { snd, sendBuffer, retransmit } = connection;
  const unsent = sendBuffer.length > distance(snd.nxt, snd.una) || (snd.finQueued && !snd.finSent);
  // Nothing under way and yet not allowed to send: the window is closed, and its opening may get lost.
  if (retransmit.at === NEVER && snd.una === snd.nxt && unsent) {
    retransmit.at = now + persistInterval(connection.rtt, retransmit.probes);
  }
}

/** Sends one train of lost bytes again; false if there are none or the window is used up. */
function retransmitLost(connection: Connection, now: Micros): boolean {
  const lost = recovery.nextLost(connection);
  if (lost === undefined) return false;
  const { snd, congestion, stack } = connection;
  const { mss } = connection;
  const room = congestion.cwnd - recovery.inFlight(connection);
  const first = connection.recovery.highRxt === snd.una;
  // The first retransmission goes out whatever the window says (RFC 6675, section 5, step 4.3).
  const allowed = first ? mss : Math.floor(room / mss) * mss;
  if (allowed <= 0) return false;
  const size = Math.min(distance(lost.to, lost.from), allowed, maximumTrain(connection));
  resend(connection, lost.from, size, now);
  connection.recovery.highRxt = advance(lost.from, size);
  stack.counters.retransmits++;
  return true;
}

/** Sends `size` sequence numbers from `seq` on again, the FIN among them if it lies there. */
function resend(connection: Connection, seq: number, size: number, now: Micros): void {
  const { snd, sendBuffer, rtt, retransmit } = connection;
  const dataEnd = advance(snd.una, sendBuffer.length);
  const fin = snd.finSent && isAfter(advance(seq, size), dataEnd);
  const length = fin ? distance(dataEnd, seq) : size;
  // Karn: a segment sent twice gives no sample.
  rtt.timedEnd = -1;
  transmit(connection, seq, fin ? FIN | PSH : PSH, length, now);
  retransmit.at = now + rtt.rto;
}

/** Sends one train of new bytes, or the FIN; false if the windows, Nagle or SWS avoidance forbid it. */
function sendNew(connection: Connection, now: Micros): boolean {
  const { snd, sendBuffer, congestion, rtt, retransmit } = connection;
  if (snd.finSent) return false;
  const { mss } = connection;
  const outstanding = distance(snd.nxt, snd.una);
  const available = sendBuffer.length - outstanding;
  const window = distance(advance(snd.una, snd.wnd), snd.nxt);
  if (window <= 0) return false;
  if (available === 0) {
    if (snd.finQueued) sendFin(connection, 0, now);
    return false;
  }
  if (outstanding === 0) restartAfterIdle(connection, now);
  const room = congestion.cwnd - recovery.inFlight(connection);
  if (room < Math.min(mss, available) && outstanding > 0) return false;
  let size = Math.min(available, window, Math.max(room, mss), maximumTrain(connection));
  if (size < available || !mayEndShort(connection, available, outstanding)) {
    if (size >= mss) size -= size % mss;
    else if (size === available) return false;
    // RFC 9293, 3.8.6.2.1: a piece of the window is worth a segment only if it is half of the largest.
    else if (size < snd.maxWnd / 2) return false;
  }
  const last = size === available;
  snd.sentAt = now;
  if (rtt.timedEnd < 0) {
    rtt.timedEnd = advance(snd.nxt, size);
    rtt.timedAt = now;
  }
  if (last && snd.finQueued && size < window) sendFin(connection, size, now);
  else {
    transmit(connection, snd.nxt, last ? PSH : 0, size, now);
    snd.nxt = advance(snd.nxt, size);
  }
  // A persist timer gives way too.
  if (retransmit.at === NEVER || outstanding === 0) {
    retransmit.at = now + rtt.rto;
    retransmit.probes = 0;
  }
  return true;
}

function sendFin(connection: Connection, size: number, now: Micros): void {
  const { snd, retransmit, rtt } = connection;
  const first = snd.una === snd.nxt;
  transmit(connection, snd.nxt, FIN | PSH, size, now);
  snd.nxt = advance(snd.nxt, size + 1);
  snd.finSent = true;
  if (first || retransmit.at === NEVER) {
    retransmit.at = now + rtt.rto;
    retransmit.probes = 0;
  }
}

/** RFC 5681, 4.1: after a pause the old window says nothing about the path any more. */
function restartAfterIdle({ snd, rtt, congestion, mss }: Connection, now: Micros): void {
  if (now - snd.sentAt > rtt.rto) {
    congestion.cwnd = Math.min(congestion.cwnd, initialWindow(mss));
  }
}

/** Nagle (RFC 9293, 3.7.4): the short last segment waits while something is unacknowledged. */
function mayEndShort(connection: Connection, available: number, outstanding: number): boolean {
  const { snd } = connection;
  return available % connection.mss === 0 || outstanding === 0 || snd.noDelay || snd.finQueued;
}

function maximumTrain(connection: Connection): number {
  const { mss, stack } = connection;
  return stack.ip.link.offload ? Math.max(mss, MAX_TRAIN - (MAX_TRAIN % mss)) : mss;
}

/** The retransmission timer fired. Ends the connection with an error when it has fired too often. */
export function onTimeout(connection: Connection, now: Micros): void {
  const { snd, retransmit, rtt, stack } = connection;
  const handshake = connection.state === 'syn-sent' || connection.state === 'syn-received';
  const probing = !handshake && snd.una === snd.nxt;
  if (isTooLate(connection, handshake, probing)) {
    connection.fail(new TcpError('ETIMEDOUT', 'the peer does not answer'));
    return;
  }
  retransmit.at = NEVER;
  if (probing) {
    if (connection.sendBuffer.length > 0 || (snd.finQueued && !snd.finSent)) {
      probeWindow(connection, now);
    }
    return;
  }
  stack.counters.timeouts++;
  retransmit.timeouts++;
  retransmit.unanswered++;
  backOff(rtt);
  rtt.timedEnd = -1;
  if (handshake) transmitSyn(connection, now);
  else {
    recovery.onTimeout(connection);
    output(connection, now);
  }
  if (retransmit.at === NEVER) retransmit.at = now + rtt.rto;
}

/** True if the peer has had its time to answer. */
function isTooLate(connection: Connection, handshake: boolean, probing: boolean): boolean {
  const { timeouts, probes, unanswered } = connection.retransmit;
  if (handshake) return timeouts >= MAX_SYN_TIMEOUTS;
  if (connection.orphaned) return (probing ? probes : timeouts) >= MAX_ORPHAN_TIMEOUTS;
  // A peer that answers with a closed window lives, and may keep it closed for as long as it likes.
  const closed = probing || connection.snd.wnd === 0;
  return (closed ? unanswered : timeouts) >= MAX_TIMEOUTS;
}

/**
 * Makes the peer repeat its window (RFC 9293, 3.8.6.1): a segment one byte below what it expects, which
 * it must answer.
 */
function probeWindow(connection: Connection, now: Micros): void {
  const { snd, retransmit, rtt, stack } = connection;
  stack.counters.windowProbes++;
  retransmit.unanswered++;
  // A window too small for silly-window avoidance is used once the timer says so.
  const window = distance(advance(snd.una, snd.wnd), snd.nxt);
  if (window > 0 && connection.sendBuffer.length > 0) {
    const size = Math.min(window, connection.sendBuffer.length, connection.mss);
    transmit(connection, snd.nxt, PSH, size, now);
    snd.nxt = advance(snd.nxt, size);
    snd.sentAt = now;
    retransmit.at = now + rtt.rto;
    return;
  }
  transmit(connection, advance(snd.una, -1), 0, 0, now);
  retransmit.probes++;
  retransmit.at = now + persistInterval(rtt, retransmit.probes);
}
