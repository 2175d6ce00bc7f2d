// Two terminated connections, bytes copied from one to the other: for the pairs whose options do not
// agree, so that no rewriting of headers could join them. A relay does not outlive its proxy.
import type { Connection, ConnectionHandler } from '../tcp/connection.ts';
import type { TcpError } from '../tcp/errors.ts';

/** Bytes on their way to one side before the other is not read any more. */
const BUFFERED = 262_144;

/** Passes on what comes from one side of a relay. */
class Side implements ConnectionHandler {
  other: Connection | undefined;
  readonly #closed: () => void;

  constructor(closed: () => void) {
    this.#closed = closed;
  }

  onReadable(connection: Connection): void {
    const other = this.other;
    if (other === undefined) return;
    while (other.sendBuffer.length < BUFFERED) {
      const bytes = connection.read();
      if (bytes === undefined) break;
      if (other.state === 'closed' || other.snd.finQueued) return;
      other.write(bytes);
    }
    if (connection.rcv.finReceived && connection.receiveBuffer.length === 0) other.end();
  }

  onEnd(connection: Connection): void {
    this.onReadable(connection);
  }

  /** There is room on this side: what waits on the other may come. */
  onAcknowledged(): void {
    const other = this.other;
    if (other !== undefined) other.handler.onReadable?.(other);
  }

  onClose(_connection: Connection, error: TcpError | undefined): void {
    const other = this.other;
    this.other = undefined;
    if (error !== undefined && other !== undefined) other.abort();
    this.#closed();
  }
}

/**
 * Joins two established connections until both are closed.
 * @param held what has been read from the client already
 */
export function relay(
  client: Connection,
  backend: Connection,
  held: Uint8Array,
  onClose: () => void,
): void {
  let open = 2;
  const closed = () => {
    if (--open === 0) onClose();
  };
  const fromClient = new Side(closed);
  const fromBackend = new Side(closed);
  fromClient.other = backend;
  fromBackend.other = client;
  client.handler = fromClient;
  backend.handler = fromBackend;
  client.snd.noDelay = true;
  backend.snd.noDelay = true;
  client.release();
  backend.release();
  if (held.length > 0) backend.write(held);
  fromClient.onReadable(client);
  fromBackend.onReadable(backend);
}
