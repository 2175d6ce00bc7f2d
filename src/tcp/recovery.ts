// Loss recovery: which bytes are taken for lost, what is in flight, what to send again. With SACK after
// RFC 6675, without it after RFC 6582 (NewReno).
import type { Connection } from './connection.ts';
import { advance, distance, isAfter, isBefore, later } from './sequence.ts';

/** Duplicate acknowledgments that mean loss (RFC 5681). */
const THRESHOLD = 3;

/** Bytes of `[from, to)` that the peer has not reported. */
function missing(connection: Connection, from: number, to: number): number {
  let bytes = Math.max(0, distance(to, from));
  const { scoreboard } = connection;
  for (let i = 0; i < scoreboard.count; i++) {
    const start = later(scoreboard.start(i), from);
    const end = isBefore(scoreboard.end(i), to) ? scoreboard.end(i) : to;
    bytes -= Math.max(0, distance(end, start));
  }
  return bytes;
}

/** The end of the segment at SND.UNA, as far as can be told: a reported range may begin before it would. */
function firstHoleEnd({ snd, scoreboard, mss }: Connection): number {
  const end = advance(snd.una, mss);
  return scoreboard.count > 0 && isBefore(scoreboard.start(0), end) ? scoreboard.start(0) : end;
}

/** What was not reported below this number is lost (RFC 6675, IsLost). */
function lostEdge(connection: Connection): number {
  const { recovery, snd, scoreboard } = connection;
  if (recovery.phase === 'loss') return recovery.point;
  const mss = connection.mss;
  let edge = recovery.phase === 'recovery' ? firstHoleEnd(connection) : snd.una;
  let reported = 0;
  for (let above = scoreboard.count - 1; above >= 0; above--) {
    const ranges = scoreboard.count - above;
    reported += distance(scoreboard.end(above), scoreboard.start(above));
    if (ranges >= THRESHOLD || reported > (THRESHOLD - 1) * mss) {
      edge = later(edge, scoreboard.start(above));
      break;
    }
  }
  return isAfter(edge, snd.nxt) ? snd.nxt : edge;
}

/** Bytes believed to be on the way (RFC 6675, SetPipe). */
export function inFlight(connection: Connection): number {
  const { snd, recovery, scoreboard, negotiated } = connection;
  const outstanding = distance(snd.nxt, snd.una);
  if (recovery.phase === 'open' && recovery.duplicates === 0 && scoreboard.count === 0) {
    return outstanding;
  }
  const arrived = negotiated.sack
    ? scoreboard.bytes
    : Math.min(recovery.duplicates * connection.mss, outstanding);
  const lost = missing(connection, later(recovery.highRxt, snd.una), lostEdge(connection));
  return Math.max(0, outstanding - arrived - (recovery.phase === 'open' ? 0 : lost));
}

/** The next range to send again, or undefined. */
export function nextLost(connection: Connection): { from: number; to: number } | undefined {
  const { recovery, snd, scoreboard } = connection;
  if (recovery.phase === 'open') return undefined;
  const edge = lostEdge(connection);
  let from = later(recovery.highRxt, snd.una);
  let to = edge;
  for (let i = 0; i < scoreboard.count; i++) {
    if (!isBefore(from, scoreboard.start(i)) && isBefore(from, scoreboard.end(i))) {
      from = scoreboard.end(i);
    } else if (isAfter(scoreboard.start(i), from)) {
      if (isBefore(scoreboard.start(i), to)) to = scoreboard.start(i);
      break;
    }
  }
  return isBefore(from, to) ? { from, to } : undefined;
}

/** New data was acknowledged: SND.UNA has moved by `acked` bytes. */
export function onAdvance(connection: Connection, acked: number, limited: boolean): void {
  const { recovery, snd, congestion, stack } = connection;
  connection.scoreboard.dropBefore(snd.una);
  recovery.highRxt = later(recovery.highRxt, snd.una);
  if (recovery.phase === 'open') {
    recovery.duplicates = 0;
    stack.congestionControl.onAcknowledged(congestion, acked, connection.mss, limited);
    return;
  }
  if (!isBefore(snd.una, recovery.point)) {
    // RFC 6582, 3.2 step 3: no burst when the window opens again.
    if (recovery.phase === 'recovery') {
      const flight = distance(snd.nxt, snd.una);
      congestion.cwnd = Math.min(
        congestion.ssthresh,
        Math.max(flight, connection.mss) + connection.mss,
      );
    }
    recovery.phase = 'open';
    recovery.duplicates = 0;
    return;
  }
  if (recovery.phase === 'loss') {
    stack.congestionControl.onAcknowledged(congestion, acked, connection.mss, true);
  } else if (!connection.negotiated.sack) {
    // A partial acknowledgment, so that what starts here is lost as well (RFC 6582, 3.2 step 3): deflate by
    // what was acknowledged, less the segment that goes out for it.
    const left = recovery.duplicates - Math.floor(acked / connection.mss) + 1;
    recovery.duplicates = Math.max(0, left);
  }
}

/** A duplicate acknowledgment came, or one that reports more data above a gap. */
export function onDuplicate(connection: Connection): void {
  const { recovery, snd, congestion, stack } = connection;
  // After a timeout they come from what is sent again, and mean nothing.
  if (recovery.phase === 'loss') return;
  recovery.duplicates++;
  if (recovery.phase === 'recovery') return;
  if (recovery.duplicates < THRESHOLD && !isAfter(lostEdge(connection), snd.una)) return;
  const flight = distance(snd.nxt, snd.una);
  recovery.phase = 'recovery';
  recovery.point = snd.nxt;
  recovery.highRxt = snd.una;
  stack.congestionControl.onLoss(congestion, flight, connection.mss);
  stack.counters.fastRetransmits++;
}

/** The retransmission timer expired: everything unreported is lost (RFC 6675, section 5.1). */
export function onTimeout(connection: Connection): void {
  const { recovery, snd, congestion, stack, retransmit } = connection;
  const again = retransmit.timeouts > 1;
  // RFC 5681 (4): the threshold is set by the first timeout alone.
  if (!again) {
    stack.congestionControl.onTimeout(congestion, distance(snd.nxt, snd.una), connection.mss);
  } else congestion.cwnd = connection.mss;
  // A peer that keeps asking may have thrown away what it reported (RFC 2018, section 8).
  if (again) connection.scoreboard.clear();
  recovery.phase = 'loss';
  recovery.point = snd.nxt;
  recovery.highRxt = snd.una;
  recovery.duplicates = 0;
}
