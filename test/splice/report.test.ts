import { describe, expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { IPV6_FORM } from '../../src/splice/form.ts';
import { OWN_SEGMENT_CAPACITY } from '../../src/splice/own-packet.ts';
import { TO_BACKEND, TO_CLIENT } from '../../src/splice/record.ts';
import { fullPayload, fullSegment, takesSack, writeReport } from '../../src/splice/report.ts';
import { ACK } from '../../src/wire/tcp.ts';
import { FAMILIES, MidFlow, read } from './own.ts';

describe.each(FAMILIES)('a report over $name', (family) => {
  const { record, form } = family;
  /** Segments that both ends take. */
  const full = record.clientMss;
  const frame = new Frame(OWN_SEGMENT_CAPACITY);

  /** The client has sent `ahead` bytes, across the wrap, that the backend has not acknowledged. */
  const waiting = (ahead: number, changes = {}): MidFlow =>
    new MidFlow(family, changes)
      .client(0xffff_ff00 + ahead, 0xffff_fff0, 5_000)
      .backend(40, 0xffff_ff00, 9_000);

  test('to the client is what the backend said last, once more', () => {
    const { bed, slot } = waiting(10_000);
    writeReport(bed.table, slot, TO_BACKEND, 321, frame);
    expect(read(frame)).toMatchObject({
      from: record.virtual.address,
      fromPort: record.virtual.port,
      to: record.client.address,
      toPort: record.client.port,
      seq: (40 + record.seqShiftToClient) >>> 0,
      ack: 0xffff_ff00,
      flags: ACK,
      window: 321,
      length: 0,
      intact: true,
      options: {
        timestampValue: (9_000 + record.timestampShiftToClient) >>> 0,
        timestampEcho: 5_000,
        sackBlocks: 1,
      },
    });
  });

  test('to the backend is what the client said last, once more', () => {
    const flow = new MidFlow(family).backend(3_000, 0xffff_ff00, 9_000);
    const { bed, slot } = flow.client(0xffff_ff10, 0xffff_fff0, 5_000);
    writeReport(bed.table, slot, TO_CLIENT, 65_535, frame);
    expect(read(frame)).toMatchObject({
      from: record.source.address,
      fromPort: record.source.port,
      to: record.backend.address,
      toPort: record.backend.port,
      seq: (0xffff_ff10 + record.seqShiftToBackend) >>> 0,
      ack: 0xffff_fff0,
      window: 65_535,
      length: 0,
      intact: true,
      options: {
        timestampValue: (5_000 + record.timestampShiftToBackend) >>> 0,
        timestampEcho: 9_000,
        sackBlocks: 1,
      },
    });
  });

  test.each([
    { what: 'many segments: the last three', ahead: 10_000, claimed: 3 * full },
    { what: 'three and a byte: all three', ahead: 3 * full + 1, claimed: 3 * full },
    { what: 'three: all but the first byte', ahead: 3 * full, claimed: 3 * full - 1 },
    { what: 'a piece of one: likewise', ahead: 100, claimed: 99 },
    { what: 'two bytes: the second', ahead: 2, claimed: 1 },
  ])('claims of $what', ({ ahead, claimed }) => {
    const { bed, slot } = waiting(ahead);
    writeReport(bed.table, slot, TO_BACKEND, 1, frame);
    const { ack, options } = read(frame);
    const [left, right] = options.sackEdges;
    expect(right).toBe((0xffff_ff00 + ahead) >>> 0);
    expect((right - left) | 0).toBe(claimed);
    // Behind what is acknowledged, or it would be taken for a duplicate (RFC 2883, section 4).
    expect((left - ack) | 0).toBeGreaterThan(0);
  });

  test('counts segments as small as the end that takes less', () => {
    for (const changes of [{ clientMss: 536 }, { backendMss: 536 }]) {
      const { bed, slot } = waiting(10_000, changes);
      expect(fullSegment(bed.table, slot)).toBe(536);
      expect(fullPayload(bed.table, slot)).toBe(524);
      writeReport(bed.table, slot, TO_BACKEND, 1, frame);
      const [left, right] = read(frame).options.sackEdges;
      expect((right - left) | 0).toBe(3 * 536);
    }
    const { bed, slot } = waiting(1, { timestamps: false });
    expect(fullPayload(bed.table, slot)).toBe(full);
  });

  test('has a block only for who takes one', () => {
    const { bed, slot } = waiting(10_000, { clientSack: false });
    expect(takesSack(bed.table, slot, TO_BACKEND)).toBe(false);
    expect(takesSack(bed.table, slot, TO_CLIENT)).toBe(true);
    writeReport(bed.table, slot, TO_BACKEND, 1, frame);
    const { ack, options, intact } = read(frame);
    expect([ack, options.sackBlocks, intact]).toEqual([0xffff_ff00, 0, true]);
    // One that was written before leaves no trace.
    const other = waiting(10_000);
    writeReport(other.bed.table, other.slot, TO_BACKEND, 1, frame);
    writeReport(bed.table, slot, TO_BACKEND, 1, frame);
    expect(read(frame).options.sackBlocks).toBe(0);
  });

  test('fits into the frames made for it', () => {
    const { bed, slot } = waiting(10_000);
    writeReport(bed.table, slot, TO_BACKEND, 1, frame);
    const spare = form === IPV6_FORM ? 0 : 20;
    expect(frame.end).toBe(OWN_SEGMENT_CAPACITY - spare);
  });
});
