// How a splice record lies in memory, for each address family. A record is two halves: the *ways*, which
// say what packets of either direction look like when they come in, and the transport half, which is the
// same for both families.
//
//   client address, virtual address, client port, virtual port      the way to the backend
//   backend address, source address, backend port, source port      the way to the client
//   transport half: 40 bytes (record.ts)
//
// A way is what a frame has, in its order and as it lies there: words compare with words as they are.
import type { Address } from '../ip/address.ts';

/** Bytes of the transport half. */
const TRANSPORT_BYTES = 40;
/** Bytes of a flow's ports, and of an epoch. */
const PORTS_BYTES = 4;
const EPOCH_BYTES = 4;

export interface RecordForm {
  /** What the record's form byte says: the IP version. */
  readonly version: 4 | 6;
  /** Bytes of one address. */
  readonly addressBytes: 4 | 16;
  /** Words of a way: source, destination, ports. The way of direction d starts at word `d * keyWords`. */
  readonly keyWords: number;
  /** The word of a record where its transport half starts. */
  readonly transport: number;
  /** Bytes of a record. */
  readonly recordBytes: number;
  /** Bytes of what names a flow: the way to the backend. */
  readonly flowBytes: number;
  /** Bytes of what names a record: its flow and its epoch. */
  readonly keyBytes: number;
  /** The word of a slot of the table where what was seen of the flow starts (slot.ts), behind its record. */
  readonly seen: number;
  /** Words of a slot: both, and what fills the last cache line. */
  readonly slotWords: number;
}

function formOf(version: 4 | 6, addressBytes: 4 | 16, slotWords: number): RecordForm {
  const flowBytes = 2 * addressBytes + PORTS_BYTES;
  return {
    version,
    addressBytes,
    keyWords: flowBytes / 4,
    transport: flowBytes / 2,
    recordBytes: 2 * flowBytes + TRANSPORT_BYTES,
    flowBytes,
    keyBytes: flowBytes + EPOCH_BYTES,
    seen: (2 * flowBytes + TRANSPORT_BYTES) / 4,
    slotWords,
  };
}

/** 64 bytes a record, 128 a slot. */
export const IPV4_FORM: RecordForm = formOf(4, 4, 32);
/** 112 bytes a record, 192 a slot. */
export const IPV6_FORM: RecordForm = formOf(6, 16, 48);

/** The longest of both, for buffers that hold either. */
export const MAX_RECORD_BYTES = IPV6_FORM.recordBytes;
export const MAX_FLOW_BYTES = IPV6_FORM.flowBytes;
export const MAX_KEY_BYTES = IPV6_FORM.keyBytes;

/** The form of records of flows between such addresses. */
export const formOfAddress = (address: Address): RecordForm =>
  typeof address === 'number' ? IPV4_FORM : IPV6_FORM;

/** The form of a record by its bytes; undefined if no form has so many. */
export const formOfRecord = (bytes: number): RecordForm | undefined =>
  bytes === IPV4_FORM.recordBytes
    ? IPV4_FORM
    : bytes === IPV6_FORM.recordBytes
      ? IPV6_FORM
      : undefined;

/** The form of a record's key by its bytes: the key is a flow, then an epoch. */
export const formOfKey = (bytes: number): RecordForm | undefined =>
  bytes === IPV4_FORM.keyBytes ? IPV4_FORM : bytes === IPV6_FORM.keyBytes ? IPV6_FORM : undefined;

/** The form of a flow by its bytes. */
export const formOfFlow = (bytes: number): RecordForm | undefined =>
  bytes === IPV4_FORM.flowBytes ? IPV4_FORM : bytes === IPV6_FORM.flowBytes ? IPV6_FORM : undefined;
