// The retransmission timer expired (RFC 6298, section 5; RFC 6675, section 5.1; RFC 5682).
import type { Micros } from '../../env/clock.ts';
import type { Connection } from '../connection.ts';
import { isAfter } from '../sequence.ts';
import { detectionOf } from './detection.ts';
import { inFlight, markLost } from './flight.ts';
import { rackRemaining } from './rack.ts';
import { currentThreshold } from './reduction.ts';
import { SACKED } from './sent-queue.ts';
import { isCalm, REORDERING } from './state.ts';
import { beginUndo } from './undo.ts';

/** All is lost, but what was sent so recently that its acknowledgment can still come. */
function markFlight(connection: Connection, now: Micros): void {
  const { sent, recovery, negotiated } = connection;
  // RFC 2018, section 8: a peer that has reported the first segment and still does not acknowledge it has
  // thrown away what it reported.
  const reneged = sent.count > 0 && (sent.flags(0) & SACKED) !== 0;
  if (reneged) {
    recovery.sackedOut = 0;
    recovery.reneged = true;
  } else detectionOf(connection).reset(connection);
  for (let index = 0; index < sent.count; index++) {
    if (reneged) sent.setFlags(index, sent.flags(index) & ~SACKED);
    else if (negotiated.sack && index > 0 && rackRemaining(connection, index, 0, now) > 0) continue;
    markLost(connection, index);
  }
}

/** Begins the loss phase: the window is one segment more than what is in flight, which is none. */
export function enterLoss(connection: Connection, now: Micros): void {
  const { recovery, congestion, congestionControl, snd, retransmit, ecn } = connection;
  const { phase } = recovery;
  const begins = phase !== 'recovery' && phase !== 'loss';
  markFlight(connection, now);
  // RFC 5681 (4): the threshold is set once for each window of data.
  const again = phase === 'loss' && retransmit.timeouts > 0;
  if (isCalm(recovery) || !isAfter(recovery.point, snd.una) || (phase === 'loss' && !again)) {
    recovery.priorSsthresh = currentThreshold(connection);
    recovery.priorCwnd = congestion.cwnd;
    congestion.ssthresh = congestionControl.threshold(congestion);
    beginUndo(connection);
  }
  congestionControl.expire(congestion);
  congestion.cwnd = inFlight(connection) + 1;
  congestion.count = 0;
  congestion.usedAt = now;
  // So many reports and yet a timeout: the reordering was taken for larger than it is.
  if (isCalm(recovery) && recovery.sackedOut >= REORDERING) {
    recovery.reordering = Math.min(recovery.reordering, REORDERING);
  }
  recovery.phase = 'loss';
  recovery.point = snd.nxt;
  recovery.tlpEnd = -1;
  if (ecn.ok) ecn.cwr = true;
  // RFC 5682, 3.1 step 1: not where an earlier repair is under way.
  recovery.frto = begins || retransmit.timeouts > 0;
}
