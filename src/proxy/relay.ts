// Two terminated connections, bytes copied from one to the other: for the pairs whose options do not
// agree, so that no rewriting of headers could join them. A relay does not outlive its proxy.
import { type Micros, SECOND } from '../env/clock.ts';
import type { Connection, ConnectionHandler } from '../tcp/connection.ts';

/** Bytes on their way to one side before the other is not read any more. */
const BUFFERED = 262_144;
/** An end that is silent is asked so often, as the ends of a splice are. */
const PROBES = 3;
const PROBE_INTERVAL: Micros = 5 * SECOND;

/**
 * Joins two established connections until both are closed.
 * @param held what has been read from the client already
 * @param idle silence after which an end is asked whether it is still there
 */
export function relay(
  client: Connection,
  backend: Connection,
  held: Uint8Array,
  idle: Micros,
  onClose: () => void,
): void {
  let open = 2;
  const sideOf = (own: Connection, other: Connection): ConnectionHandler => ({
    onReadable: () => pass(own, other),
    onEnd: () => pass(own, other),
    // There is room on this side: what waits on the other may come.
    onAcknowledged: () => pass(other, own),
    // A connection that is closed in order may still hold what the other side has no room for yet.
    onClose: (_, error) => {
      if (error !== undefined && other.state !== 'time-wait') other.abort();
      if (--open === 0) onClose();
    },
  });
  client.handler = sideOf(client, backend);
  backend.handler = sideOf(backend, client);
  for (const connection of [client, backend]) {
    connection.configure({ receiveBuffer: BUFFERED });
    connection.snd.noDelay = true;
    connection.keepalive.interval = PROBE_INTERVAL;
    connection.keepalive.attempts = PROBES;
    connection.setKeepalive(idle);
    connection.release();
  }
  if (held.length > 0) backend.write(held);
  pass(client, backend);
  pass(backend, client);
}

/** Passes on what has come from one side, and its end behind it. */
function pass(from: Connection, to: Connection): void {
  while (to.sendBuffer.length < BUFFERED) {
    if (to.snd.finQueued || to.state === 'closed') return;
    const bytes = from.read();
    if (bytes === undefined) break;
    to.write(bytes);
  }
  if (from.rcv.finReceived && from.receiveBuffer.length === 0) to.end();
}
