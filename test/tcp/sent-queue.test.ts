import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NOTHING_SENT, PUSHED, SentQueue, SentQueues } from '../../src/tcp/recovery/sent-queue.ts';
import { advance } from '../../src/tcp/sequence.ts';

interface Entry {
  start: number;
  length: number;
  segments: number;
}

const entriesOf = (queue: SentQueue): Entry[] =>
  Array.from({ length: queue.count }, (_, index) => ({
    start: queue.start(index),
    length: queue.length(index),
    segments: queue.segments(index),
  }));

test('whatever is done to it, it is what a plain list would be', () => {
  const step = fc.record({
    what: fc.constantFrom('push', 'push', 'push', 'split', 'merge', 'shift', 'trim'),
    where: fc.nat(1_000),
    length: fc.integer({ min: 2, max: 60_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new SentQueue();
      const list: Entry[] = [];
      let next = 0xffff_8000;
      for (const { what, where, length } of steps) {
        const index = list.length === 0 ? 0 : where % list.length;
        const entry = list[index];
        if (what === 'push') {
          queue.push(next, length, 2, 0, 0, 0);
          list.push({ start: next, length, segments: 2 });
          next = advance(next, length);
        } else if (entry === undefined) continue;
        else if (what === 'split' && entry.length > 1) {
          const half = entry.length >> 1;
          queue.split(index, half, 1);
          const rest = { start: advance(entry.start, half), length: entry.length - half };
          list.splice(index + 1, 0, { ...rest, segments: Math.max(1, entry.segments - 1) });
          Object.assign(entry, { length: half, segments: 1 });
        } else if (what === 'merge' && index + 1 < list.length) {
          const [second] = list.splice(index + 1, 1);
          entry.length += second.length;
          entry.segments += second.segments;
          queue.merge(index, entry.segments, 0);
        } else if (what === 'shift') {
          queue.shift();
          list.shift();
        } else if (what === 'trim' && list[0].length > 1) {
          queue.trim(1, 1);
          Object.assign(list[0], { start: advance(list[0].start, 1), length: list[0].length - 1 });
          list[0].segments = 1;
        }
      }
      expect(entriesOf(queue)).toEqual(list);
      for (const [index, { start, length }] of list.entries()) {
        expect(queue.find(start)).toBe(index);
        expect(queue.find(advance(start, length - 1))).toBe(index);
      }
    }),
  );
});

test('what marks an end stays with the end when an entry is split', () => {
  const queue = new SentQueue();
  queue.push(0xffff_ff00, 1_000, 2, PUSHED, 7, 3);
  queue.split(0, 500, 1);
  expect([queue.flags(0), queue.flags(1)]).toEqual([0, PUSHED]);
  expect([queue.start(1), queue.sentAt(1), queue.delivered(1)]).toEqual([244, 7, 3]);
});

test('queues go round, and an idle connection has none', () => {
  const queues = new SentQueues();
  const first = queues.take();
  first.push(1, 1, 1, 0, 0, 0);
  queues.give(first);
  expect(queues.take()).toBe(first);
  expect(first.count).toBe(0);
  expect(NOTHING_SENT.capacity).toBe(0);
  const large = queues.take();
  for (let i = 0; i < 5_000; i++) large.push(i, 1, 1, 0, 0, 0);
  queues.give(large);
  expect(queues.take()).not.toBe(large);
});
