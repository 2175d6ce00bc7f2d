// What a member knows of a flow, asked from outside.
import type { Endpoint } from '../ip/address.ts';
import { formOfAddress, MAX_FLOW_BYTES, MAX_RECORD_BYTES } from '../splice/form.ts';
import { recordEpoch, writeFlow } from '../splice/record.ts';
import type { SpliceTable } from '../splice/table.ts';
import type { Station } from './cluster.ts';

const key = new DataView(new ArrayBuffer(MAX_FLOW_BYTES));
const keyWords = new Uint32Array(key.buffer);
const keyBytes = new Uint8Array(key.buffer);

const tableOf = ({ member }: Station, { address }: Endpoint): SpliceTable =>
  member.splices.splicer.ofAddress(address).table;

/** The slot of the record by which packets from one end point to another are translated, or -1. */
export function slotOf(station: Station, from: Endpoint, to: Endpoint): number {
  writeFlow(key, 0, from, to);
  return tableOf(station, from).find(keyWords, 0) >> 1;
}

/** How many bytes of a flow's head a member has logged; -1 if it knows of no head. */
export function loggedBytes({ member }: Station, client: Endpoint, virtual: Endpoint): number {
  const length = writeFlow(key, 0, client, virtual);
  return member.replicator?.heads.get(keyBytes.subarray(0, length))?.bytes.length ?? -1;
}

/** True if a member knows that a flow ends at another, or at itself: by a logged head without bytes and facts. */
export function isPinnedTo(
  { member }: Station,
  owner: number,
  client: Endpoint,
  virtual: Endpoint,
): boolean {
  const length = writeFlow(key, 0, client, virtual);
  const head = member.replicator?.heads.get(keyBytes.subarray(0, length));
  return head?.owner === owner && head.facts.length === 0;
}

/** True if a member has answered a client's SYN, or was told by another that it would, and nobody serves it yet. */
export function knowsHandshake({ member }: Station, client: Endpoint, virtual: Endpoint): boolean {
  const flow = keyBytes.subarray(0, writeFlow(key, 0, client, virtual));
  return member.answers.has(flow) || (member.replicator?.handshakes.has(flow) ?? false);
}

/**
 * True if a member has the record by which a client's packets go to a backend from a source, or has accepted it
 * and waits to hear that all have.
 */
export function holdsRecord(
  station: Station,
  client: Endpoint,
  virtual: Endpoint,
  source: Endpoint,
  backend: Endpoint,
): boolean {
  if (slotOf(station, backend, source) >= 0) return true;
  const length = writeFlow(key, 0, client, virtual);
  const proposed = station.member.replicator?.proposalFor(keyBytes.subarray(0, length));
  if (proposed === undefined) return false;
  writeFlow(key, 0, backend, source);
  for (let at = 0; at < length; at++) if (proposed[length + at] !== keyBytes[at]) return false;
  return true;
}

/** A record as bytes, for comparison. */
export class RecordBytes {
  readonly bytes = new Uint8Array(MAX_RECORD_BYTES);
  readonly #view = new DataView(this.bytes.buffer);
  length = 0;
  epoch = 0;

  /** Reads the record of a client's flow; false if the member has none. */
  read(station: Station, client: Endpoint, virtual: Endpoint): boolean {
    const slot = slotOf(station, client, virtual);
    if (slot < 0) return false;
    const form = formOfAddress(client.address);
    tableOf(station, client).copyRecord(slot, this.bytes, 0);
    this.length = form.recordBytes;
    this.epoch = recordEpoch(this.#view, 0, form);
    return true;
  }

  equals(other: RecordBytes): boolean {
    if (this.length !== other.length) return false;
    for (let at = 0; at < this.length; at++) if (this.bytes[at] !== other.bytes[at]) return false;
    return true;
  }
}

/** True if `station` sends `other` whatever it commits, and waits for its acknowledgment. */
export function replicates(station: Station, other: Station): boolean {
  const report = station.member.replicator?.peers.find(({ name }) => name === other.name);
  return report?.status === 'live' || report?.status === 'joining';
}
