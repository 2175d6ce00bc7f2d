// Two connections become one: from what their handshakes agreed on to the record, and the hand-over of
// what the client has said so far. From then on nobody retransmits but the two ends.
import type { Micros } from '../env/clock.ts';
import type { Endpoint } from '../ip/address.ts';
import { addressLength } from '../ip/address.ts';
import type { Ip } from '../ip/ip.ts';
import { Frame } from '../link/frame.ts';
import type { Connection } from '../tcp/connection.ts';
import { advance } from '../tcp/sequence.ts';
import { PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { writeTimestamps } from '../wire/tcp-options.ts';
import { MAX_FLOW_BYTES } from './form.ts';
import { type SpliceRecord, writeFlow } from './record.ts';
import type { SpliceTable } from './table.ts';

/** What a record says beside what the two connections know. */
export interface SpliceTerms {
  readonly home: number;
  readonly service: number;
  readonly recovery: number;
  readonly epoch: number;
}

/**
 * True if packets of the one connection can be made packets of the other by rewriting them. SACK may be
 * blanked and windows rescaled, but an option of ten bytes cannot be added in place, nor does an IPv6 header
 * fit where an IPv4 header was.
 */
export function canSplice(client: Connection, backend: Connection): boolean {
  return (
    client.negotiated.timestamps === backend.negotiated.timestamps &&
    addressLength(client.remote.address) === addressLength(backend.remote.address)
  );
}

/** The record that joins two established connections, both as they are now. */
export function recordOf(
  client: Connection,
  backend: Connection,
  terms: SpliceTerms,
): SpliceRecord {
  const { timestamps } = client.negotiated;
  // Each end must see our timestamps go on from where they are, or PAWS drops what follows; and must get
  // back exactly what it sent, since Linux takes the third packet of a handshake with no other echo.
  const shift = (us: number, them: number): number => (timestamps ? (us - them) >>> 0 : 0);
  return {
    client: client.remote,
    virtual: client.local,
    source: backend.local,
    backend: backend.remote,
    seqShiftToBackend: advance(backend.snd.iss, -client.rcv.irs),
    seqShiftToClient: advance(client.snd.iss, -backend.rcv.irs),
    timestamps,
    timestampShiftToBackend: shift(backend.ts.lastSent, client.ts.recent),
    timestampShiftToClient: shift(client.ts.lastSent, backend.ts.recent),
    clientScale: client.negotiated.sendScale,
    scaleToClient: client.negotiated.receiveScale,
    scaleToBackend: backend.negotiated.receiveScale,
    backendScale: backend.negotiated.sendScale,
    clientSack: client.negotiated.sack,
    backendSack: backend.negotiated.sack,
    clientMss: client.negotiated.sendMss,
    backendMss: backend.negotiated.sendMss,
    home: terms.home,
    service: terms.service,
    recovery: terms.recovery,
    epoch: terms.epoch,
  };
}

/** What takes the frames of a hand-over: the splicer of their family, or of both. */
export interface FrameHandler {
  handle(frame: Frame, now: Micros): boolean;
}

/** The largest payload of a train; whole segments are taken from it. */
const MAX_TRAIN = 65_000;
const layout = { checksumOffset: tcp.CHECKSUM_AT, headerLength: 0, segmentSize: 0 };

/**
 * Sends what the client has said and nobody has acknowledged, as the client's own packets through the
 * splice. One that gets lost, or does not fit the backend's window, the client itself will repeat.
 */
export class Handover {
  readonly #ip: Ip;
  readonly #splicer: FrameHandler;
  readonly #frame = new Frame();

  constructor(ip: Ip, splicer: FrameHandler) {
    this.#ip = ip;
    this.#splicer = splicer;
  }

  /**
   * @param client the client's connection, its numbers as they are
   * @param offset how many bytes the client has said before `held`
   * @param held what it said then
   * @param window bytes that the backend takes
   */
  send(client: Connection, offset: number, held: Uint8Array, window: number, now: Micros): void {
    const { rcv } = client;
    const first = advance(rcv.irs, 1 + offset);
    const { mss } = client;
    const train = this.#ip.link.offload ? MAX_TRAIN - (MAX_TRAIN % mss) : mss;
    const end = Math.min(held.length, window);
    // The client's FIN goes along if nothing is missing before it.
    const whole = end === held.length && client.receiveBuffer.length === 0;
    const fin = rcv.finReceived && whole ? tcp.FIN : 0;
    let sent = 0;
    do {
      const size = Math.min(train, end - sent);
      const last = sent + size === end;
      const flags = last ? fin | (size > 0 ? tcp.PSH : 0) : 0;
      const start = this.#header(client, advance(first, sent), flags | tcp.ACK);
      this.#frame.bytes.set(held.subarray(sent, sent + size), start);
      this.#frame.end = start + size;
      layout.segmentSize = mss;
      const { remote, local } = client;
      this.#ip.compose(this.#frame, remote.address, local.address, PROTOCOL_TCP, layout);
      this.#splicer.handle(this.#frame, now);
      sent += size;
    } while (sent < end);
  }

  #header(client: Connection, seq: number, flags: number): number {
    const { snd, negotiated, ts } = client;
    const { view } = this.#frame;
    const at = this.#ip.payloadAt(client.remote.address);
    let end = at + tcp.TCP_LENGTH;
    if (negotiated.timestamps) {
      end = writeTimestamps(view, end, ts.recent, ts.lastSent);
    }
    tcp.write(
      view,
      at,
      client.remote.port,
      client.local.port,
      seq,
      snd.nxt,
      end - at,
      flags,
      Math.min(snd.wnd >>> negotiated.sendScale, 0xffff),
    );
    layout.headerLength = end - at;
    return end;
  }
}

const key = new DataView(new ArrayBuffer(MAX_FLOW_BYTES));
const keyWords = new Uint32Array(key.buffer);

/**
 * True if a splice uses this source towards this backend, open or lingering.
 * @param table that of their address family
 */
export function isSourceTaken(table: SpliceTable, source: Endpoint, backend: Endpoint): boolean {
  writeFlow(key, 0, backend, source);
  return table.find(keyWords, 0) >= 0;
}
