import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { ReceiveBuffer } from '../../src/tcp/receive-buffer.ts';
import { SendBuffer } from '../../src/tcp/send-buffer.ts';
import { advance } from '../../src/tcp/sequence.ts';
import { pattern } from './harness.ts';

const drain = (buffer: ReceiveBuffer, max?: number): number[] => {
  const all: Uint8Array[] = [];
  for (let bytes = buffer.read(max); bytes !== undefined; bytes = buffer.read(max)) all.push(bytes);
  return [...Buffer.concat(all)];
};

test('what is appended is read, in pieces of any size', () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 9_000 }), { maxLength: 8 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 9_000 }), (pieces, max) => {
      const buffer = new ReceiveBuffer();
      let at = 0;
      for (const size of pieces) {
        const bytes = pattern(size + 3, at - 1);
        buffer.append(bytes, 1, size + 1);
        at += size;
      }
      expect(buffer.length).toBe(at);
      expect(Buffer.from(drain(buffer, max)).equals(pattern(at))).toBe(true);
      expect(buffer.length).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test('the reader owns what it has read', () => {
  const buffer = new ReceiveBuffer();
  buffer.append(pattern(10), 0, 10);
  buffer.append(pattern(10), 0, 10);
  buffer.append(pattern(10), 0, 10);
  buffer.read(10)?.fill(0);
  buffer.read(5)?.fill(0);
  buffer.append(pattern(10), 0, 10);
  expect(drain(buffer)).toEqual([...pattern(10), ...pattern(10), ...pattern(10)].slice(5));
});

test('nothing is read from an empty buffer, or with no room', () => {
  const buffer = new ReceiveBuffer();
  expect(buffer.read()).toBeUndefined();
  buffer.append(pattern(1), 0, 1);
  expect(buffer.read(0)).toBeUndefined();
});

test('many tiny chunks share blocks', () => {
  const buffer = new ReceiveBuffer();
  for (let i = 0; i < 10_000; i++) buffer.append(pattern(1, i), 0, 1);
  const chunks = new Set<ArrayBufferLike>();
  for (let bytes = buffer.read(); bytes !== undefined; bytes = buffer.read())
    chunks.add(bytes.buffer);
  expect(chunks.size).toBeLessThan(5);
});

test('segments in any order, doubled and overlapping, give the stream, across the wrap', () => {
  const order = fc.shuffledSubarray(
    Array.from({ length: 60 }, (_, i) => i),
    { minLength: 60 },
  );
  const base = fc.integer({ min: 0xffff_ffff - 70_000, max: 0xffff_ffff });
  fc.assert(
    fc.property(base, order, fc.integer({ min: 1, max: 900 }), (start, pieces, size) => {
      const buffer = new ReceiveBuffer();
      const total = 60 * size;
      let next = start;
      for (const piece of pieces) {
        const from = Math.max(0, piece * size - 7);
        const to = Math.min(total, (piece + 1) * size + 5);
        const seq = advance(start, from);
        const bytes = pattern(to - from, from);
        const ahead = (seq - next) | 0;
        if (ahead > 0) expect(buffer.store(bytes, 0, bytes.length, seq)).toBe(true);
        else if (-ahead < bytes.length) {
          buffer.append(bytes, -ahead, bytes.length);
          next = buffer.take(advance(next, bytes.length + ahead));
        }
      }
      expect((next - start) >>> 0).toBe(total);
      expect(buffer.gaps.count).toBe(0);
      expect(Buffer.from(drain(buffer)).equals(pattern(total))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test('one range too many is not kept', () => {
  const buffer = new ReceiveBuffer();
  for (let i = 0; i < 1_024; i++) expect(buffer.store(pattern(1), 0, 1, 10 * i + 10)).toBe(true);
  expect(buffer.store(pattern(1), 0, 1, 50_000)).toBe(false);
});

test('any part of what was written is copied out, whatever was released', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('write' as const), size: fc.integer({ min: 1, max: 3_000 }) }),
    fc.record({ kind: fc.constant('release' as const), size: fc.integer({ min: 0, max: 4_000 }) }),
    fc.record({
      kind: fc.constant('copy' as const),
      offset: fc.nat(5_000),
      size: fc.integer({ min: 1, max: 5_000 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const buffer = new SendBuffer();
      const frame = new Frame();
      let written = 0;
      let released = 0;
      for (const each of actions) {
        if (each.kind === 'write') {
          buffer.append(pattern(each.size, written));
          written += each.size;
        } else if (each.kind === 'release') {
          const size = Math.min(each.size, buffer.length);
          buffer.release(size);
          released += size;
        } else if (each.offset < buffer.length) {
          const size = Math.min(each.size, buffer.length - each.offset);
          buffer.copyTo(frame, 50, each.offset, size);
          const wanted = pattern(size, released + each.offset);
          expect(Buffer.from(wanted).equals(frame.bytes.subarray(50, 50 + size))).toBe(true);
        }
        expect(buffer.length).toBe(written - released);
      }
    }),
  );
});

test('a cleared buffer is empty', () => {
  const buffer = new SendBuffer();
  buffer.append(pattern(10));
  buffer.append(pattern(10));
  buffer.clear();
  expect(buffer.length).toBe(0);
  buffer.append(pattern(5));
  const frame = new Frame();
  buffer.copyTo(frame, 0, 0, 5);
  expect([...frame.bytes.subarray(0, 5)]).toEqual([...pattern(5)]);
});
