import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/env/random.ts';
import { RecordSealer } from '../../../src/replication/store/sealed-record.ts';
import { RECORD, RECORD6 } from '../../splice/packets.ts';
import { bytesOf, sealer } from './world.ts';

const records = [bytesOf(RECORD), bytesOf(RECORD6)];

test.each([0, 1])('what one member sealed another one opens', (family) => {
  const record = records[family];
  const { value, names } = sealer(1).seal(record, 1_700_000_000);
  const other = sealer(2);
  expect(other.open(value)).toMatchObject({
    record,
    writtenAt: 1_700_000_000,
    cluster: other.cluster,
  });
  expect(other.names(record)).toEqual(names);
  expect(value.length).toBe(29 + 8 + record.length + 16);
});

test('no bit of a value can be changed, and no byte added or left out', () => {
  const { value } = sealer().seal(records[0], 1);
  const opener = sealer(2);
  for (let bit = 0; bit < 8 * value.length; bit++) {
    const changed = value.slice();
    changed[bit >> 3] ^= 1 << (bit & 7);
    expect(opener.open(changed)).toBeUndefined();
  }
  for (let length = 0; length < value.length; length++) {
    expect(opener.open(value.subarray(0, length))).toBeUndefined();
  }
  expect(opener.open(Uint8Array.from([...value, 0]))).toBeUndefined();
  expect(opener.open(value)).toBeDefined();
});

test('whatever bytes there are, they are refused', () => {
  const opener = sealer();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => opener.open(bytes) === undefined),
  );
});

test('another secret opens nothing and names nothing alike; another cluster of the same secret does', () => {
  const [record] = records;
  const { value, names } = sealer().seal(record, 1);
  const stranger = sealer(1, 'test', 'another secret');
  expect(stranger.open(value)).toBeUndefined();
  expect(stranger.names(record)).not.toEqual(names);
  const sister = sealer(1, 'sister');
  expect(sister.names(record)).toEqual(names);
  expect(sister.open(value)?.cluster).not.toBe(sister.cluster);
});

test('no value is sealed like another one, and a name tells no address', () => {
  const writer = sealer();
  const [record] = records;
  const first = writer.seal(record, 1);
  const second = writer.seal(record, 1);
  expect(first.value).not.toEqual(second.value);
  expect(new Set(first.names).size).toBe(2);
  for (const name of first.names) expect(name).toMatch(/^test:[cb]:[\w-]{22}$/);
  // The same identity, by which it is removed.
  expect(first.value.subarray(5, 13)).toEqual(second.value.subarray(5, 13));
  expect(first.value.subarray(5, 13)).toEqual(writer.identityOf(record));
});

test('many writers are remembered, and not without end', () => {
  const opener = sealer();
  for (let seed = 1; seed <= 300; seed++) {
    expect(opener.open(sealer(seed).seal(records[0], 1).value)).toBeDefined();
  }
});

test('a secret must not be empty', () => {
  const options = { cluster: 'test', secret: '', prefix: '', random: seededRandom(1) };
  expect(() => new RecordSealer(options)).toThrow(RangeError);
  expect(() => sealer().seal(new Uint8Array(63), 1)).toThrow('no record has 63 bytes');
});
