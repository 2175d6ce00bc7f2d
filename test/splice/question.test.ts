import { describe, expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { OWN_SEGMENT_CAPACITY } from '../../src/splice/own-packet.ts';
import {
  hasOldTimestamps,
  isAckedKnown,
  isDirectionKnown,
  writeOldQuestion,
  writeQuestion,
} from '../../src/splice/question.ts';
import { TO_BACKEND, TO_CLIENT } from '../../src/splice/record.ts';
import { ACK } from '../../src/wire/tcp.ts';
import { FAMILIES, MidFlow, read } from './own.ts';

const FAR = 2 ** 30;
const DAY = 86_400;
const HOUR_MS = 3_600_000;

describe.each(FAMILIES)('a question over $name', (family) => {
  const { record } = family;
  const frame = new Frame(OWN_SEGMENT_CAPACITY);

  /** Both ends were heard; the numbers of both wrap between what was sent and what was acknowledged. */
  const known = (): MidFlow =>
    new MidFlow(family)
      .client(100, 0xffff_fff0, 5_000)
      .backend(40, 0xffff_ff00, 9_000)
      .client(100, 0xffff_fff0, 5_000);

  test('by numbers to the backend is one below what it expects, as its client would say it now', () => {
    const { bed, slot } = known();
    const millis = 1_000 + 250;
    writeQuestion(bed.table, slot, TO_BACKEND, millis, frame);
    expect(read(frame)).toMatchObject({
      from: record.source.address,
      fromPort: record.source.port,
      to: record.backend.address,
      toPort: record.backend.port,
      seq: (0xffff_ff00 - 1 + record.seqShiftToBackend) >>> 0,
      ack: 0xffff_fff0,
      flags: ACK,
      window: 0,
      length: 0,
      intact: true,
      options: {
        hasTimestamps: true,
        timestampValue: (5_000 + 250 + record.timestampShiftToBackend) >>> 0,
        timestampEcho: 9_000,
        sackBlocks: 0,
      },
    });
  });

  test('by numbers to the client is one below what it expects, as the backend would say it now', () => {
    const { bed, slot } = known();
    writeQuestion(bed.table, slot, TO_CLIENT, 1_000 + 7, frame);
    expect(read(frame)).toMatchObject({
      from: record.virtual.address,
      fromPort: record.virtual.port,
      to: record.client.address,
      toPort: record.client.port,
      seq: (0xffff_fff0 - 1 + record.seqShiftToClient) >>> 0,
      ack: 0xffff_ff00,
      flags: ACK,
      length: 0,
      intact: true,
      options: {
        timestampValue: (9_000 + 7 + record.timestampShiftToClient) >>> 0,
        timestampEcho: 5_000,
      },
    });
  });

  test('where only what the client sent is known, is far below that', () => {
    const { bed, slot } = new MidFlow(family).client(100, 0xffff_fff0);
    const { table } = bed;
    expect(isAckedKnown(table, slot, TO_BACKEND)).toBe(false);
    expect(isDirectionKnown(table, slot, TO_BACKEND)).toBe(true);
    writeQuestion(table, slot, TO_BACKEND, 1_000, frame);
    const { seq, ack } = read(frame);
    expect(seq).toBe((100 - FAR + record.seqShiftToBackend) >>> 0);
    expect(ack).toBe(0xffff_fff0);
    // Of the backend is known what the client acknowledged, and of the client what it sent.
    expect(isAckedKnown(table, slot, TO_CLIENT)).toBe(true);
    expect(isDirectionKnown(table, slot, TO_CLIENT)).toBe(false);
  });

  test('cannot be put by numbers where nobody was heard', () => {
    const { bed, slot } = new MidFlow(family);
    for (const direction of [TO_BACKEND, TO_CLIENT]) {
      expect(isAckedKnown(bed.table, slot, direction)).toBe(false);
      expect(isDirectionKnown(bed.table, slot, direction)).toBe(false);
    }
  });

  test('by timestamps is an hour older than the connection and far ahead of all windows', () => {
    const epoch = 1_700_000_000;
    const flow = new MidFlow(family, { epoch });
    flow.client(100, 0xffff_fff0, 5_000).backend(40, 0xffff_ff00, 9_000);
    writeOldQuestion(flow.bed.table, flow.slot, TO_BACKEND, 0, frame);
    const first = read(frame);
    expect(first).toMatchObject({
      from: record.source.address,
      toPort: record.backend.port,
      seq: (0xffff_ff00 + FAR + record.seqShiftToBackend) >>> 0,
      ack: 0xffff_fff0,
      flags: ACK,
      length: 0,
      intact: true,
      options: { timestampValue: (epoch * 1_000 - HOUR_MS) % 2 ** 32, timestampEcho: 9_000 },
    });
    writeOldQuestion(flow.bed.table, flow.slot, TO_CLIENT, 2 ** 31, frame);
    expect(read(frame)).toMatchObject({
      from: record.virtual.address,
      toPort: record.client.port,
      seq: (0xffff_fff0 + FAR + record.seqShiftToClient + 2 ** 31) >>> 0,
      ack: 0xffff_ff00,
      intact: true,
      options: { timestampValue: (epoch * 1_000 - HOUR_MS) % 2 ** 32, timestampEcho: 5_000 },
    });
  });

  test.each([
    { what: 'that has begun', timestamps: true, age: 0, may: true },
    { what: 'that began a moment ahead of our clock', timestamps: true, age: -5, may: true },
    { what: 'of nearly 20 days', timestamps: true, age: 20 * DAY - 1, may: true },
    { what: 'of 20 days', timestamps: true, age: 20 * DAY, may: false },
    { what: 'without timestamps', timestamps: false, age: 0, may: false },
  ])('by timestamps to a connection $what: $may', ({ timestamps, age, may }) => {
    const epoch = 1_700_000_000;
    const { bed, slot } = new MidFlow(family, { epoch, timestamps });
    expect(hasOldTimestamps(bed.table, slot, epoch + age)).toBe(may);
  });

  test('to a flow without timestamps has none', () => {
    const { bed, slot } = new MidFlow(family, { timestamps: false }).client(9, 5).backend(5, 9);
    writeQuestion(bed.table, slot, TO_BACKEND, 1_000, frame);
    expect(read(frame)).toMatchObject({ intact: true, length: 0 });
    expect(read(frame).options.hasTimestamps).toBe(false);
  });
});
