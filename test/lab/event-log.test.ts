import { expect, test } from 'vitest';
import type { LabEvent } from '../../src/lab/event.ts';
import { EventLog } from '../../src/lab/event-log.ts';

const event = (at: number): LabEvent => ({ at, type: 'lab', state: 'ready' });

async function times(log: EventLog): Promise<number[]> {
  const all: number[] = [];
  for await (const { at } of log) all.push(at);
  return all;
}

test('each loop sees all events, those of before and those to come', async () => {
  const log = new EventLog();
  log.add(event(1));
  const early = times(log);
  log.add(event(2));
  await Promise.resolve();
  log.add(event(3));
  log.end();
  expect(await early).toEqual([1, 2, 3]);
  expect(await times(log)).toEqual([1, 2, 3]);
});

test('what is kept is bounded: who comes late sees the latest', async () => {
  const log = new EventLog();
  for (let at = 1; at <= 100_000; at++) log.add(event(at));
  log.end();
  const seen = await times(log);
  expect(seen.length).toBeLessThan(20_000);
  expect(seen.length).toBeGreaterThanOrEqual(10_000);
  expect(seen.at(-1)).toBe(100_000);
  expect(seen.at(0)).toBe(100_001 - seen.length);
});
