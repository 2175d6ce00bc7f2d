// The splice record of a flow: the same bytes between members and in the table. An IPv4 record has 64,
// an IPv6 record 112.
//
//  IPv4  IPv6
//     0     0  client address
//     4    16  virtual address
//     8    32  client port, virtual port
//    12    36  backend address
//    16    52  source address
//    20    68  backend port, source port
//    24    72  SEQ shift towards the backend, 4 bytes further: towards the client
//    32    80  timestamp shift towards the backend, likewise
//    40    88  window scales
//    42    90  flags
//    44    92  MSS of the backend, 2 bytes further: of the client
//    48    96  epoch
//    52   100  home
//    53   101  recovery policy
//    54   102  service
//    56   104  form: 4 or 6, then zeros
//
// Addresses and ports lie as they do in a frame, so that words of a frame compare with words of a record
// as they are. Everything else is little-endian, as are the machines that we run on.
import {
  type Address,
  addressLength,
  type Endpoint,
  fromIpv4,
  fromIpv6,
  toIpv4,
  writeIpv6,
} from '../ip/address.ts';
import { readAddress } from '../wire/ipv6.ts';
import { MAX_WINDOW_SCALE } from '../wire/tcp-options.ts';
import { formOfAddress, formOfFlow, IPV4_FORM, type RecordForm } from './form.ts';

if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) {
  throw new Error('Suture keeps its tables in little-endian words: this machine is big-endian');
}

/** What happens to the client when the backend fails. */
export const RECOVERY_NONE = 0;
export const RECOVERY_DETERMINISTIC = 1;
export const RECOVERY_LOGGED = 2;

/** The two ways through a splice; they index the pairs of fields below. */
export const TO_BACKEND = 0;
export const TO_CLIENT = 1;
export type Direction = typeof TO_BACKEND | typeof TO_CLIENT;

// Offsets in words of 32 bits. What a packet of direction d looks like when it comes in stands at
// `d` times these: its source, its destination, its ports.
export const IPV4_KEY_WORDS = 3;
export const IPV6_KEY_WORDS = 9;
/** Where the transport half starts, whose layout does not depend on the address family. */
export const IPV4_TRANSPORT = 6;
export const IPV6_TRANSPORT = 18;

// Offsets in words from there. The shift of direction d stands at `+ d`.
export const SEQ_SHIFT = 0;
export const TIMESTAMP_SHIFT = 2;
/** Two scales a direction, 4 bits each: the sender's own, and the one its receiver was told. */
export const SCALES_AND_FLAGS = 4;
/** 16 bits a direction: the MSS that its receiver accepts. */
export const RECEIVER_MSS = 5;

// Offsets in bytes from there.
const SCALES_AT = 16;
const FLAGS_AT = 18;
const MSS_AT = 20;
const EPOCH_AT = 24;
const HOME_AT = 28;
const RECOVERY_AT = 29;
const SERVICE_AT = 30;
const FORM_AT = 32;
const END_AT = 40;

/** In the upper half of `SCALES_AND_FLAGS`. */
export const TIMESTAMPS_FLAG = 0x1_0000;
/** Shifted by the direction: its receiver permitted SACK. */
export const RECEIVER_SACK_FLAG = 0x2_0000;
const KNOWN_FLAGS = 0x07;

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

/** Where the transport half of a record of this form starts, in bytes. */
const transportOf = (form: RecordForm): number => 4 * form.transport;

/**
 * Writes the record's bytes at any offset of `view`: `formOfRecord` says how many.
 * @throws TypeError if its addresses are not of one family
 */
export function encodeRecord(record: SpliceRecord, view: DataView, at: number): void {
  const form = formOfAddress(record.client.address);
  writeFlow(view, at, record.client, record.virtual);
  writeFlow(view, at + form.flowBytes, record.backend, record.source);
  if (addressLength(record.backend.address) !== form.addressBytes) {
    throw new TypeError('both ways of a splice are of one address family');
  }
  const half = at + transportOf(form);
  view.setUint32(half, record.seqShiftToBackend, true);
  view.setUint32(half + 4, record.seqShiftToClient, true);
  view.setUint32(half + 8, record.timestampShiftToBackend, true);
  view.setUint32(half + 12, record.timestampShiftToClient, true);
  view.setUint8(half + SCALES_AT, record.clientScale | (record.scaleToBackend << 4));
  view.setUint8(half + SCALES_AT + 1, record.backendScale | (record.scaleToClient << 4));
  const flags =
    Number(record.timestamps) |
    (Number(record.backendSack) << (1 + TO_BACKEND)) |
    (Number(record.clientSack) << (1 + TO_CLIENT));
  view.setUint16(half + FLAGS_AT, flags, true);
  view.setUint16(half + MSS_AT, record.backendMss, true);
  view.setUint16(half + MSS_AT + 2, record.clientMss, true);
  view.setUint32(half + EPOCH_AT, record.epoch, true);
  view.setUint8(half + HOME_AT, record.home);
  view.setUint8(half + RECOVERY_AT, record.recovery);
  view.setUint16(half + SERVICE_AT, record.service, true);
  view.setUint8(half + FORM_AT, form.version);
  for (let pad = FORM_AT + 1; pad < END_AT; pad++) view.setUint8(half + pad, 0);
}

/** True if the bytes at `at` are a record of this form that `encodeRecord` could have written. */
export function isValidRecord(view: DataView, at: number, form: RecordForm): boolean {
  if (at < 0 || at + form.recordBytes > view.byteLength) return false;
  const { addressBytes, flowBytes } = form;
  for (const way of [at, at + flowBytes]) {
    if (isZero(view, way, addressBytes) || isZero(view, way + addressBytes, addressBytes)) {
      return false;
    }
    const ports = way + 2 * addressBytes;
    if (view.getUint16(ports) === 0 || view.getUint16(ports + 2) === 0) return false;
  }
  // Both ways in must differ, or a packet would belong to both.
  let same = true;
  for (let byte = 0; byte < flowBytes; byte += 4) {
    same &&= view.getUint32(at + byte) === view.getUint32(at + flowBytes + byte);
  }
  if (same) return false;
  const half = at + transportOf(form);
  for (const scales of [SCALES_AT, SCALES_AT + 1]) {
    const pair = view.getUint8(half + scales);
    if ((pair & 15) > MAX_WINDOW_SCALE || pair >> 4 > MAX_WINDOW_SCALE) return false;
  }
  const flags = view.getUint16(half + FLAGS_AT, true);
  if ((flags & ~KNOWN_FLAGS) !== 0) return false;
  const shifted = view.getUint32(half + 8) !== 0 || view.getUint32(half + 12) !== 0;
  if (shifted && (flags & 1) === 0) return false;
  if (view.getUint16(half + MSS_AT, true) < SMALLEST_MSS) return false;
  if (view.getUint16(half + MSS_AT + 2, true) < SMALLEST_MSS) return false;
  if (view.getUint8(half + RECOVERY_AT) > RECOVERY_LOGGED) return false;
  return (
    view.getUint32(half + FORM_AT) === form.version << 24 &&
    view.getUint32(half + FORM_AT + 4) === 0
  );
}

/** Reads a record of this form, wherever its bytes came from; undefined if they are none. */
export function decodeRecord(
  view: DataView,
  at: number,
  form: RecordForm,
): SpliceRecord | undefined {
  if (!isValidRecord(view, at, form)) return undefined;
  const half = at + transportOf(form);
  const flags = view.getUint16(half + FLAGS_AT, true);
  const ahead = view.getUint8(half + SCALES_AT);
  const back = view.getUint8(half + SCALES_AT + 1);
  const way = at + form.flowBytes;
  return {
    client: sourceOf(view, at, form),
    virtual: destinationOf(view, at, form),
    source: destinationOf(view, way, form),
    backend: sourceOf(view, way, form),
    seqShiftToBackend: view.getUint32(half, true),
    seqShiftToClient: view.getUint32(half + 4, true),
    timestamps: (flags & 1) !== 0,
    timestampShiftToBackend: view.getUint32(half + 8, true),
    timestampShiftToClient: view.getUint32(half + 12, true),
    clientScale: ahead & 15,
    scaleToBackend: ahead >> 4,
    backendScale: back & 15,
    scaleToClient: back >> 4,
    backendSack: (flags & (1 << (1 + TO_BACKEND))) !== 0,
    clientSack: (flags & (1 << (1 + TO_CLIENT))) !== 0,
    backendMss: view.getUint16(half + MSS_AT, true),
    clientMss: view.getUint16(half + MSS_AT + 2, true),
    epoch: recordEpoch(view, at, form),
    home: recordHome(view, at, form),
    recovery: view.getUint8(half + RECOVERY_AT),
    service: view.getUint16(half + SERVICE_AT, true),
  };
}

// What is asked of a record without decoding it.
export const recordEpoch = (view: DataView, at: number, form: RecordForm): number =>
  view.getUint32(at + transportOf(form) + EPOCH_AT, true);
export const recordHome = (view: DataView, at: number, form: RecordForm): number =>
  view.getUint8(at + transportOf(form) + HOME_AT);

/**
 * Writes a way: what packets from one end point to the other look like. The way from a client to a virtual
 * end point names its flow.
 * @returns bytes written
 * @throws TypeError if the addresses are not of one family
 */
export function writeFlow(view: DataView, at: number, from: Endpoint, to: Endpoint): number {
  const { addressBytes, flowBytes } = formOfAddress(from.address);
  if (addressLength(to.address) !== addressBytes) {
    throw new TypeError('both ends of a connection are of one address family');
  }
  writeAddress(view, at, from.address);
  writeAddress(view, at + addressBytes, to.address);
  view.setUint16(at + 2 * addressBytes, from.port);
  view.setUint16(at + 2 * addressBytes + 2, to.port);
  return flowBytes;
}

/** Writes what identifies the record at `at`, its flow and its epoch, into `key`; returns its bytes. */
export function writeKey(view: DataView, at: number, form: RecordForm, key: Uint8Array): number {
  const { flowBytes, keyBytes } = form;
  for (let byte = 0; byte < flowBytes; byte++) key[byte] = view.getUint8(at + byte);
  const epochAt = at + transportOf(form) + EPOCH_AT;
  for (let byte = 0; byte < 4; byte++) key[flowBytes + byte] = view.getUint8(epochAt + byte);
  return keyBytes;
}

/** The end point that a way comes from. */
export const sourceOf = (view: DataView, at: number, form: RecordForm): Endpoint => ({
  address: addressAt(view, at, form),
  port: view.getUint16(at + 2 * form.addressBytes),
});

/** The end point that a way goes to. */
export const destinationOf = (view: DataView, at: number, form: RecordForm): Endpoint => ({
  address: addressAt(view, at + form.addressBytes, form),
  port: view.getUint16(at + 2 * form.addressBytes + 2),
});

/** Whose a flow is: its client, and the virtual end point; undefined if no flow has so many bytes. */
export function endsOf(
  flow: Uint8Array,
): { readonly client: Endpoint; readonly virtual: Endpoint } | undefined {
  const form = formOfFlow(flow.length);
  if (form === undefined) return undefined;
  const view = new DataView(flow.buffer, flow.byteOffset, flow.length);
  return { client: sourceOf(view, 0, form), virtual: destinationOf(view, 0, form) };
}

/** An address that lies at `at` as it does in a frame. */
export const addressAt = (view: DataView, at: number, form: RecordForm): Address =>
  form === IPV4_FORM ? fromIpv4(view.getUint32(at)) : fromIpv6(readAddress(view, at));

function writeAddress(view: DataView, at: number, address: Address): void {
  if (typeof address === 'number') view.setUint32(at, toIpv4(address));
  else writeIpv6(view, at, address);
}

function isZero(view: DataView, at: number, length: number): boolean {
  for (let byte = 0; byte < length; byte += 4) if (view.getUint32(at + byte) !== 0) return false;
  return true;
}
