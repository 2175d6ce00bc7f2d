// What recovery counts must agree with what is in its queue, at any time.
import type { Connection } from '../../src/tcp/connection.ts';
import { LOST, RETRANS, SACKED } from '../../src/tcp/recovery/sent-queue.ts';

/** What is wrong with a connection's accounts, or undefined. */
export function flightFault(connection: Connection): string | undefined {
  const { sent, recovery, snd, negotiated, congestion, retransmit, state } = connection;
  if (state === 'closed' || state === 'syn-sent' || state === 'syn-received') return undefined;
  if (state === 'time-wait') return undefined;
  let [out, sacked, lost, retrans] = [0, 0, 0, 0];
  let next = snd.una;
  for (let index = 0; index < sent.count; index++) {
    if (sent.start(index) !== next) return `entry ${index} starts at ${sent.start(index)}`;
    next = sent.end(index);
    const segments = sent.segments(index);
    if (segments < 1 || sent.length(index) < 1) return `entry ${index} is empty`;
    const flags = sent.flags(index);
    out += segments;
    if ((flags & SACKED) !== 0) sacked += segments;
    if ((flags & LOST) !== 0) lost += segments;
    if ((flags & RETRANS) !== 0) retrans += segments;
    if ((flags & SACKED) !== 0 && (flags & (LOST | RETRANS)) === (LOST | RETRANS)) {
      return `entry ${index} has arrived and is lost`;
    }
  }
  if (next !== snd.nxt) return `the queue ends at ${next}, SND.NXT is ${snd.nxt}`;
  const { packetsOut, sackedOut, lostOut, retransOut } = recovery;
  if (packetsOut !== out) return `${packetsOut} segments out, ${out} in the queue`;
  if (negotiated.sack && sackedOut !== sacked)
    return `${sackedOut} reported, ${sacked} in the queue`;
  if (!negotiated.sack && sackedOut > packetsOut) return `${sackedOut} duplicates of ${packetsOut}`;
  if (lostOut !== lost) return `${lostOut} lost, ${lost} in the queue`;
  if (retransOut !== retrans) return `${retransOut} repeated, ${retrans} in the queue`;
  if (sackedOut + lostOut > packetsOut) return `${sackedOut} + ${lostOut} of ${packetsOut}`;
  if (!(congestion.cwnd >= 1 && Number.isInteger(congestion.cwnd)))
    return `window ${congestion.cwnd}`;
  if (packetsOut > 0 && retransmit.at === Number.POSITIVE_INFINITY) return 'no timer runs';
  return undefined;
}
