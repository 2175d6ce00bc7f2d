// What ICMP errors mean for a connection (RFC 5461, RFC 5927; path MTU discovery, RFC 1191 and RFC 8201).
import type { Micros } from '../env/clock.ts';
import type { PathError } from '../ip/packet.ts';
import * as tcp from '../wire/tcp.ts';
import type { Connection } from './connection.ts';
import { TcpError, type TcpErrorCode } from './errors.ts';
import { setSegmentSize } from './handshake.ts';
import { resendTooLarge } from './sender.ts';
import { isBefore } from './sequence.ts';

/** Takes an error that quotes a segment of this connection. */
export function takePathError(connection: Connection, error: PathError, now: Micros): void {
  const { snd, stack, state } = connection;
  // RFC 5927, section 4: the quoted number must be one that is under way.
  const seq = error.view.getUint32(error.quote + tcp.SEQ_AT);
  if (isBefore(seq, snd.una) || !isBefore(seq, snd.nxt)) {
    stack.counters.pathErrorsIgnored++;
    return;
  }
  if (error.kind === 'too-big') {
    reduceSegments(connection, error.mtu, now);
    return;
  }
  const reason = codeOf(error.kind);
  // Hard errors end a connection attempt only (RFC 5461, section 4): later they might be forged, and
  // a path that comes back makes them untrue.
  if (state === 'syn-sent') connection.close(new TcpError(reason, describe(reason)));
  else if (state === 'syn-received' && error.kind !== 'refused') connection.close();
  else connection.softError = reason;
}

function codeOf(kind: PathError['kind']): TcpErrorCode {
  return kind === 'refused' ? 'ECONNREFUSED' : 'EHOSTUNREACH';
}

const describe = (code: TcpErrorCode): string =>
  code === 'ECONNREFUSED'
    ? 'the host says that nobody listens'
    : 'a router says that there is no way';

/** A router could not pass a packet on: smaller ones follow, and what was too large goes out again at once. */
function reduceSegments(connection: Connection, mtu: number, now: Micros): void {
  const { stack, remote, negotiated, mss } = connection;
  stack.ip.learnPathMtu(remote.address, mtu);
  setSegmentSize(connection, Math.min(negotiated.sendMss, stack.maximumSegment(remote.address)));
  if (connection.mss >= mss) return;
  stack.counters.pathMtuReductions++;
  if (connection.state !== 'syn-sent' && connection.state !== 'syn-received') {
    resendTooLarge(connection, now);
  }
  connection.arm();
}
