// Keep-alive (RFC 9293, section 3.8.4): a silent peer is asked whether it is still there.
import { type Micros, NEVER, SECOND } from '../env/clock.ts';
import type { Connection } from './connection.ts';
import { TcpError } from './errors.ts';
import { advance } from './sequence.ts';
import type { KeepaliveState } from './state.ts';
import { transmit } from './transmit.ts';

/** Off, with Linux's times for when it is switched on. */
export const keepaliveState = (): KeepaliveState => ({
  idle: 7_200 * SECOND,
  interval: 75 * SECOND,
  attempts: 9,
  sent: 0,
  at: NEVER,
});

/** On, with this silence before the first probe; or off, and then no probe that is out counts any more. */
export function switchKeepalive(
  keepalive: KeepaliveState,
  idle: Micros | undefined,
  now: Micros,
): void {
  keepalive.sent = 0;
  if (idle !== undefined) keepalive.idle = idle;
  keepalive.at = idle === undefined ? NEVER : now + idle;
}

/** The peer has answered. */
export function restartKeepalive(keepalive: KeepaliveState, now: Micros): void {
  keepalive.sent = 0;
  keepalive.at = now + keepalive.idle;
}

/** The keep-alive timer fired: probe, wait, or give up. */
export function onKeepalive(connection: Connection, now: Micros): void {
  const { keepalive, heardAt, snd } = connection;
  // Data under way is looked after by the retransmission timer.
  const busy = snd.una !== snd.nxt;
  const dueAt = heardAt + keepalive.idle + keepalive.sent * keepalive.interval;
  if (busy || now < dueAt) {
    keepalive.at = busy ? now + keepalive.idle : dueAt;
    return;
  }
  // RFC 5482, section 4.1, and Linux: the user's patience counts instead of the number of probes.
  const { userTimeout } = connection;
  const over =
    userTimeout > 0
      ? keepalive.sent > 0 && now - heardAt >= userTimeout
      : keepalive.sent >= keepalive.attempts;
  if (over) {
    keepalive.at = NEVER;
    connection.fail(new TcpError('ETIMEDOUT', 'the peer does not answer keep-alive probes'));
    return;
  }
  keepalive.sent++;
  keepalive.at = now + keepalive.interval;
  transmit(connection, advance(snd.nxt, -1), 0, 0, now);
}
