import { expect, test } from 'vitest';
import { silentLogger } from '../../src/env/logger.ts';
import { seededRandom } from '../../src/env/random.ts';
import { Host } from '../../src/host/host.ts';
import { MemoryLink } from '../../src/link/memory.ts';
import { Splices } from '../../src/proxy/splices.ts';
import { formOfAddress, MAX_KEY_BYTES } from '../../src/splice/form.ts';
import { encodeRecord, type SpliceRecord } from '../../src/splice/record.ts';
import { RECORD, RECORD6 } from '../splice/packets.ts';

function newSplices(): { readonly splices: Splices; readonly host: Host } {
  const [link] = MemoryLink.pair();
  const random = seededRandom(1);
  const host = new Host({ link, mac: 0x0200_0000_0001, random });
  const splices = new Splices({
    ...{ host, self: 3, maximum: 100, lingerMillis: 1_000, idleMillis: 10_000 },
    ...{ logger: silentLogger, onProposed: () => {}, isAnothers: () => false },
  });
  return { splices, host };
}

/** The nth flow of a family. */
const flow = (template: SpliceRecord, index: number): SpliceRecord => ({
  ...template,
  client: { ...template.client, port: 1_000 + index },
  source: { ...template.source, port: 1_000 + index },
});

function bytesOf(record: SpliceRecord): Uint8Array {
  const bytes = new Uint8Array(formOfAddress(record.client.address).recordBytes);
  encodeRecord(record, new DataView(bytes.buffer), 0);
  return bytes;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('a walk shows the records of both families, each once, in steps of any size', () => {
  const records = [RECORD, RECORD6].flatMap((template) =>
    Array.from({ length: 20 }, (_, index) => bytesOf(flow(template, index))),
  );
  for (const limit of [1, 3, 20, 512]) {
    const { splices } = newSplices();
    for (const record of records) splices.insert(record);
    expect(splices.size).toBe(40);
    const seen: string[] = [];
    let cursor = 0;
    for (let calls = 0; cursor >= 0; calls++) {
      expect(calls).toBeLessThan(100);
      let visited = 0;
      cursor = splices.forEachRecord(cursor, limit, (record) => {
        seen.push(hex(record));
        visited++;
      });
      expect(visited).toBeLessThanOrEqual(limit);
    }
    expect(seen.sort()).toEqual(records.map(hex).sort());
  }
});

test('a record of either family is found by its flow, and deleted by its key', () => {
  const { splices } = newSplices();
  for (const template of [RECORD, RECORD6]) {
    const record = bytesOf(template);
    const form = formOfAddress(template.client.address);
    splices.insert(record);
    expect(splices.has(record.subarray(0, form.flowBytes))).toBe(true);
    const key = new Uint8Array(MAX_KEY_BYTES);
    expect(splices.keyOf(record, key)).toBe(form.keyBytes);
    const other = key.slice(0, form.keyBytes);
    other[form.flowBytes]++;
    splices.delete(other);
    expect(splices.size).toBe(1);
    splices.delete(key.subarray(0, form.keyBytes));
    expect(splices.size).toBe(0);
  }
});

test('bytes of no form are nobody', () => {
  const { splices } = newSplices();
  splices.insert(new Uint8Array(63));
  splices.delete(new Uint8Array(17));
  expect(splices.has(new Uint8Array(13))).toBe(false);
  expect(splices.size).toBe(0);
});

test('a record is not taken back for ends that a connection or another record has', () => {
  for (const template of [RECORD, RECORD6]) {
    const { splices, host } = newSplices();
    const record = bytesOf(template);
    const dial = host.tcp.connect({
      local: template.source.address,
      localPort: template.source.port,
      remote: template.backend,
      handler: {},
    });
    expect(splices.take(record)).toBe(false);
    dial.abort();
    expect(splices.take(record)).toBe(true);
    // The same again is no contradiction; another client with the same source port is.
    expect(splices.take(record)).toBe(true);
    const other = { ...template, client: { ...template.client, port: 9 }, epoch: 99 };
    expect(splices.take(bytesOf(other))).toBe(false);
    expect(splices.size).toBe(1);
  }
});

test('all is forgotten, of both families', () => {
  const { splices } = newSplices();
  splices.insert(bytesOf(RECORD));
  splices.insert(bytesOf(RECORD6));
  splices.forgetAll();
  expect(splices.size).toBe(0);
  expect(splices.counters).toMatchObject({ inserted: 2, removed: 2 });
});
