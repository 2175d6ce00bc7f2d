// What the splice reads: records from peers, and packets of the flows that it translates.

import { IPV4_FORM, IPV6_FORM } from '../../src/splice/form.ts';
import { decodeRecord, encodeRecord, isValidRecord } from '../../src/splice/record.ts';
import { NETWORK_AT } from '../../src/wire/layout.ts';
import { ANSWER, ANSWER6, frameOf, PACKET, PACKET6, RECORD, RECORD6 } from '../splice/packets.ts';
import { Testbed } from '../splice/testbed.ts';
import { frameOfPacket } from './frames.ts';
import { repair } from './mutation.ts';

/** Records from nowhere: each is refused, or comes back byte for byte. */
export function readRecord(bytes: Uint8Array): void {
  for (const form of [IPV4_FORM, IPV6_FORM]) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const record = decodeRecord(view, 0, form);
    if ((record !== undefined) !== isValidRecord(view, 0, form)) throw new Error('two opinions');
    if (record === undefined) continue;
    const again = new DataView(new ArrayBuffer(form.recordBytes));
    encodeRecord(record, again, 0);
    for (let at = 0; at < form.recordBytes; at++) {
      if (again.getUint8(at) !== bytes[at]) throw new Error(`byte ${at} is another one`);
    }
  }
}

/** Packets of a flow, damaged: translated or left alone, never more than one for one. */
export function splice(bytes: Uint8Array): void {
  for (const form of [IPV4_FORM, IPV6_FORM]) {
    for (const repaired of [false, true]) {
      const testbed = new Testbed({ form });
      testbed.insert();
      const frame = frameOfPacket(bytes);
      if (repaired) repair(frame);
      const taken = testbed.splicer.handle(frame, testbed.now);
      if (testbed.sent.length > (taken ? 1 : 0)) throw new Error('more is sent than came');
      testbed.advance(1_000);
      if (testbed.table.size > 1) throw new Error('a packet made a record');
    }
  }
}

const hexOf = (packet: typeof PACKET): string => {
  const frame = frameOf(packet);
  return Buffer.from(frame.bytes.subarray(NETWORK_AT, frame.end)).toString('hex');
};

const recordHex = (record: typeof RECORD, length: number): string => {
  const view = new DataView(new ArrayBuffer(length));
  encodeRecord(record, view, 0);
  return Buffer.from(view.buffer).toString('hex');
};

export const RECORD_SEEDS: readonly string[] = [
  recordHex(RECORD, IPV4_FORM.recordBytes),
  recordHex(RECORD6, IPV6_FORM.recordBytes),
];
export const FLOW_SEEDS: readonly string[] = [PACKET, ANSWER, PACKET6, ANSWER6].map(hexOf);
