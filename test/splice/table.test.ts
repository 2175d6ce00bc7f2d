import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/env/random.ts';
import { type Address, fromIpv4, parseAddress } from '../../src/ip/address.ts';
import { formOfAddress, IPV4_FORM, IPV6_FORM, MAX_FLOW_BYTES } from '../../src/splice/form.ts';
import {
  encodeRecord,
  type SpliceRecord,
  TO_BACKEND,
  TO_CLIENT,
  writeFlow,
} from '../../src/splice/record.ts';
import { NEXT, OPEN, RESET } from '../../src/splice/slot.ts';
import { SpliceTable } from '../../src/splice/table.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as packets from './packets.ts';
import { Testbed } from './testbed.ts';

describe.each([IPV4_FORM, IPV6_FORM])('a table of IPv$version records', (form) => {
  const isIpv4 = form === IPV4_FORM;
  const RECORD = isIpv4 ? packets.RECORD : packets.RECORD6;
  const PACKET = isIpv4 ? packets.PACKET : packets.PACKET6;
  const ANSWER = isIpv4 ? packets.ANSWER : packets.ANSWER6;
  const arbitraryRecord = packets.arbitraryRecord.filter(
    ({ client }) => formOfAddress(client.address) === form,
  );

  /** The nth of many addresses. */
  function clientAddress(index: number): Address {
    if (isIpv4) return fromIpv4(0x0b00_0000 + index);
    const text = `2001:db8:b::${(index >> 8).toString(16)}:${(index & 255).toString(16)}`;
    const address = parseAddress(text);
    if (address === undefined) throw new Error(`${text} is no address`);
    return address;
  }

  const newTable = (maximum: number, seed = 1): SpliceTable =>
    new SpliceTable({ maximum, form, random: seededRandom(seed) });

  const key = new DataView(new ArrayBuffer(MAX_FLOW_BYTES));
  const keyWords = new Uint32Array(key.buffer);

  /** Looks up the packet that its sender would send. */
  function find(table: SpliceTable, record: SpliceRecord, direction: number): number {
    const [from, to] =
      direction === TO_BACKEND ? [record.client, record.virtual] : [record.backend, record.source];
    writeFlow(key, 0, from, to);
    return table.find(keyWords, 0);
  }

  function encoded(record: SpliceRecord): DataView {
    const view = new DataView(new ArrayBuffer(form.recordBytes + 3));
    encodeRecord(record, view, 3);
    return view;
  }

  /** The nth of many flows from few clients to one backend. */
  const flow = (index: number, epoch = 1): SpliceRecord => ({
    ...RECORD,
    client: { address: clientAddress(index >> 4), port: 1_024 + (index & 15) },
    source: { address: RECORD.source.address, port: 1_024 + index },
    seqShiftToBackend: index,
    epoch,
  });

  const clientKey = (record: SpliceRecord): string =>
    `${record.client.address}:${record.client.port}>${record.virtual.address}:${record.virtual.port}`;
  const backendKey = (record: SpliceRecord): string =>
    `${record.backend.address}:${record.backend.port}>${record.source.address}:${record.source.port}`;

  describe('lookup', () => {
    test('one for each way', () => {
      const table = newTable(10);
      const slot = table.insert(RECORD, 0);
      expect(find(table, RECORD, TO_BACKEND)).toBe(2 * slot + TO_BACKEND);
      expect(find(table, RECORD, TO_CLIENT)).toBe(2 * slot + TO_CLIENT);
      expect(table.get(slot)).toEqual(RECORD);
      expect(find(table, flow(1), TO_BACKEND)).toBe(-1);
      table.remove(slot);
      expect(find(table, RECORD, TO_BACKEND)).toBe(-1);
      expect(find(table, RECORD, TO_CLIENT)).toBe(-1);
      expect(() => table.get(slot)).toThrow(RangeError);
    });

    test('20,000 flows, a third of them removed and others put in', () => {
      const table = newTable(20_000);
      const slots = Array.from({ length: 20_000 }, (_, index) => table.insert(flow(index), 0));
      expect(new Set(slots).size).toBe(20_000);
      expect(table.size).toBe(20_000);
      // The index is about to grow: half as much again is on its way.
      expect(table.bytesPerRecord).toBeLessThan(4 * form.slotWords + 96);
      for (let index = 0; index < 20_000; index += 3) table.remove(slots[index]);
      const wrong = slots.filter((slot, index) => {
        const gone = index % 3 === 0;
        return (
          find(table, flow(index), TO_BACKEND) !== (gone ? -1 : 2 * slot) ||
          find(table, flow(index), TO_CLIENT) !== (gone ? -1 : 2 * slot + 1)
        );
      });
      expect(wrong).toEqual([]);
      const late = Array.from({ length: 6_000 }, (_, index) =>
        table.insert(flow(index + 30_000), 0),
      );
      const lost = late.filter(
        (slot, index) => find(table, flow(index + 30_000), TO_CLIENT) !== 2 * slot + 1,
      );
      expect(lost).toEqual([]);
      expect(table.high).toBe(20_000);
    });

    test('while the index grows each flow is found, those that go are not, and it is done in time', () => {
      const table = newTable(12_000);
      const slots: number[] = [];
      const wrong: number[] = [];
      const isWrong = (index: number): boolean => {
        const slot = slots[index];
        return (
          find(table, flow(index), TO_BACKEND) !== (slot < 0 ? -1 : 2 * slot) ||
          find(table, flow(index), TO_CLIENT) !== (slot < 0 ? -1 : 2 * slot + 1)
        );
      };
      for (let index = 0; index < 10_000; index++) {
        slots.push(table.insert(flow(index), 0));
        const other = (index * 7_919) % (index + 1);
        if (index % 3 === 0 && slots[other] >= 0) {
          table.remove(slots[other]);
          slots[other] = -1;
        }
        if (isWrong(index) || isWrong(other)) wrong.push(index);
      }
      expect(wrong).toEqual([]);
      expect(slots.filter((_, index) => isWrong(index))).toEqual([]);
      expect(table.size).toBe(slots.filter((slot) => slot >= 0).length);
    });

    test('an index with room from the start does not grow', () => {
      const table = new SpliceTable({
        maximum: 5_000,
        form,
        random: seededRandom(1),
        reserve: 5_000,
      });
      const indexBytes = (): number =>
        table.bytesPerRecord * Math.max(1, table.size) - table.high * 4 * form.slotWords;
      const before = indexBytes();
      const slots = Array.from({ length: 5_000 }, (_, index) => table.insert(flow(index), 0));
      expect(indexBytes()).toBeCloseTo(before);
      expect(slots.map((_, index) => find(table, flow(index), TO_BACKEND) >> 1)).toEqual(slots);
    });

    test('another seed, another order of probing, the same answers', () => {
      for (let seed = 0; seed < 20; seed++) {
        const table = newTable(600, seed);
        const slots = Array.from({ length: 600 }, (_, index) => table.insert(flow(index), 0));
        const found = slots.map((_, index) => find(table, flow(index), TO_BACKEND) >> 1);
        expect(found).toEqual(slots);
      }
    });
  });

  describe('any operations', () => {
    type Operation =
      | { do: 'insert'; pick: number; backend: number; epoch: number; encoded: boolean }
      | { do: 'remove'; pick: number };
    const operation: fc.Arbitrary<Operation> = fc.oneof(
      fc.record({
        do: fc.constant('insert' as const),
        pick: fc.integer({ min: 0, max: 30 }),
        backend: fc.integer({ min: 0, max: 30 }),
        epoch: fc.integer({ min: 0, max: 3 }),
        encoded: fc.boolean(),
      }),
      fc.record({ do: fc.constant('remove' as const), pick: fc.integer({ min: 0, max: 30 }) }),
    );

    test('agree with two maps', () => {
      fc.assert(
        fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
          const maximum = 20;
          const table = newTable(maximum);
          const byClient = new Map<string, SpliceRecord>();
          const byBackend = new Map<string, SpliceRecord>();
          const forget = (record: SpliceRecord): void => {
            byClient.delete(clientKey(record));
            byBackend.delete(backendKey(record));
          };
          for (const step of operations) {
            if (step.do === 'remove') {
              const record = byClient.get(clientKey(flow(step.pick)));
              if (record === undefined) continue;
              table.remove(find(table, record, TO_BACKEND) >> 1);
              forget(record);
              continue;
            }
            const record = { ...flow(step.pick, step.epoch), source: flow(step.backend).source };
            const slot = step.encoded
              ? table.insertEncoded(encoded(record), 3, 0)
              : table.insert(record, 0);
            const known = byClient.get(clientKey(record));
            const owner = byBackend.get(backendKey(record));
            const same = known !== undefined && backendKey(known) === backendKey(record);
            let accepted: boolean;
            if (known !== undefined && same && known.epoch === record.epoch) accepted = true;
            else if (known !== undefined) {
              accepted = record.epoch > known.epoch && (owner === undefined || owner === known);
            } else accepted = owner === undefined && byClient.size < maximum;
            expect(slot >= 0).toBe(accepted);
            if (!accepted) continue;
            if (known !== undefined) forget(known);
            byClient.set(clientKey(record), record);
            byBackend.set(backendKey(record), record);
            expect(table.get(slot)).toEqual(record);
          }
          expect(table.size).toBe(byClient.size);
          const walked: SpliceRecord[] = [];
          for (let slot = table.nextUsed(0); slot >= 0; slot = table.nextUsed(slot + 1)) {
            walked.push(table.get(slot));
          }
          expect(walked).toHaveLength(byClient.size);
          expect(new Map(walked.map((record) => [clientKey(record), record]))).toEqual(byClient);
          for (const record of byClient.values()) {
            const slot = find(table, record, TO_CLIENT) >> 1;
            expect(find(table, record, TO_BACKEND)).toBe(2 * slot);
            expect(table.get(slot)).toEqual(record);
            expect(table.slotOf(encoded(record), 3)).toBe(slot);
          }
        }),
        { numRuns: 300 },
      );
    });

    test('any bytes as a record', () => {
      const table = newTable(50);
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 70 }),
          fc.integer({ min: -1, max: 75 }),
          (bytes, at) => {
            const view = new DataView(bytes.slice().buffer);
            const slot = table.insertEncoded(view, at, 0);
            expect(table.slotOf(view, at)).toBe(slot);
          },
        ),
      );
      fc.assert(
        fc.property(arbitraryRecord, (record) => {
          const slot = table.insertEncoded(encoded(record), 3, 0);
          if (slot >= 0) expect(table.get(slot)).toEqual(record);
          else expect(table.size).toBe(50);
        }),
      );
    });
  });

  describe('insertion', () => {
    test('the same record again changes nothing', () => {
      const table = newTable(10);
      const slot = table.insert(RECORD, 0);
      expect(table.insert(RECORD, 0)).toBe(slot);
      expect(table.counters).toMatchObject({ inserted: 1, conflicts: 0 });
      expect(table.size).toBe(1);
    });

    test('a record that differs under the same epoch is a conflict', () => {
      const table = newTable(10);
      table.insert(RECORD, 0);
      expect(table.insert({ ...RECORD, home: 4 }, 0)).toBe(-1);
      expect(table.counters.conflicts).toBe(1);
    });

    test('a higher epoch replaces in place, also with another backend', () => {
      const table = newTable(10);
      const slot = table.insert(RECORD, 0);
      const next = {
        ...RECORD,
        epoch: 2,
        backend: { address: clientAddress(99), port: 8_080 },
      };
      expect(table.insert(next, 0)).toBe(slot);
      expect(table.get(slot)).toEqual(next);
      expect(find(table, RECORD, TO_CLIENT)).toBe(-1);
      expect(find(table, next, TO_CLIENT)).toBe(2 * slot + 1);
      expect(table.insert(RECORD, 0)).toBe(-1);
      expect(table.counters).toMatchObject({ replaced: 1, stale: 1 });
    });

    test('a tuple that belongs to another flow is refused, even under a higher epoch', () => {
      const table = newTable(10);
      table.insert(flow(1), 0);
      table.insert(flow(2), 0);
      expect(table.insert({ ...flow(1, 9), source: flow(2).source }, 0)).toBe(-1);
      expect(table.insert({ ...flow(3), source: flow(2).source }, 0)).toBe(-1);
      expect(table.counters.conflicts).toBe(2);
      expect(table.size).toBe(2);
    });

    test('a full table refuses, and takes again when there is room', () => {
      const table = newTable(2);
      const slot = table.insert(flow(1), 0);
      table.insert(flow(2), 0);
      expect(table.insert(flow(3), 0)).toBe(-1);
      expect(table.counters.full).toBe(1);
      table.remove(slot);
      table.remove(slot);
      expect(table.insert(flow(3), 0)).toBe(slot);
      expect(table.counters.removed).toBe(1);
    });

    test('flows that linger give way to one that has a tuple of each', () => {
      const bed = new Testbed({ form });
      const slot = bed.insert();
      const other = bed.insert(flow(1));
      const mixed = { ...RECORD, source: flow(1).source };
      expect(bed.insert(mixed)).toBe(-1);
      bed.handle(PACKET);
      bed.handle({ ...PACKET, flags: tcp.RST });
      expect(bed.insert(mixed)).toBe(-1);
      bed.handle({ ...ANSWER, toPort: flow(1).source.port });
      bed.handle({ ...ANSWER, toPort: flow(1).source.port, flags: tcp.RST });
      expect(bed.closed).toEqual([slot, other]);
      expect(bed.insert(mixed)).toBeGreaterThanOrEqual(0);
      expect(bed.table.counters).toMatchObject({ superseded: 2, conflicts: 2 });
      expect(bed.table.size).toBe(1);
      bed.advance(100_000);
      expect(bed.expired).toEqual([]);
    });

    test('a flow that lingers gives way when the table is full', () => {
      const bed = new Testbed({ form, maximum: 2 });
      const slot = bed.insert();
      bed.insert(flow(1));
      bed.handle(PACKET);
      bed.handle({ ...PACKET, flags: tcp.RST });
      expect(bed.insert(flow(2))).toBe(slot);
      expect(bed.insert(flow(3))).toBe(-1);
      expect(bed.table.counters).toMatchObject({ superseded: 1, full: 1 });
      expect(bed.table.size).toBe(2);
    });

    test('a new connection between the same ends begins without the memory of the old one', () => {
      const bed = new Testbed({ form });
      const slot = bed.insert();
      bed.handle({ ...PACKET, flags: tcp.FIN });
      bed.handle({ ...PACKET, seq: PACKET.seq + 1, flags: tcp.RST });
      expect(bed.table.state(slot)).toBe(RESET);
      expect(bed.insert({ ...RECORD, epoch: 2 })).toBe(slot);
      expect(bed.table.state(slot)).toBe(OPEN);
      expect(bed.table.counters).toMatchObject({ replaced: 0, superseded: 1 });
      const seen = slot * form.slotWords + form.seen + NEXT;
      expect([...bed.table.words.subarray(seen, seen + 8)]).toEqual(new Array(8).fill(0));
    });

    test.each([0, -1, 1.5, 2 ** 24 + 1, Number.NaN])('a maximum of %d is refused', (maximum) => {
      expect(() => newTable(maximum)).toThrow(RangeError);
    });
  });

  test('a walk meets every record that stays while others come and go', () => {
    const table = newTable(100);
    const slots = Array.from({ length: 50 }, (_, index) => table.insert(flow(index), 0));
    const seen = new Set<number>();
    let turn = 0;
    for (let slot = table.nextUsed(0); slot >= 0; slot = table.nextUsed(slot + 1)) {
      seen.add(slot);
      // Every other flow goes, from the end on, and new ones come.
      table.remove(slots[49 - 2 * turn]);
      table.insert(flow(1_000 + turn), 0);
      turn++;
      expect(turn).toBeLessThan(200);
    }
    for (let index = 0; index < 50; index += 2) expect(seen.has(slots[index])).toBe(true);
  });

  test('copies the bytes of a record', () => {
    const table = newTable(4);
    table.insert(flow(1), 0);
    const slot = table.insert(flow(2), 0);
    const bytes = new Uint8Array(form.recordBytes + 6);
    table.copyRecord(slot, bytes, 6);
    expect([...bytes.subarray(6)]).toEqual([...new Uint8Array(encoded(flow(2)).buffer, 3)]);
  });
});
