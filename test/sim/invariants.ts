// What holds for every connection at any time, whatever the network does to it.
import type { Host } from '../../src/host/host.ts';
import type { Connection } from '../../src/tcp/connection.ts';
import { distance } from '../../src/tcp/sequence.ts';

interface Seen {
  una: number;
  nxt: number;
  edge: number;
}

/** Half the sequence space is the farthest that two numbers of one connection can be apart. */
const MAX_FLIGHT = 2 ** 30;

/** Looks at the connections of hosts again and again, and remembers what must not go back. */
export class Invariants {
  readonly #hosts: readonly Host[];
  readonly #seen = new Map<Connection, Seen>();

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
  }

  /** @throws Error that names the first rule that does not hold, and the connection */
  check(): void {
    for (const host of this.#hosts) {
      for (const connection of host.tcp.connections()) this.#checkConnection(connection);
    }
    if (this.#seen.size > 10_000) this.#seen.clear();
  }

  /** @throws Error if a host keeps anything of a connection, or has a timer of one */
  checkNothingLeft(): void {
    for (const host of this.#hosts) {
      const { connectionCount } = host.tcp;
      if (connectionCount > 0) throw new Error(`${connectionCount} connections are left`);
      if (host.tcp.connecting.size > 0) throw new Error('a connection attempt is left');
      const { held } = host.tcp.memory;
      if (held !== 0) throw new Error(`${held} bytes are held by no connection`);
      if (host.timers.armed > 0) throw new Error(`${host.timers.armed} timers are left`);
    }
  }

  #checkConnection(connection: Connection): void {
    const { snd, rcv, receiveBuffer, congestion, rtt, mss, state, negotiated } = connection;
    const fail = (rule: string): never => {
      throw new Error(`${rule}: ${state} ${JSON.stringify({ snd, rcv, congestion, rtt })}`);
    };
    if (state === 'syn-sent' || state === 'closed') return;
    const flight = distance(snd.nxt, snd.una);
    if (flight < 0 || flight > MAX_FLIGHT) fail('SND.UNA is beyond SND.NXT');
    if (distance(rcv.edge, rcv.nxt) < 0) fail('the window ends before what was taken');
    // The window that was told is rounded up to what its scale can say; the FIN has a number too.
    const most = rcv.limit + 2 ** negotiated.receiveScale;
    if (receiveBuffer.length + receiveBuffer.gaps.bytes > most) {
      fail(`${receiveBuffer.length} + ${receiveBuffer.gaps.bytes} bytes are kept`);
    }
    if (!(congestion.cwnd >= 1 && Number.isFinite(congestion.cwnd))) fail('no congestion window');
    if (!(mss >= 1 && mss <= 65_535)) fail(`segments of ${mss} bytes`);
    if (!(rtt.rto >= 1_000 && rtt.rto <= 120_000_000)) fail('the timeout is out of bounds');
    const seen = this.#seen.get(connection);
    if (seen === undefined) {
      this.#seen.set(connection, { una: snd.una, nxt: rcv.nxt, edge: rcv.edge });
      return;
    }
    if (distance(snd.una, seen.una) < 0) fail('SND.UNA has moved back');
    if (distance(rcv.nxt, seen.nxt) < 0) fail('RCV.NXT has moved back');
    if (distance(rcv.edge, seen.edge) < 0) fail('the window has shrunk');
    seen.una = snd.una;
    seen.nxt = rcv.nxt;
    seen.edge = rcv.edge;
  }
}
