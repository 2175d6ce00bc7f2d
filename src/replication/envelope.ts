/**
 * The envelope of a datagram: 24 bytes in clear (authenticated), then sealed 33 bytes and the messages, then
 * the tag. Offsets of the sealed part count from the start of the plaintext. Numbers are big-endian.
 */
import type { Incarnation } from './incarnation.ts';

/** UDP payload that fits an MTU of 1,500 without fragments, over IPv6 and over IPv4. */
export const MAX_PAYLOAD = 1_452;
export const MAGIC = 0x5375;
export const VERSION = 4;
export const TAG_BYTES = 16;

/** The part in clear: magic, version, sender, cluster, the sender's incarnation, the datagram's number. */
export const CLEAR_BYTES = 24;
const VERSION_AT = 2;
const SENDER_AT = 3;
const CLUSTER_AT = 4;
const INCARNATION_AT = 8;
const COUNTER_AT = 16;

/**
 * The sealed part: receiver's incarnation, stream number, acknowledgment, selective bits, how far all is
 * accepted, how far all is settled, flags.
 */
const TO_AT = 0;
const NUMBER_AT = 8;
const ACK_AT = 12;
const SACK_AT = 16;
const ACCEPTED_AT = 24;
const SETTLED_AT = 28;
const FLAGS_AT = 32;
/** Where the messages begin in the plaintext. */
export const BODY_AT = 33;
export const MAX_PLAIN = MAX_PAYLOAD - CLEAR_BYTES - TAG_BYTES;
/** Bytes of messages that one datagram holds: 19 proposals of IPv4 flows, 11 of IPv6 flows. */
export const MAX_BODY = MAX_PLAIN - BODY_AT;
export const MIN_PAYLOAD = CLEAR_BYTES + BODY_AT + TAG_BYTES;

/** The datagram belongs to the stream and its number holds. */
export const FLAG_DATA = 1;
/** The sender counts the receiver in: it has streams to and from it, and the acknowledgment holds. */
export const FLAG_CONFIRMED = 2;
/** The sender's `MemberState` lies in two bits from here. */
export const STATE_SHIFT = 2;
const KNOWN_FLAGS = 0x0f;

const read16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];
const read32 = (bytes: Uint8Array, at: number): number =>
  ((read16(bytes, at) << 16) | read16(bytes, at + 2)) >>> 0;

/** The readers of the clear part need `MIN_PAYLOAD` bytes. */
export const magic = (bytes: Uint8Array): number => read16(bytes, 0);
export const version = (bytes: Uint8Array): number => bytes[VERSION_AT];
export const sender = (bytes: Uint8Array): number => bytes[SENDER_AT];
export const cluster = (bytes: Uint8Array): number => read32(bytes, CLUSTER_AT);
export const isFrom = (bytes: Uint8Array, { seconds, salt }: Incarnation): boolean =>
  read32(bytes, INCARNATION_AT) === seconds && read32(bytes, INCARNATION_AT + 4) === salt;
export const senderIncarnation = (bytes: Uint8Array): Incarnation => ({
  seconds: read32(bytes, INCARNATION_AT),
  salt: read32(bytes, INCARNATION_AT + 4),
});
/** The datagram's number, at most 2^53 - 1; -1 if it is larger, which no honest sender reaches. */
export function counter(bytes: Uint8Array): number {
  const high = read32(bytes, COUNTER_AT);
  return high < 0x20_0000 ? high * 0x1_0000_0000 + read32(bytes, COUNTER_AT + 4) : -1;
}

/** Writes all of the clear part but the number. */
export function writeClear(
  view: DataView,
  from: number,
  clusterHash: number,
  incarnation: Incarnation,
): void {
  view.setUint16(0, MAGIC);
  view.setUint8(VERSION_AT, VERSION);
  view.setUint8(SENDER_AT, from);
  view.setUint32(CLUSTER_AT, clusterHash);
  view.setUint32(INCARNATION_AT, incarnation.seconds);
  view.setUint32(INCARNATION_AT + 4, incarnation.salt);
}

export function writeCounter(view: DataView, value: number, at: number = COUNTER_AT): void {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000));
  view.setUint32(at + 4, value >>> 0);
}

/** The readers of the sealed part need `BODY_AT` bytes of plaintext. */
export const isTo = (plain: DataView, { seconds, salt }: Incarnation): boolean =>
  plain.getUint32(TO_AT) === seconds && plain.getUint32(TO_AT + 4) === salt;
export const streamNumber = (plain: DataView): number => plain.getUint32(NUMBER_AT);
/** The next stream number that the sender of this datagram expects from us. */
export const acknowledgment = (plain: DataView): number => plain.getUint32(ACK_AT);
/** Bit i: the sender also holds number acknowledgment + 1 + i; 32 bits here, 32 more in `sackHigh`. */
export const sackLow = (plain: DataView): number => plain.getUint32(SACK_AT + 4);
export const sackHigh = (plain: DataView): number => plain.getUint32(SACK_AT);
/** The lowest stream number of ours whose proposals the sender of this datagram has not all accepted. */
export const accepted = (plain: DataView): number => plain.getUint32(ACCEPTED_AT);
/** All who are up for the sender have what it gave out tickets for up to this one (uint32). */
export const settled = (plain: DataView): number => plain.getUint32(SETTLED_AT);
export const flags = (plain: DataView): number => plain.getUint8(FLAGS_AT);
/** True if nothing unknown is set; what belongs to a stream must be confirmed, too. */
export const areValidFlags = (value: number): boolean =>
  (value & ~KNOWN_FLAGS) === 0 && (value & (FLAG_DATA | FLAG_CONFIRMED)) !== FLAG_DATA;

export function writeInner(
  plain: DataView,
  to: Incarnation,
  number: number,
  ack: number,
  low: number,
  high: number,
  acceptedNumber: number,
  settledTicket: number,
  flagBits: number,
): void {
  plain.setUint32(TO_AT, to.seconds);
  plain.setUint32(TO_AT + 4, to.salt);
  plain.setUint32(NUMBER_AT, number);
  plain.setUint32(ACK_AT, ack);
  plain.setUint32(SACK_AT, high);
  plain.setUint32(SACK_AT + 4, low);
  plain.setUint32(ACCEPTED_AT, acceptedNumber);
  plain.setUint32(SETTLED_AT, settledTicket);
  plain.setUint8(FLAGS_AT, flagBits);
}
