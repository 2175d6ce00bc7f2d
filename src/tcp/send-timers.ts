// The sender's timer fired: what that means, and when the peer has had its time to answer.
import { type Micros, NEVER } from '../env/clock.ts';
import type { Connection } from './connection.ts';
import { TcpError } from './errors.ts';
import { clampToUserTimeout, onPersist } from './persist.ts';
import { sendProbe } from './recovery/probe.ts';
import { rackExpired } from './recovery/rack.ts';
import { enterRecovery, reduce } from './recovery/reduction.ts';
import { retransmit, retransmitLost } from './recovery/retransmit.ts';
import { enterLoss } from './recovery/timeout.ts';
import { isPending, rearmTimeout, startTimer } from './recovery/timers.ts';
import { backOff, MAX_RTO, MIN_RTO } from './rtt.ts';
import { sendNew } from './sender.ts';
import { transmitSyn } from './transmit.ts';

/** Timeouts in a row before a connection is given up (Linux: tcp_retries2, tcp_syn_retries, tcp_synack_retries). */
const MAX_TIMEOUTS = 15;
const MAX_SYN_TIMEOUTS = 6;
const MAX_SYN_ACK_TIMEOUTS = 5;
/** The same when nobody waits for the connection any more (Linux: tcp_orphan_retries). */
const MAX_ORPHAN_TIMEOUTS = 8;
/** For how long a peer whose window is closed may leave a retransmission without an answer. */
const CLOSED_WINDOW_SILENCE: Micros = 2 * MAX_RTO;
/** From this many doublings on the timeout is at its maximum. */
const DOUBLINGS = Math.floor(Math.log2(MAX_RTO / MIN_RTO));

export function onSendTimer(connection: Connection, now: Micros): void {
  const { state, retransmit: pending } = connection;
  if (state === 'syn-sent' || state === 'syn-received') {
    onHandshakeTimeout(connection, now);
    return;
  }
  const { timer } = pending;
  switch (timer) {
    case 'persist':
      onPersist(connection, now);
      break;
    case 'probe':
      sendProbe(connection, now, sendProbeData);
      break;
    case 'reorder':
      onReorder(connection, now);
      break;
    case 'rto':
      onTimeout(connection, now);
      break;
  }
}

/** One segment of new data, whatever the congestion window says; false if the peer's window has no room. */
function sendProbeData(connection: Connection, now: Micros): boolean {
  const { nxt } = connection.snd;
  sendNew(connection, now, 'probe');
  return connection.snd.nxt !== nxt;
}

function onHandshakeTimeout(connection: Connection, now: Micros): void {
  const { retransmit: pending, rtt, stack } = connection;
  const most = connection.onAccept === undefined ? MAX_SYN_TIMEOUTS : MAX_SYN_ACK_TIMEOUTS;
  if (pending.timeouts >= most) {
    connection.giveUp(new TcpError('ETIMEDOUT', 'the peer does not answer'));
    return;
  }
  stack.counters.timeouts++;
  pending.timeouts++;
  backOff(rtt);
  rtt.timedEnd = -1;
  transmitSyn(connection, now);
  startTimer(connection, 'rto', now + rtt.rto);
}

/** The reordering timer (RFC 8985, 6.3): what was late is lost. */
function onReorder(connection: Connection, now: Micros): void {
  const { recovery, retransmit: pending } = connection;
  const lost = recovery.lostOut;
  pending.at = NEVER;
  if (rackExpired(connection, now)) {
    if (recovery.phase !== 'recovery') {
      enterRecovery(connection, false);
      reduce(connection, 1, recovery.lostOut - lost, false);
    }
    retransmitLost(connection, now);
  }
  if (!isPending(connection, 'rto')) {
    // It counts from the first segment's last transmission, as if it had run all the time.
    startTimer(connection, 'reorder', now);
    rearmTimeout(connection, now);
  }
}

/** The retransmission timer (RFC 6298, 5.4 to 5.7). */
function onTimeout(connection: Connection, now: Micros): void {
  const { recovery, retransmit: pending, rtt, snd, stack } = connection;
  pending.at = NEVER;
  if (recovery.packetsOut === 0) return;
  const closed = snd.wnd === 0 && !connection.orphaned;
  if (closed ? isSilent(connection, now) : isTooLate(connection, now)) {
    connection.giveUp(new TcpError('ETIMEDOUT', 'the peer does not answer'));
    return;
  }
  stack.counters.timeouts++;
  enterLoss(connection, now);
  if (!closed && pending.timeouts++ === 0) pending.timeoutsSince = now;
  retransmit(connection, 0, 1, now);
  pending.backoff++;
  backOff(rtt);
  const since = closed ? recovery.retransAt : pending.timeoutsSince;
  const pause = clampToUserTimeout(connection, rtt.rto, since, now);
  startTimer(connection, 'rto', now + pause);
}

/** The time that `timeouts` of them take in a row, the first after 200 ms (Linux: tcp_retries2 means time). */
function patience(timeouts: number): Micros {
  const doubled = (2 * 2 ** Math.min(timeouts, DOUBLINGS) - 1) * MIN_RTO;
  return doubled + Math.max(0, timeouts - DOUBLINGS) * MAX_RTO;
}

/** RFC 9293, 3.8.3, R2: the peer has had its time to answer. */
function isTooLate(connection: Connection, now: Micros): boolean {
  const { retransmit: pending, rtt, userTimeout, orphaned } = connection;
  if (pending.timeouts === 0) return false;
  let most = MAX_TIMEOUTS;
  if (orphaned) most = rtt.rto < MAX_RTO ? MAX_ORPHAN_TIMEOUTS : 0;
  const time = userTimeout > 0 ? userTimeout : patience(most);
  return now - pending.timeoutsSince >= time;
}

/** With a closed window the retransmissions are probes: a peer that says anything lives. */
function isSilent(connection: Connection, now: Micros): boolean {
  const { recovery, sent, heardAt, userTimeout } = connection;
  const since = recovery.retransAt >= 0 ? recovery.retransAt : sent.sentAt(0);
  if (userTimeout > 0 && now - since > userTimeout) return true;
  const limit =
    userTimeout > 0 ? Math.min(CLOSED_WINDOW_SILENCE, userTimeout) : CLOSED_WINDOW_SILENCE;
  return now - heardAt > limit && now - since > limit;
}
