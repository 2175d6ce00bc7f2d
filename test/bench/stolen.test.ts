import { expect, test } from 'vitest';
import { processorTimes, StolenTime } from '../../bench/harness/stolen.ts';

/** A machine of which, try by try, this percentage is stolen. */
function machine(...percent: readonly number[]): {
  stolen: StolenTime;
  turn: () => Promise<number>;
} {
  let tries = 0;
  const times = { total: 1_000, stolen: 10 };
  const turn = async (): Promise<number> => {
    times.total += 100;
    times.stolen += percent[tries] ?? 0;
    return ++tries;
  };
  return { stolen: new StolenTime(() => ({ ...times })), turn };
}

async function playAll(
  { stolen, turn }: ReturnType<typeof machine>,
  turns: number,
): Promise<number[]> {
  const chosen: number[] = [];
  for (let played = 0; played < turns; played++) chosen.push(await stolen.play(1, turn));
  return chosen;
}

test('a turn of which nothing was stolen is played once', async () => {
  const quiet = machine();
  expect(await playAll(quiet, 3)).toEqual([1, 2, 3]);
  expect(quiet.stolen.summary).toEqual({ again: 0, median: 0, most: 0 });
});

test('a disturbed one is played again until one is not', async () => {
  const { stolen, turn } = machine(0, 0, 50, 2, 0);
  expect(await playAll({ stolen, turn }, 4)).toEqual([1, 2, 4, 5]);
  expect(stolen.summary).toEqual({ again: 1, median: 0, most: 0.02 });
});

test('of three disturbed tries the one that lost least counts', async () => {
  const noisy = machine(0, 0, 0, 0, 0, 30, 10, 20, 0);
  expect(await playAll(noisy, 7)).toEqual([1, 2, 3, 4, 5, 7, 9]);
  expect(noisy.stolen.summary).toMatchObject({ again: 2, most: 0.1 });
});

test('a machine that is never quiet makes the run no longer than by a third', async () => {
  const loud = machine(...Array.from({ length: 100 }, () => 40));
  await playAll(loud, 9);
  expect(loud.stolen.summary).toEqual({ again: 3, median: 0.4, most: 0.4 });
});

test('a try that fails ends the turn', async () => {
  const stolen = new StolenTime(() => ({ total: 0, stolen: 0 }));
  await expect(stolen.play(1, () => Promise.reject(new Error('reset')))).rejects.toThrow('reset');
  expect(stolen.summary).toBeUndefined();
});

test("the machine's own clocks go on", async () => {
  const before = processorTimes();
  await expect.poll(() => processorTimes().total).toBeGreaterThan(before.total);
  expect(before.stolen).toBeGreaterThanOrEqual(0);
});
