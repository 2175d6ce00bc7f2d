// What must be known of a client's handshake to go on with it elsewhere: noted beside a logged head.
import { MILLISECOND, type Micros } from '../env/clock.ts';
import type { Head } from '../replication/heads.ts';
import type { Connection } from '../tcp/connection.ts';
import type { Recalled } from '../tcp/listener.ts';
import { advance, distance } from '../tcp/sequence.ts';

//  0 IRS  4 ISS  8 peer's MSS  10 peer's scale (255: none)  11 our scale  12 flags
// 16 our timestamp clock then  20 TS.Recent  24 the peer's window
export const FACTS_LENGTH = 28;
const SACK = 1;
const TIMESTAMPS = 2;
const NO_SCALE = 255;

/** Writes down what `recallFacts` needs. */
export function noteFacts(client: Connection, now: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FACTS_LENGTH);
  const view = new DataView(bytes.buffer);
  const { rcv, snd, negotiated, ts, stack } = client;
  view.setUint32(0, rcv.irs);
  view.setUint32(4, snd.iss);
  view.setUint16(8, negotiated.sendMss);
  view.setUint8(10, negotiated.scaling ? negotiated.sendScale : NO_SCALE);
  view.setUint8(11, negotiated.receiveScale);
  view.setUint8(12, (negotiated.sack ? SACK : 0) | (negotiated.timestamps ? TIMESTAMPS : 0));
  view.setUint32(16, stack.timestamp(now, ts.offset));
  view.setUint32(20, ts.recent);
  view.setUint32(24, snd.wnd);
  return bytes;
}

/**
 * Reads the facts of a logged head back; undefined if they are none.
 * @param clock our timestamp clock at `now`, without offset
 */
export function recallFacts(
  { facts, bytes, loggedAt }: Head,
  clock: number,
  now: Micros,
): Recalled | undefined {
  if (facts.length !== FACTS_LENGTH) return undefined;
  const view = new DataView(facts.buffer, facts.byteOffset, facts.length);
  const flags = view.getUint8(12);
  const scale = view.getUint8(10);
  // The client has seen the clock of the member that noted this: it goes on from there.
  const then = advance(clock, -Math.floor((now - loggedAt) / MILLISECOND));
  return {
    irs: view.getUint32(0),
    iss: view.getUint32(4),
    mss: view.getUint16(8),
    windowScale: scale === NO_SCALE ? -1 : scale,
    ourScale: view.getUint8(11),
    sack: (flags & SACK) !== 0,
    timestamps: (flags & TIMESTAMPS) !== 0,
    timestampOffset: distance(view.getUint32(16), then),
    timestampRecent: view.getUint32(20),
    window: view.getUint32(24),
    received: bytes,
  };
}
