// The one timer of the sender: retransmission, tail loss probe, reordering or window probe.
import { type Micros, NEVER } from '../../env/clock.ts';
import type { Connection } from '../connection.ts';
import { INITIAL_RTO, MIN_RTO } from '../rtt.ts';
import type { SendTimer } from '../state.ts';
import { TIMEOUT_MIN } from './rack.ts';

export function startTimer({ retransmit }: Connection, timer: SendTimer, at: Micros): void {
  retransmit.timer = timer;
  retransmit.at = at;
}

/** True if the timer that runs is this one. */
export const isPending = ({ retransmit }: Connection, timer: SendTimer): boolean =>
  retransmit.at !== NEVER && retransmit.timer === timer;

/** When the retransmission timer would fire, counted from the first segment's last transmission. */
const timeoutAt = ({ sent, rtt }: Connection): Micros =>
  sent.count > 0 ? sent.sentAt(0) + rtt.rto : NEVER;

/** RFC 6298, 5.2 and 5.3: starts the retransmission timer anew, or stops it if nothing is in flight. */
export function rearmTimeout(connection: Connection, now: Micros): void {
  const { recovery, retransmit, rtt } = connection;
  if (recovery.packetsOut === 0) {
    retransmit.at = NEVER;
    return;
  }
  // Where another timer took its place meanwhile, the time that has passed counts.
  const replaced = isPending(connection, 'probe') || isPending(connection, 'reorder');
  const at = replaced ? Math.max(timeoutAt(connection), now + 1) : now + rtt.rto;
  startTimer(connection, 'rto', at);
}

/**
 * RFC 8985, 7.2: schedules a probe of the tail, if one may be sent; false otherwise.
 * @param anew whether the retransmission timer would start now, not run on
 */
export function scheduleProbe(connection: Connection, anew: boolean, now: Micros): boolean {
  const { recovery, rtt, negotiated } = connection;
  if (recovery.packetsOut === 0 || !negotiated.sack) return false;
  if (recovery.phase !== 'open' && recovery.phase !== 'cwr') return false;
  let pause = INITIAL_RTO;
  if (rtt.srtt > 0) {
    // A single segment may be acknowledged late.
    pause = 2 * rtt.srtt + (recovery.packetsOut === 1 ? MIN_RTO : TIMEOUT_MIN);
  }
  const timeout = anew ? rtt.rto : timeoutAt(connection) - now;
  if (timeout > 0) pause = Math.min(pause, timeout);
  startTimer(connection, 'probe', now + pause);
  return true;
}

/** After an acknowledgment of something new: a probe, or the retransmission timer. */
export function setTransmitTimer(connection: Connection, now: Micros): void {
  if (!scheduleProbe(connection, true, now)) rearmTimeout(connection, now);
}
