// The window that we offer: never smaller than it was, never crumbs (RFC 9293, section 3.8.6.2.2), and growing
// with what arrives and with what the reader takes, as Linux tunes it.
import { MILLISECOND, type Micros } from '../env/clock.ts';
import type { Connection } from './connection.ts';
import type { Segment } from './segment.ts';
import { advance, distance, isBefore } from './sequence.ts';

export const MAX_WINDOW_FIELD = 65_535;
/** The first window of a connection, before it is cut to whole segments (Linux: half of tcp_rmem's default). */
export const INITIAL_WINDOW = 65_536;
/** A smaller segment says nothing about what the peer could send. */
const TELLING = 128;

/** The sequence number that an acknowledgment of ours carries now. */
export const acknowledgment = ({ rcv }: Connection): number =>
  rcv.holdAt >= 0 ? rcv.holdAt : rcv.nxt;

/**
 * The window of a SYN or SYN-ACK, which is never scaled: whole segments, as many as fit.
 * @param space bytes that the window may have
 * @param segment payload of the peer's full segments
 */
export function firstWindow(space: number, segment: number): number {
  const whole = space > segment ? space - (space % segment) : space;
  return Math.min(whole, MAX_WINDOW_FIELD);
}

/** Puts the window where the SYN or SYN-ACK has offered it. */
export function openWindow(connection: Connection, size: number): void {
  const { rcv, window, offer } = connection;
  rcv.edge = advance(rcv.nxt, size);
  window.threshold = size;
  window.space = Math.min(size, 10 * offer.mss);
}

/** The window that would be offered now, in bytes, if the one offered before did not bind us. */
export function selectWindow(connection: Connection): number {
  const { rcv, receiveBuffer, ack, window, negotiated } = connection;
  const full = Math.min(rcv.limit, window.clamp);
  const segment = Math.min(ack.segment, full);
  const scale = negotiated.receiveScale;
  let free = Math.max(0, rcv.limit - receiveBuffer.length);
  if (free < full / 2) {
    ack.quick = 0;
    if (connection.stack.memory.isUnderPressure) {
      window.threshold = Math.min(window.threshold, 4 * connection.offer.mss);
    }
    free = (free >>> scale) << scale;
    if (free < rcv.limit >> 4 || free < segment) return 0;
  }
  free = Math.min(free, window.threshold, window.clamp);
  if (scale > 0) return alignUp(free, scale);
  // Without scale, windows are whole segments, and move only for one.
  const offered = Math.max(0, distance(rcv.edge, rcv.lastAckSent));
  if (offered <= free - segment || offered > free) return free - (free % segment);
  if (segment === full && free > offered + full / 2) return free;
  return offered;
}

/**
 * Moves the right edge of the window as far as it may go, and returns the window in bytes. What is told is whole
 * units of the scale, rounded up so that the edge never seems to move back, as long as there is room for that.
 */
export function receiveWindow(connection: Connection): number {
  const { rcv, negotiated, receiveBuffer } = connection;
  const scale = negotiated.receiveScale;
  const offered = Math.max(0, distance(rcv.edge, rcv.nxt));
  let window = Math.max(selectWindow(connection), alignUp(offered, scale));
  const most = alignUp(Math.max(0, rcv.limit - receiveBuffer.length), scale);
  window = Math.min(Math.max(offered, Math.min(window, most)), MAX_WINDOW_FIELD * 2 ** scale);
  const edge = advance(rcv.nxt, window);
  if (isBefore(rcv.edge, edge)) rcv.edge = edge;
  return Math.max(0, distance(rcv.edge, acknowledgment(connection)));
}

const alignUp = (bytes: number, scale: number): number => {
  const unit = 2 ** scale;
  return Math.ceil(bytes / unit) * unit;
};

/** Data in order has come: the window may grow, and the round trip is measured. */
export function growWindow(connection: Connection, segment: Segment, now: Micros): void {
  const { rcv, window, receiveBuffer, offer, stack } = connection;
  measureRoundTrip(connection, segment, now);
  if (segment.length < TELLING || stack.memory.isUnderPressure) return;
  const free = Math.min(window.clamp, rcv.limit - receiveBuffer.length);
  const room = free - window.threshold;
  if (room > 0) window.threshold += Math.min(room, 2 * Math.max(offer.mss, segment.length));
}

function measureRoundTrip(connection: Connection, segment: Segment, now: Micros): void {
  const { rcv, window, negotiated, stack, ts, ack } = connection;
  const { options } = segment;
  if (negotiated.timestamps && options.hasTimestamps) {
    const echo = options.timestampEcho;
    if (echo === window.lastEcho || segment.length < ack.segment) return;
    window.lastEcho = echo;
    const elapsed = distance(stack.timestamp(now, ts.offset), echo);
    if (elapsed < 0 || elapsed > 600_000) return;
    const sample = Math.max(elapsed, 1) * MILLISECOND;
    window.rtt = window.rtt === 0 ? sample : window.rtt + (sample - window.rtt) / 8;
    return;
  }
  // Without timestamps: what a whole window takes is a round trip at most.
  if (isBefore(rcv.nxt, window.measureEnd)) return;
  const elapsed = now - window.measureAt;
  if (window.measureEnd !== 0 && elapsed > 0) {
    window.rtt = window.rtt === 0 ? elapsed : Math.min(window.rtt, elapsed);
  }
  window.measureEnd = rcv.edge;
  window.measureAt = now;
}

/** The reader took `bytes`: once a round trip, the limit follows twice what it takes in one. */
export function readerTook(connection: Connection, bytes: number, now: Micros): void {
  const { rcv, window, stack } = connection;
  window.copied = advance(window.copied, bytes);
  if (window.rtt === 0 || now - window.spaceAt < window.rtt) return;
  const taken = advance(window.copied, -window.spaceFrom);
  if (taken > window.space) {
    if (rcv.limit < rcv.maximum && !stack.memory.isUnderPressure) tune(connection, taken);
    window.space = taken;
  }
  window.spaceFrom = window.copied;
  window.spaceAt = now;
}

/** Twice for losses and a cushion, and more while the peer is in slow start. */
function tune({ rcv, window, offer }: Connection, taken: number): void {
  let wanted = 2 * taken + 16 * offer.mss;
  const before = Math.max(window.space, 1);
  wanted += 2 * Math.floor((wanted * (taken - before)) / before);
  const limit = Math.min(wanted, rcv.maximum);
  if (limit > rcv.limit) rcv.limit = limit;
}
