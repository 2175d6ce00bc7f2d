import { expect, test } from 'vitest';
import { Frame } from '../../src/link/frame.ts';
import { MemoryLink } from '../../src/link/memory.ts';

function frameOf(length: number, fill: number): Frame {
  const frame = new Frame(length);
  frame.bytes.fill(fill);
  frame.end = length;
  return frame;
}

test('what is sent at one end is received at the other, as it was when it was sent', () => {
  const [left, right] = MemoryLink.pair();
  const frame = frameOf(60, 7);
  expect(left.send(frame)).toBe(true);
  frame.bytes.fill(0);
  const heard = new Frame();
  expect(right.receive(heard)).toBe(true);
  expect(heard.end).toBe(60);
  expect(heard.bytes[59]).toBe(7);
  expect(right.receive(heard)).toBe(false);
  expect(left.receive(heard)).toBe(false);
  expect(left.counters).toMatchObject({ sent: 1, sentBytes: 60 });
  expect(right.counters).toMatchObject({ received: 1, receivedBytes: 60 });
});

test('a full queue refuses, as does a closed link', () => {
  const [left, right] = MemoryLink.pair({ capacity: 2 });
  expect([1, 2, 3].map(() => left.send(frameOf(60, 1)))).toEqual([true, true, false]);
  expect(left.counters.sendErrors).toBe(1);
  right.close();
  expect(left.send(frameOf(60, 1))).toBe(false);
  expect(right.receive(new Frame())).toBe(false);
});

test('wait resolves when a frame arrives, when one is there, after its time, and on close', async () => {
  const [left, right] = MemoryLink.pair();
  let arrivals = 0;
  right.onArrival = () => arrivals++;
  const waiting = right.wait(60_000_000);
  left.send(frameOf(60, 1));
  await waiting;
  expect(arrivals).toBe(1);
  await right.wait(60_000_000);
  right.receive(new Frame());
  await right.wait(1_000);
  const closing = right.wait(Number.POSITIVE_INFINITY);
  right.close();
  await closing;
});
