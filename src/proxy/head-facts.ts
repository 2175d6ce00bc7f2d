// What must be known of a client's handshake to go on with it elsewhere: noted beside a logged head.
import type { Connection } from '../tcp/connection.ts';
import type { Recalled } from '../tcp/listener.ts';
import { distance } from '../tcp/sequence.ts';

//  0 IRS  4 ISS  8 peer's MSS  10 peer's scale (255: none)  11 our scale  12 flags
// 16 our timestamp clock against wall milliseconds  20 TS.Recent  24 the peer's window
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
 * Reads facts back; undefined if they are none.
 * @param received the bytes that were acknowledged to the client
 * @param clock our timestamp clock now, without offset
 */
export function recallFacts(
  facts: Uint8Array,
  received: Uint8Array,
  clock: number,
): Recalled | undefined {
  if (facts.length !== FACTS_LENGTH) return undefined;
  const view = new DataView(facts.buffer, facts.byteOffset, facts.length);
  const flags = view.getUint8(12);
  const scale = view.getUint8(10);
  return {
    irs: view.getUint32(0),
    iss: view.getUint32(4),
    mss: view.getUint16(8),
    windowScale: scale === NO_SCALE ? -1 : scale,
    ourScale: view.getUint8(11),
    sack: (flags & SACK) !== 0,
    timestamps: (flags & TIMESTAMPS) !== 0,
    // The clock of the member that noted this is continued: the client has seen it.
    timestampOffset: distance(view.getUint32(16), clock),
    timestampRecent: view.getUint32(20),
    window: view.getUint32(24),
    received,
  };
}
