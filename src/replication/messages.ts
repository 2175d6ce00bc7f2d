/**
 * The messages in a datagram: type (1 byte), length of what follows (2 bytes), payload. Readers work on a
 * view and the offset of a message; a body is checked whole by `isValidBody` before any of them is used.
 */
import type { Datagram } from './datagram.ts';
import { MAX_BODY } from './envelope.ts';
import type { Incarnation } from './incarnation.ts';

// What is opaque here has one of two lengths: the first for IPv4, the second for IPv6.
/** A splice record. */
const RECORD_BYTES: readonly number[] = [64, 112];
/** What identifies a flow: client and virtual address, client and virtual port. */
const FLOW_BYTES: readonly number[] = [12, 36];
/** What identifies a record: its flow and its epoch (uint32). */
const EPOCH_BYTES = 4;

export const MAX_RECORD_BYTES = 112;
export const MAX_KEY_BYTES = 40;
/** The number that a sender gives to what all must have (uint32), and how much speaks for a proposal. */
const TICKET_BYTES = 4;
const RANK_BYTES = 1;
/** What SEEN says of a record. */
export const SEEN_BYTES = 9;
/** The most that a message carries that waits for its acknowledgments, without the ticket: a proposal. */
export const MAX_KEPT_BYTES = RANK_BYTES + MAX_RECORD_BYTES;

export const isRecordLength = (length: number): boolean => RECORD_BYTES.includes(length);
export const isFlowLength = (length: number): boolean => FLOW_BYTES.includes(length);
/** The length of the flow that a record begins with. */
export const flowLengthOf = (record: number): number =>
  FLOW_BYTES[RECORD_BYTES.indexOf(record)] ?? 0;
export const isKeyLength = (length: number): boolean => isFlowLength(length - EPOCH_BYTES);
/** SEEN: key, what was seen (9). */
export const isSeenLength = (length: number): boolean => isKeyLength(length - SEEN_BYTES);
/** The flow in a record's key. */
export const flowOfKey = (key: Uint8Array): Uint8Array => key.subarray(0, key.length - EPOCH_BYTES);

/** The most that may be said of a handshake beside a logged head. */
export const MAX_FACTS = 64;

/** A TCP header with all its options (RFC 9293, 3.1). */
const MIN_TCP_HEADER = 20;
const MAX_TCP_HEADER = 60;

/** Type and length. */
export const MESSAGE_HEADER = 3;
/** The highest rank of a proposal. */
const MAX_RANK = 2;

// Told again and again, so that none needs to arrive.
export const HEARTBEAT = 1;
export const FENCED = 2;
export const PROBE = 3;
export const LEFT = 4;
export const DIED = 5;
// Numbered, acknowledged and delivered in order.
export const PROPOSE = 16;
export const DELETE = 17;
export const HEAD = 18;
export const HEAD_DROP = 19;
export const SNAPSHOT_REQUEST = 20;
export const SNAPSHOT_BEGIN = 21;
export const SNAPSHOT_RECORD = 22;
export const SNAPSHOT_END = 23;
export const WITHDRAW = 24;
export const SEEN = 25;
export const SYN = 26;

/** Lists of ids in a heartbeat. */
const HEARTBEAT_LISTS = 3;
/** HEAD: length of the flow (1), of the facts (1), offset (4), flow, facts, bytes of the head. */
const HEAD_FIXED = 6;
const MAX_FLOW_BYTES = MAX_KEY_BYTES - EPOCH_BYTES;
/** SYN: the number of our SYN-ACK (4), length of the flow (1), flow, the client's TCP header. */
const SYN_FIXED = 5;
export const MAX_SYN_BYTES = SYN_FIXED + MAX_FLOW_BYTES + MAX_TCP_HEADER;
/** Bytes of a head that one message carries beside a flow and facts of any length. */
export const MAX_HEAD_CHUNK = MAX_BODY - MESSAGE_HEADER - HEAD_FIXED - MAX_FLOW_BYTES - MAX_FACTS;

export const messageType = (view: DataView, at: number): number => view.getUint8(at);
export const payloadAt = (at: number): number => at + MESSAGE_HEADER;
export const payloadLength = (view: DataView, at: number): number => view.getUint16(at + 1);
export const messageEnd = (view: DataView, at: number): number =>
  at + MESSAGE_HEADER + payloadLength(view, at);

/** True if whole, well-formed messages of one kind (numbered or not) fill `[at, end)`. */
export function isValidBody(
  view: DataView,
  start: number,
  end: number,
  numbered: boolean,
): boolean {
  let at = start;
  while (at < end) {
    if (end - at < MESSAGE_HEADER) return false;
    const next = messageEnd(view, at);
    if (next > end || messageType(view, at) >= PROPOSE !== numbered) return false;
    if (!isValidMessage(view, at, next)) return false;
    at = next;
  }
  return true;
}

function isValidMessage(view: DataView, at: number, end: number): boolean {
  const length = end - payloadAt(at);
  switch (messageType(view, at)) {
    case HEARTBEAT:
      return isValidHeartbeat(view, payloadAt(at), end);
    case FENCED:
      return length === 12;
    case PROBE:
    case LEFT:
    case DIED:
      return length === 0;
    case PROPOSE:
      return (
        isRecordLength(length - TICKET_BYTES - RANK_BYTES) && proposalRank(view, at) <= MAX_RANK
      );
    case SNAPSHOT_RECORD:
      return isRecordLength(length);
    case DELETE:
      return isKeyLength(length - TICKET_BYTES);
    case WITHDRAW:
      return isKeyLength(length);
    case SEEN:
      return isSeenLength(length);
    case HEAD:
      return (
        length >= HEAD_FIXED &&
        isFlowLength(headFlowLength(view, at)) &&
        headFactsLength(view, at) <= MAX_FACTS &&
        headBytesAt(view, at) <= end
      );
    case HEAD_DROP:
      return isFlowLength(length);
    case SYN:
      return length >= SYN_FIXED && isSyn(view, payloadAt(at), length);
    case SNAPSHOT_REQUEST:
    case SNAPSHOT_BEGIN:
      return length === 4;
    case SNAPSHOT_END:
      return length === 8;
    default:
      return false;
  }
}

function isValidHeartbeat(view: DataView, at: number, end: number): boolean {
  let next = at + 4;
  for (let list = 0; list < HEARTBEAT_LISTS; list++) {
    if (next >= end) return false;
    next += 1 + view.getUint8(next);
  }
  return next === end;
}

/** True if what follows the flow of a SYN has the length of a TCP header. */
function isSyn(view: DataView, at: number, length: number): boolean {
  const flow = synFlowLength(view, at);
  const header = length - SYN_FIXED - flow;
  const fits = header >= MIN_TCP_HEADER && header <= MAX_TCP_HEADER && header % 4 === 0;
  return fits && isFlowLength(flow);
}

/** Whether the payload begins with a ticket. */
const isTicketed = (type: number): boolean => type === PROPOSE || type === DELETE;

/** PROPOSE and DELETE: the sender's ticket. */
export const ticketOf = (view: DataView, at: number): number => view.getUint32(payloadAt(at));
/** PROPOSE: ticket (4), rank (1), record. */
export const proposalRank = (view: DataView, at: number): number =>
  view.getUint8(payloadAt(at) + TICKET_BYTES);
export const proposedAt = (at: number): number => payloadAt(at) + TICKET_BYTES + RANK_BYTES;
/** DELETE: ticket (4), key. */
export const deletedAt = (at: number): number => payloadAt(at) + TICKET_BYTES;

/** HEARTBEAT: number of the sender's view, the members it adopted, those that are up for it, those of its view. */
export const heartbeatView = (view: DataView, at: number): number => view.getUint32(payloadAt(at));
export const heartbeatAdopted = (view: DataView, at: number): number[] => readIds(view, at, 0);
export const heartbeatMembers = (view: DataView, at: number): number[] => readIds(view, at, 1);
export const heartbeatActive = (view: DataView, at: number): number[] => readIds(view, at, 2);

/** The ids in one of the lists of a heartbeat. */
function readIds(view: DataView, at: number, list: number): number[] {
  let start = payloadAt(at) + 4;
  for (let before = 0; before < list; before++) start += 1 + view.getUint8(start);
  return Array.from({ length: view.getUint8(start) }, (_, index) =>
    view.getUint8(start + 1 + index),
  );
}

/** FENCED: the latest incarnation of the receiver that the sender declared over, the sender's evidence. */
export const fencedFloor = (view: DataView, at: number): Incarnation => ({
  seconds: view.getUint32(payloadAt(at)),
  salt: view.getUint32(payloadAt(at) + 4),
});
export const fencedEvidence = (view: DataView, at: number): number =>
  view.getUint32(payloadAt(at) + 8);

const headFlowLength = (view: DataView, at: number): number => view.getUint8(payloadAt(at));
const headFactsLength = (view: DataView, at: number): number => view.getUint8(payloadAt(at) + 1);
export const headOffset = (view: DataView, at: number): number => view.getUint32(payloadAt(at) + 2);
/** HEAD: where its flow starts, its facts, and its bytes, each behind the other. */
export const headFlowAt = (at: number): number => payloadAt(at) + HEAD_FIXED;
export const headFactsAt = (view: DataView, at: number): number =>
  headFlowAt(at) + headFlowLength(view, at);
export const headBytesAt = (view: DataView, at: number): number =>
  headFactsAt(view, at) + headFactsLength(view, at);

// SYN, by where its payload starts, for it is kept as it came.
/** The initial sequence number of our answer. */
export const synNumber = (view: DataView, at: number): number => view.getUint32(at);
export const synFlowLength = (view: DataView, at: number): number => view.getUint8(at + 4);
export const synFlowAt = (at: number): number => at + SYN_FIXED;
/** The client's TCP header: the rest of the payload. */
export const synHeaderAt = (view: DataView, at: number): number =>
  synFlowAt(at) + synFlowLength(view, at);

/** Begins the payload of a SYN whose flow and TCP header stand where they belong. */
export function writeSynStart(view: DataView, number: number, flowLength: number): void {
  view.setUint32(0, number);
  view.setUint8(4, flowLength);
}

export const snapshotId = (view: DataView, at: number): number => view.getUint32(payloadAt(at));
export const snapshotCount = (view: DataView, at: number): number =>
  view.getUint32(payloadAt(at) + 4);

/** Writes type and length behind the messages in `datagram`; returns where the payload goes. */
function begin(datagram: Datagram, type: number, length: number): number {
  const at = datagram.end;
  datagram.view.setUint8(at, type);
  datagram.view.setUint16(at + 1, length);
  datagram.end = at + MESSAGE_HEADER + length;
  return payloadAt(at);
}

/** A message whose payload is the first `length` bytes of `payload`: SNAPSHOT_RECORD, WITHDRAW, HEAD_DROP, SYN. */
export function writeBytes(
  datagram: Datagram,
  type: number,
  payload: Uint8Array,
  length: number,
): void {
  const at = begin(datagram, type, length);
  for (let index = 0; index < length; index++) datagram.bytes[at + index] = payload[index];
}

/** Bytes of the payload of a message that all must have. */
export const keptLength = (type: number, kept: Uint8Array): number =>
  kept.length + (isTicketed(type) ? TICKET_BYTES : 0);

/** A message that all must have; of PROPOSE and DELETE `kept` is what stands behind the ticket. */
export function writeKept(
  datagram: Datagram,
  type: number,
  ticket: number,
  kept: Uint8Array,
): void {
  let at = begin(datagram, type, keptLength(type, kept));
  if (isTicketed(type)) {
    datagram.view.setUint32(at, ticket);
    at += TICKET_BYTES;
  }
  for (let index = 0; index < kept.length; index++) datagram.bytes[at + index] = kept[index];
}

export function writeHeartbeat(
  datagram: Datagram,
  viewNumber: number,
  adopted: readonly number[],
  members: readonly number[],
  active: readonly number[],
): void {
  const ids = adopted.length + members.length + active.length;
  let at = begin(datagram, HEARTBEAT, 4 + HEARTBEAT_LISTS + ids);
  datagram.view.setUint32(at, viewNumber);
  at += 4;
  for (const list of [adopted, members, active]) {
    datagram.view.setUint8(at++, list.length);
    for (const id of list) datagram.view.setUint8(at++, id);
  }
}

export function writeFenced(datagram: Datagram, floor: Incarnation, evidence: number): void {
  const at = begin(datagram, FENCED, 12);
  datagram.view.setUint32(at, floor.seconds);
  datagram.view.setUint32(at + 4, floor.salt);
  datagram.view.setUint32(at + 8, evidence);
}

/** PROBE: asks for any datagram at once. LEFT: the last word of a life that ends in order. */
export function writeWord(
  datagram: Datagram,
  type: typeof PROBE | typeof LEFT | typeof DIED,
): void {
  begin(datagram, type, 0);
}

/** Bytes of the payload of HEAD. */
export const headLength = (flow: number, facts: number, bytes: number): number =>
  HEAD_FIXED + flow + facts + bytes;

/** HEAD with the bytes that lie at `offset` in the request's head. */
export function writeHead(
  datagram: Datagram,
  flow: Uint8Array,
  facts: Uint8Array,
  offset: number,
  bytes: Uint8Array,
): void {
  const at = begin(datagram, HEAD, headLength(flow.length, facts.length, bytes.length));
  datagram.view.setUint8(at, flow.length);
  datagram.view.setUint8(at + 1, facts.length);
  datagram.view.setUint32(at + 2, offset);
  const flowAt = at + HEAD_FIXED;
  datagram.bytes.set(flow, flowAt);
  datagram.bytes.set(facts, flowAt + flow.length);
  datagram.bytes.set(bytes, flowAt + flow.length + facts.length);
}

/** SNAPSHOT_REQUEST and SNAPSHOT_BEGIN. */
export function writeSnapshotMark(datagram: Datagram, type: number, id: number): void {
  datagram.view.setUint32(begin(datagram, type, 4), id);
}

export function writeSnapshotEnd(datagram: Datagram, id: number, count: number): void {
  const at = begin(datagram, SNAPSHOT_END, 8);
  datagram.view.setUint32(at, id);
  datagram.view.setUint32(at + 4, count);
}
