// Writes what passes a link as pcapng (draft-ietf-opsawg-pcapng), for Wireshark and its kin: a section header, one
// interface whose times are nanoseconds, and a packet block for each frame with its direction.
//
// The virtio header is left away. A train is written as the one large packet that it is, and a partial
// checksum as it stands.
import { type Clock, type Micros, systemClock } from '../env/clock.ts';
import { ETHERNET_AT } from '../wire/layout.ts';
import type { Frame } from './frame.ts';
import type { Link } from './link.ts';
import { LinkWrapper } from './wrapper.ts';

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;
const OPTION_NAME = 2;
const OPTION_FLAGS = 2;
const OPTION_RESOLUTION = 9;
const OPTION_APPLICATION = 4;
const NANOSECONDS = 9;
const INBOUND = 1;
const OUTBOUND = 2;
/** Bytes of a packet block before the packet, and behind it: the flags, the end of the options, the length. */
const PACKET_HEAD = 28;
const PACKET_TAIL = 16;
/** More than any frame has. */
const MAX_FRAME = 65_536 + 64;

export interface CaptureOptions {
  clock?: Clock;
  /** Bytes of each frame that are kept at most. */
  snapLength?: number;
  /** Name of the interface in the file. */
  name?: string;
}

const padded = (length: number): number => (length + 3) & ~3;

/** Wraps a link; what is written to `sink` is one pcapng section from its first byte on. */
export class CaptureLink extends LinkWrapper {
  readonly #sink: (bytes: Uint8Array) => void;
  readonly #clock: Clock;
  readonly #snapLength: number;
  /** Microseconds to add to the clock for the time since 1970. */
  readonly #epoch: Micros;
  readonly #block: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  /** @param sink takes the file's next bytes, which are only lent to it */
  constructor(link: Link, sink: (bytes: Uint8Array) => void, options: CaptureOptions = {}) {
    super(link);
    const { clock = systemClock, snapLength = MAX_FRAME, name = 'suture' } = options;
    this.#sink = sink;
    this.#clock = clock;
    this.#snapLength = Math.min(snapLength, MAX_FRAME);
    this.#epoch = clock.wall() * 1_000_000 - Math.floor(clock.now());
    const capacity = PACKET_HEAD + padded(this.#snapLength) + PACKET_TAIL;
    this.#block = new Uint8Array(new ArrayBuffer(capacity));
    this.#view = new DataView(this.#block.buffer);
    sink(sectionHeader());
    sink(interfaceDescription(this.#snapLength, name));
  }

  override receive(frame: Frame): boolean {
    if (!super.receive(frame)) return false;
    this.#write(frame, INBOUND);
    return true;
  }

  override send(frame: Frame): boolean {
    this.#write(frame, OUTBOUND);
    return super.send(frame);
  }

  #write(frame: Frame, direction: number): void {
    const view = this.#view;
    const length = frame.end - ETHERNET_AT;
    const captured = Math.min(length, this.#snapLength);
    const tail = PACKET_HEAD + padded(captured);
    const total = tail + PACKET_TAIL;
    const micros = this.#epoch + Math.floor(this.#clock.now());
    // 64 bits of nanoseconds in two halves, of which each product stays exact.
    const low = (micros % 0x1_0000_0000) * 1_000;
    const high = Math.floor(micros / 0x1_0000_0000) * 1_000 + Math.floor(low / 0x1_0000_0000);
    view.setUint32(0, PACKET, true);
    view.setUint32(4, total, true);
    view.setUint32(8, 0, true);
    view.setUint32(12, high, true);
    view.setUint32(16, low % 0x1_0000_0000, true);
    view.setUint32(20, captured, true);
    view.setUint32(24, length, true);
    this.#block.set(frame.bytes.subarray(ETHERNET_AT, ETHERNET_AT + captured), PACKET_HEAD);
    this.#block.fill(0, PACKET_HEAD + captured, tail);
    view.setUint16(tail, OPTION_FLAGS, true);
    view.setUint16(tail + 2, 4, true);
    view.setUint32(tail + 4, direction, true);
    view.setUint32(tail + 8, 0, true);
    view.setUint32(tail + 12, total, true);
    this.#sink(this.#block.subarray(0, total));
  }
}

/** A block of the given type: its body, then the options, then the length once more. */
function block(type: number, body: Uint8Array, options: [number, Uint8Array][]): Uint8Array {
  const size = options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4);
  const total = 12 + body.length + size;
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, total, true);
  bytes.set(body, 8);
  let at = 8 + body.length;
  for (const [code, value] of options) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(total - 4, total, true);
  return bytes;
}

function sectionHeader(): Uint8Array {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, BYTE_ORDER, true);
  view.setUint16(4, 1, true);
  // The length of the section is not known before it ends.
  view.setBigInt64(8, -1n, true);
  return block(SECTION, body, [[OPTION_APPLICATION, new TextEncoder().encode('suture')]]);
}

function interfaceDescription(snapLength: number, name: string): Uint8Array {
  const body = new Uint8Array(8);
  const view = new DataView(body.buffer);
  view.setUint16(0, LINKTYPE_ETHERNET, true);
  view.setUint32(4, snapLength, true);
  return block(INTERFACE, body, [
    [OPTION_NAME, new TextEncoder().encode(name)],
    [OPTION_RESOLUTION, Uint8Array.of(NANOSECONDS)],
  ]);
}
