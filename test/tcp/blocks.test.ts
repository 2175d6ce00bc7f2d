// Blocks of the pool: used again as soon as nobody can see their bytes, and never before.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { BLOCK, Memory } from '../../src/tcp/memory.ts';
import { ReceiveBuffer } from '../../src/tcp/receive-buffer.ts';
import { SendBuffer } from '../../src/tcp/send-buffer.ts';
import { TcpServer } from '../../src/tcp/server.ts';
import { connectSocket, type TcpSocket } from '../../src/tcp/socket.ts';
import { LEFT, Machines, SERVICE } from '../host/machines.ts';
import { pattern } from './harness.ts';

const size = fc.oneof(
  fc.integer({ min: 1, max: 3 * BLOCK }),
  fc.constantFrom(1, BLOCK / 4 - 1, BLOCK / 4, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK),
);

test('copies stay what they were while blocks go round between writers', () => {
  const step = fc.record({
    writer: fc.nat(1),
    size,
    release: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const memory = new Memory();
      const writers = [0, 1].map(() => ({ buffer: new SendBuffer(memory), start: 0, end: 0 }));
      const frame = new Frame();
      for (const { writer, size, release } of steps) {
        const one = writers[writer];
        const bytes = Buffer.from(pattern(size, one.end));
        one.buffer.copy(bytes);
        bytes.fill(0xee);
        one.end += size;
        for (const { buffer, start, end } of writers) {
          const length = Math.min(end - start, 3_000);
          if (length === 0) continue;
          for (const offset of [0, end - start - length]) {
            buffer.copyTo(frame, 100, offset, length);
            const sent = Buffer.from(frame.bytes.buffer, frame.bytes.byteOffset + 100, length);
            expect(sent.equals(pattern(length, start + offset))).toBe(true);
          }
        }
        const acknowledged = Math.floor((one.end - one.start) * release);
        one.buffer.release(acknowledged);
        one.start += acknowledged;
      }
      for (const { buffer } of writers) buffer.clear();
      expect(memory.held).toBe(0);
    }),
    { numRuns: 25 },
  );
});

test('what was read stays as it is, whatever arrives after it and is drained', () => {
  const step = fc.oneof(
    fc.record({ append: fc.integer({ min: 1, max: 65_000 }) }),
    fc.record({ read: fc.integer({ min: 1, max: 70_000 }) }),
    fc.constant({ drain: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const memory = new Memory();
      const buffer = new ReceiveBuffer(memory);
      let arrived = 0;
      let taken = 0;
      const kept: { bytes: Uint8Array; at: number }[] = [];
      for (const one of steps) {
        if ('append' in one) {
          buffer.append(pattern(one.append, arrived), 0, one.append);
          arrived += one.append;
        } else if ('read' in one) {
          const bytes = buffer.read(one.read);
          if (bytes === undefined) continue;
          kept.push({ bytes, at: taken });
          taken += bytes.length;
        } else {
          const count = buffer.drain((bytes) => {
            expect(Buffer.compare(bytes, pattern(bytes.length, taken))).toBe(0);
            taken += bytes.length;
          });
          expect(count).toBeGreaterThanOrEqual(0);
          expect(taken).toBe(arrived);
        }
      }
      for (const { bytes, at } of kept) {
        expect(Buffer.compare(bytes, pattern(bytes.length, at))).toBe(0);
      }
      expect(memory.held).toBe(arrived - taken);
    }),
    { numRuns: 60 },
  );
});

test('a drained block is the next one taken, a read one is not', () => {
  const memory = new Memory();
  const buffer = new ReceiveBuffer(memory);
  const seen: ArrayBufferLike[] = [];
  for (let i = 0; i < 2; i++) {
    buffer.append(pattern(60_000), 0, 60_000);
    buffer.drain((bytes) => seen.push(bytes.buffer));
  }
  expect(seen[1]).toBe(seen[0]);
  buffer.append(pattern(60_000), 0, 60_000);
  const read = buffer.read();
  buffer.append(pattern(60_000), 0, 60_000);
  buffer.drain((bytes) => seen.push(bytes.buffer));
  expect(read?.buffer).toBe(seen[0]);
  expect(seen[2]).not.toBe(seen[0]);
});

test('a socket passes megabytes to its consumer, and then ends', async () => {
  await using machines = new Machines({ offload: true });
  const server = new TcpServer(machines.right.tcp).listen(SERVICE);
  const client = connectSocket(machines.left.tcp, { local: LEFT, remote: SERVICE });
  const [accepted] = (await once(server, 'connection')) as [TcpSocket];
  const bytes = randomBytes(8_000_000);
  const hash = createHash('sha256');
  const ended = once(accepted, 'end');
  accepted.consume((part) => hash.update(part));
  client.end(bytes);
  await ended;
  expect(accepted.bytesRead).toBe(bytes.length);
  expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
});
