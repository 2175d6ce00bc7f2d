// Keep-alive (RFC 9293, section 3.8.4): a silent peer is asked whether it is still there.
import { type Micros, NEVER } from '../env/clock.ts';
import type { Connection } from './connection.ts';
import { TcpError } from './errors.ts';
import { advance } from './sequence.ts';
import type { KeepaliveState } from './state.ts';
import { transmit } from './transmit.ts';

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
  if (keepalive.sent >= keepalive.attempts) {
    keepalive.at = NEVER;
    connection.fail(new TcpError('ETIMEDOUT', 'the peer does not answer keep-alive probes'));
    return;
  }
  keepalive.sent++;
  keepalive.at = now + keepalive.interval;
  transmit(connection, advance(snd.nxt, -1), 0, 0, now);
}
