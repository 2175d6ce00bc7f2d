// Whether the congestion window is in use: only then does it grow, and after a pause it means nothing any more
// (RFC 2861, RFC 7661; RFC 5681, section 4.1), as Linux decides it.
import { type Micros, NEVER } from '../env/clock.ts';
import { INITIAL_WINDOW, inSlowStart } from './congestion/control.ts';
import type { Connection } from './connection.ts';
import type { AckFacts } from './recovery/ack.ts';
import { inFlight } from './recovery/flight.ts';
import { currentThreshold, reduce } from './recovery/reduction.ts';
import { isReducing, REORDERING } from './recovery/state.ts';
import { isBefore } from './sequence.ts';

/** Notes, after something could be sent, how much is in flight and whether the window held more back. */
export function noteFlight(connection: Connection, sent: boolean, now: Micros): void {
  const { congestion, recovery, snd } = connection;
  const full = inFlight(connection) >= congestion.cwnd;
  if (!sent && !full) return;
  const flight = recovery.packetsOut;
  const news = !isBefore(snd.una, congestion.usageEnd);
  if (news || full || (!congestion.limited && flight > congestion.maxFlight)) {
    congestion.limited = full;
    congestion.maxFlight = flight;
    congestion.usageEnd = snd.nxt;
  }
  if (isLimited(connection)) {
    congestion.used = 0;
    congestion.usedAt = now;
    return;
  }
  if (flight > congestion.used) congestion.used = flight;
  const { slowStartAfterIdle } = connection.stack;
  if (slowStartAfterIdle && now - congestion.usedAt >= connection.rtt.rto) {
    shrinkUnused(connection, now);
  }
}

/** True if the window is what holds data back; in slow start also if it could be after it has doubled. */
export function isLimited({ congestion }: Connection): boolean {
  if (congestion.limited) return true;
  return inSlowStart(congestion) && congestion.cwnd < 2 * congestion.maxFlight;
}

/** RFC 2861, section 3.1: halfway towards what has been used in the last timeout's time. */
function shrinkUnused(connection: Connection, now: Micros): void {
  const { congestion, recovery } = connection;
  if (recovery.phase === 'open') {
    const used = Math.max(congestion.used, INITIAL_WINDOW);
    if (used < congestion.cwnd) {
      congestion.ssthresh = currentThreshold(connection);
      congestion.cwnd = (congestion.cwnd + used) >> 1;
    }
    congestion.used = 0;
  }
  congestion.usedAt = now;
}

/** RFC 5681, 4.1, and RFC 2861: half of the window for each timeout in which nothing was sent. */
export function restartAfterIdle(connection: Connection, now: Micros): void {
  const { congestion, rtt, snd, stack } = connection;
  if (!stack.slowStartAfterIdle) return;
  let idle = now - snd.sentAt;
  if (idle <= rtt.rto) return;
  const restart = Math.min(INITIAL_WINDOW, congestion.cwnd);
  congestion.ssthresh = currentThreshold(connection);
  let { cwnd } = congestion;
  for (idle -= rtt.rto; idle > 0 && cwnd > restart; idle -= rtt.rto) cwnd >>= 1;
  congestion.cwnd = Math.max(cwnd, restart);
  congestion.usedAt = now;
  congestion.used = 0;
}

/** The handshake is complete: what it took says something about the path. */
export function beginSending(connection: Connection, now: Micros): void {
  const { congestion, recovery, retransmit, snd } = connection;
  // RFC 5681, 3.1: a SYN that was lost more than once warns of congestion (one may be a slow peer).
  if (retransmit.timeouts > 1) congestion.cwnd = 1;
  retransmit.at = NEVER;
  recovery.totalRetrans = retransmit.timeouts;
  retransmit.timeouts = 0;
  recovery.point = snd.una;
  recovery.rackEnd = snd.una;
  congestion.usageEnd = snd.una;
  congestion.usedAt = now;
  snd.sentAt = now;
  snd.pushedAt = snd.una;
  snd.pieceAt = snd.una;
  snd.smallEnd = snd.una;
}

/** What an acknowledgment that delivered so much, and showed so much to be lost, does to the window. */
export function controlWindow(
  connection: Connection,
  delivered: number,
  lost: number,
  ack: AckFacts,
  now: Micros,
): void {
  const { recovery, congestion, congestionControl, rtt } = connection;
  if (isReducing(recovery)) {
    reduce(connection, delivered, lost, ack.advanced);
    return;
  }
  // Where segments overtake each other, what is reported counts as well as what is acknowledged in order.
  const grows = recovery.reordering > REORDERING ? ack.acked || ack.sacked : ack.acked;
  if (!grows || delivered <= 0 || !isLimited(connection)) return;
  congestionControl.grow(congestion, delivered, rtt.min, now);
}
