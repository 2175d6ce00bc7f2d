// A segment arrives for a connection (RFC 9293, section 3.10.7.4, in its order).
import type { Micros } from '../env/clock.ts';
import { ACK, RST, SYN } from '../wire/tcp.ts';
import { takeAcknowledgment } from './acks.ts';
import type { Connection } from './connection.ts';
import { acknowledge, afterReading } from './delayed-ack.ts';
import { TcpError } from './errors.ts';
import { completePassive, isCrossingSynAck, repeatSynAck, synSent } from './handshake.ts';
import { restartKeepalive } from './keepalive.ts';
import type { Segment } from './segment.ts';
import { output } from './sender.ts';
import { advance, isAfter } from './sequence.ts';
import { takeData, takeFin } from './text.ts';
import { challenge, isAcceptable, isExactReset, resetByPeer } from './validate.ts';

/** Handles one segment; afterwards all that it calls for has been sent. */
export function segmentArrives(connection: Connection, segment: Segment, now: Micros): void {
  connection.count.segmentsIn++;
  if (connection.state === 'syn-sent') synSent(connection, segment, now);
  else {
    connection.arriving = true;
    process(connection, segment, now);
    connection.arriving = false;
    if (connection.hasRead) {
      connection.hasRead = false;
      afterReading(connection, now);
    }
  }
  connection.arm();
}

function process(connection: Connection, segment: Segment, now: Micros): void {
  if (repeatSynAck(connection, segment, now)) return;
  const crossing = isCrossingSynAck(connection, segment);
  if (!crossing && !isAcceptable(connection, segment, now)) return;
  // Second, RST (RFC 5961, section 3.2): only the exact number resets, others are challenged.
  if (segment.has(RST)) {
    if (isExactReset(connection, segment)) resetByPeer(connection);
    else challenge(connection, segment, now);
    return;
  }
  // Fourth, SYN (RFC 5961, section 4.2): never legal here.
  if (segment.has(SYN) && !crossing) {
    challenge(connection, segment, now);
    return;
  }
  // Fifth, ACK.
  if (!segment.has(ACK)) return;
  if (connection.state === 'syn-received') {
    if (!completePassive(connection, segment, now)) return;
    if (!connection.stack.isLive(connection)) return;
  }
  const { una } = connection.snd;
  if (!takeAcknowledgment(connection, segment, now)) return;
  if (connection.snd.una !== una) connection.confirmHop(now);
  connection.heardAt = now;
  if (connection.keepalive.sent > 0) restartKeepalive(connection.keepalive, now);
  if (crossing) connection.ack.scheduled = connection.ack.immediate = true;
  else {
    if (connection.refusesText && isUnwanted(connection, segment)) {
      connection.stack.answerReset(segment);
      connection.close(new TcpError('ECONNRESET', 'the peer sent what nobody reads'));
      return;
    }
    // Seventh and eighth, the text and the FIN.
    takeData(connection, segment, now);
    takeFin(connection, segment, now);
    if (!connection.stack.isLive(connection)) return;
  }
  output(connection, now);
  acknowledge(connection, now);
}

/** New text, also such as comes too early, after our FIN. */
function isUnwanted({ state, rcv }: Connection, { seq, length }: Segment): boolean {
  if (state !== 'fin-wait-1' && state !== 'fin-wait-2') return false;
  return length > 0 && isAfter(advance(seq, length), rcv.nxt);
}
