// Probing a closed window (RFC 9293, section 3.8.6.1), and using one that stays too small.
import { type Micros, NEVER } from '../env/clock.ts';
import { FIN, PSH } from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { TcpError } from './errors.ts';
import { segmentSize } from './recovery/flight.ts';
import { TIMEOUT_MIN } from './recovery/rack.ts';
import { startTimer } from './recovery/timers.ts';
import { MAX_RTO, persistInterval } from './rtt.ts';
import { push, unsent } from './sender.ts';
import { advance, distance } from './sequence.ts';
import { transmit } from './transmit.ts';

/** Probes without an answer that end a connection (Linux: tcp_retries2), and one that nobody waits for. */
const MAX_PROBES = 15;
const MAX_ORPHAN_PROBES = 8;

/**
 * The pause until the next timer, not longer than the user's patience (TCP_USER_TIMEOUT, RFC 5482).
 * @param since when the trouble began; negative before it has
 */
export function clampToUserTimeout(
  { userTimeout }: Connection,
  pause: Micros,
  since: Micros,
  now: Micros,
): Micros {
  if (userTimeout === 0 || since < 0) return pause;
  return Math.min(pause, Math.max(userTimeout - (now - since), TIMEOUT_MIN));
}

/** Nothing is in flight and something waits: the window is closed, and its opening may get lost. */
export function startPersist(connection: Connection, now: Micros): void {
  const { recovery, retransmit, rtt } = connection;
  if (recovery.packetsOut > 0 || retransmit.at !== NEVER || unsent(connection) === 0) return;
  startTimer(connection, 'persist', now + persistInterval(rtt, 0));
}

/** The persist timer has fired. */
export function onPersist(connection: Connection, now: Micros): void {
  const { recovery, retransmit, rtt, stack, userTimeout } = connection;
  retransmit.at = NEVER;
  if (recovery.packetsOut > 0 || unsent(connection) === 0) {
    retransmit.probes = 0;
    retransmit.probesSince = -1;
    return;
  }
  if (retransmit.probesSince < 0) retransmit.probesSince = now;
  const impatient = userTimeout > 0 && now - retransmit.probesSince >= userTimeout;
  let most = MAX_PROBES;
  if (connection.orphaned) {
    const alive = persistInterval(rtt, retransmit.backoff) < MAX_RTO;
    most = alive ? MAX_ORPHAN_PROBES : 0;
  }
  // RFC 1122, 4.2.2.17: a peer that answers may keep its window closed for as long as it likes.
  const silent = retransmit.probes >= most;
  const exhausted = connection.orphaned && retransmit.backoff >= MAX_ORPHAN_PROBES;
  if (impatient || silent || exhausted) {
    connection.giveUp(new TcpError('ETIMEDOUT', 'the peer does not open its window'));
    return;
  }
  stack.counters.windowProbes++;
  sendWindowProbe(connection, now);
  if (recovery.packetsOut > 0) {
    retransmit.probes = 0;
    retransmit.backoff = 0;
    retransmit.probesSince = -1;
    return;
  }
  retransmit.probes++;
  if (retransmit.backoff < MAX_PROBES) retransmit.backoff++;
  const pause = persistInterval(rtt, retransmit.backoff);
  const at = now + clampToUserTimeout(connection, pause, retransmit.probesSince, now);
  startTimer(connection, 'persist', at);
}

/** Uses the window if there is any; else sends a segment that is too old, which the peer must answer. */
function sendWindowProbe(connection: Connection, now: Micros): void {
  const { snd, sendBuffer } = connection;
  const window = distance(advance(snd.una, snd.wnd), snd.nxt);
  if (window <= 0) {
    transmit(connection, advance(snd.una, -1), 0, 0, now);
    return;
  }
  const data = sendBuffer.length - distance(snd.nxt, snd.una);
  const size = Math.min(window, data, segmentSize(connection));
  const fin = snd.finQueued && size === data && size < window;
  push(connection, size, fin ? FIN | PSH : PSH, now);
}
