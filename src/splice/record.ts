// The splice record of an IPv4 flow: 64 bytes, the same between members and in the table.
//
//   0 client address     4 virtual address    8 client port, virtual port
//  12 backend address   16 source address    20 backend port, source port
//  24 SEQ shift towards the backend, 28 towards the client
//  32 timestamp shift towards the backend, 36 towards the client
//  40 window scales     42 flags             44 MSS of the backend   46 MSS of the client
//  48 epoch             52 home              53 recovery policy      54 service
//  56 form              57-63 zero
//
// Addresses and ports lie as they do in a frame, so that words of a frame compare with words of a record
// as they are. Everything else is little-endian, as are the machines that we run on.
import { type Address, type Endpoint, fromIpv4, toIpv4 } from '../ip/address.ts';
import { MAX_WINDOW_SCALE } from '../wire/tcp-options.ts';

if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) {
  throw new Error('Suture keeps its tables in little-endian words: this machine is big-endian');
}

/** Bytes of an IPv4 record. */
export const IPV4_RECORD_LENGTH = 64;

/** What happens to the client when the backend fails. */
export const RECOVERY_NONE = 0;
export const RECOVERY_DETERMINISTIC = 1;
export const RECOVERY_LOGGED = 2;

/** The two ways through a splice; they index the pairs of fields below. */
export const TO_BACKEND = 0;
export const TO_CLIENT = 1;
export type Direction = typeof TO_BACKEND | typeof TO_CLIENT;

// Offsets in words of 32 bits. What a packet of direction d looks like when it comes in stands at
// `3 * d`: its source, its destination, its ports.
export const IPV4_KEY_WORDS = 3;
/** Where the words start that do not depend on the address family. */
export const IPV4_TRANSPORT = 6;

// Offsets from there. The shift of direction d stands at `+ d`.
export const SEQ_SHIFT = 0;
export const TIMESTAMP_SHIFT = 2;
/** Two scales a direction, 4 bits each: the sender's own, and the one its receiver was told. */
export const SCALES_AND_FLAGS = 4;
/** 16 bits a direction: the MSS that its receiver accepts. */
export const RECEIVER_MSS = 5;

/** In the upper half of `SCALES_AND_FLAGS`. */
export const TIMESTAMPS_FLAG = 0x1_0000;
/** Shifted by the direction: its receiver permitted SACK. */
export const RECEIVER_SACK_FLAG = 0x2_0000;
const KNOWN_FLAGS = 0x07;

const FORM_IPV4 = 4;
/** Below this the options of a full header would leave no room for data; Linux has the same limit. */
const SMALLEST_MSS = 48;

/**
 * All that a member must know to translate a flow's packets. It does not change while the flow's backend
 * stays. Sequence and timestamp shifts are uint32, added modulo 2^32.
 */
export interface SpliceRecord {
  readonly client: Endpoint;
  /** The address that the client connected to. */
  readonly virtual: Endpoint;
  /** The proxy's address towards the backend. */
  readonly source: Endpoint;
  readonly backend: Endpoint;
  /** Our initial sequence number towards the backend minus the client's. */
  readonly seqShiftToBackend: number;
  /** Our initial sequence number towards the client minus the backend's. */
  readonly seqShiftToClient: number;
  /** True if all four ends negotiated timestamps (RFC 7323). */
  readonly timestamps: boolean;
  /** Our timestamp clock towards the backend minus the client's; 0 without timestamps. */
  readonly timestampShiftToBackend: number;
  readonly timestampShiftToClient: number;
  /** The window scale that the client announced, 0 if none (RFC 7323, section 2). */
  readonly clientScale: number;
  /** The scale that we announced to the client. */
  readonly scaleToClient: number;
  /** The scale that we announced to the backend. */
  readonly scaleToBackend: number;
  readonly backendScale: number;
  /** True if the client, or the backend, permitted SACK (RFC 2018). */
  readonly clientSack: boolean;
  readonly backendSack: boolean;
  /** The largest segment that the client, or the backend, accepts (RFC 6691: without options). */
  readonly clientMss: number;
  readonly backendMss: number;
  /** Raised when the backend side is replaced; uint32. */
  readonly epoch: number;
  /** The member that made the splice; 0 to 255. */
  readonly home: number;
  /** The service by its number; 0 to 65,535. */
  readonly service: number;
  /** `RECOVERY_NONE`, `RECOVERY_DETERMINISTIC` or `RECOVERY_LOGGED`. */
  readonly recovery: number;
}

/** Writes the record's 64 bytes at any offset of `view`. */
export function encodeRecord(record: SpliceRecord, view: DataView, at: number): void {
  view.setUint32(at, toIpv4(record.client.address));
  view.setUint32(at + 4, toIpv4(record.virtual.address));
  view.setUint16(at + 8, record.client.port);
  view.setUint16(at + 10, record.virtual.port);
  view.setUint32(at + 12, toIpv4(record.backend.address));
  view.setUint32(at + 16, toIpv4(record.source.address));
  view.setUint16(at + 20, record.backend.port);
  view.setUint16(at + 22, record.source.port);
  view.setUint32(at + 24, record.seqShiftToBackend, true);
  view.setUint32(at + 28, record.seqShiftToClient, true);
  view.setUint32(at + 32, record.timestampShiftToBackend, true);
  view.setUint32(at + 36, record.timestampShiftToClient, true);
  view.setUint8(at + 40, record.clientScale | (record.scaleToBackend << 4));
  view.setUint8(at + 41, record.backendScale | (record.scaleToClient << 4));
  const flags =
    Number(record.timestamps) |
    (Number(record.backendSack) << (1 + TO_BACKEND)) |
    (Number(record.clientSack) << (1 + TO_CLIENT));
  view.setUint16(at + 42, flags, true);
  view.setUint16(at + 44, record.backendMss, true);
  view.setUint16(at + 46, record.clientMss, true);
  view.setUint32(at + 48, record.epoch, true);
  view.setUint8(at + 52, record.home);
  view.setUint8(at + 53, record.recovery);
  view.setUint16(at + 54, record.service, true);
  view.setUint8(at + 56, FORM_IPV4);
  for (let pad = 57; pad < IPV4_RECORD_LENGTH; pad++) view.setUint8(at + pad, 0);
}

/** True if 64 bytes at `at` are a record that `encodeRecord` could have written. */
export function isValidRecord(view: DataView, at: number): boolean {
  if (at < 0 || at + IPV4_RECORD_LENGTH > view.byteLength) return false;
  for (let address = 0; address < 20; address += 4) {
    if (address !== 8 && view.getUint32(at + address) === 0) return false;
  }
  for (const port of [8, 10, 20, 22]) if (view.getUint16(at + port) === 0) return false;
  // Both ways in must differ, or a packet would belong to both.
  const sameWays =
    view.getUint32(at) === view.getUint32(at + 12) &&
    view.getUint32(at + 4) === view.getUint32(at + 16) &&
    view.getUint32(at + 8) === view.getUint32(at + 20);
  if (sameWays) return false;
  for (const scales of [40, 41]) {
    const pair = view.getUint8(at + scales);
    if ((pair & 15) > MAX_WINDOW_SCALE || pair >> 4 > MAX_WINDOW_SCALE) return false;
  }
  const flags = view.getUint16(at + 42, true);
  if ((flags & ~KNOWN_FLAGS) !== 0) return false;
  const shifted = view.getUint32(at + 32) !== 0 || view.getUint32(at + 36) !== 0;
  if (shifted && (flags & 1) === 0) return false;
  if (view.getUint16(at + 44, true) < SMALLEST_MSS) return false;
  if (view.getUint16(at + 46, true) < SMALLEST_MSS) return false;
  if (view.getUint8(at + 53) > RECOVERY_LOGGED) return false;
  return view.getUint32(at + 56) === FORM_IPV4 << 24 && view.getUint32(at + 60) === 0;
}

/** Reads a record, wherever its bytes came from; undefined if they are none. */
export function decodeRecord(view: DataView, at: number): SpliceRecord | undefined {
  if (!isValidRecord(view, at)) return undefined;
  const flags = view.getUint16(at + 42, true);
  const ahead = view.getUint8(at + 40);
  const back = view.getUint8(at + 41);
  return {
    client: endpoint(view, at, at + 8),
    virtual: endpoint(view, at + 4, at + 10),
    source: endpoint(view, at + 16, at + 22),
    backend: endpoint(view, at + 12, at + 20),
    seqShiftToBackend: view.getUint32(at + 24, true),
    seqShiftToClient: view.getUint32(at + 28, true),
    timestamps: (flags & 1) !== 0,
    timestampShiftToBackend: view.getUint32(at + 32, true),
    timestampShiftToClient: view.getUint32(at + 36, true),
    clientScale: ahead & 15,
    scaleToBackend: ahead >> 4,
    backendScale: back & 15,
    scaleToClient: back >> 4,
    backendSack: (flags & (1 << (1 + TO_BACKEND))) !== 0,
    clientSack: (flags & (1 << (1 + TO_CLIENT))) !== 0,
    backendMss: view.getUint16(at + 44, true),
    clientMss: view.getUint16(at + 46, true),
    epoch: view.getUint32(at + 48, true),
    home: view.getUint8(at + 52),
    recovery: view.getUint8(at + 53),
    service: view.getUint16(at + 54, true),
  };
}

function endpoint(view: DataView, address: number, port: number): Endpoint {
  const value: Address = fromIpv4(view.getUint32(address));
  return { address: value, port: view.getUint16(port) };
}
