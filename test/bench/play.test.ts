import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { Players, size } from '../../bench/harness/play.ts';
import { duration, Progress } from '../../bench/harness/progress.ts';
import { Stage } from '../../bench/harness/stage.ts';
import { type Case, type Effort, type Suite, Unavailable } from '../../bench/harness/suite.ts';

const EFFORT: Effort = { repeat: 3, seconds: 1, quick: false };
const METRIC = { name: 'requests', unit: 'requests/s', better: 'higher' } as const;
const stage = { name: 'nowhere', open: () => Stage.open({}) };

const suiteOf = (name: string, cases: readonly Case[], more: Partial<Suite> = {}): Suite => ({
  ...{ name, summary: '', explanation: '', stage, cases: () => cases },
  ...more,
});
const caseOf = (measure: Case['measure'], more: Partial<Case> = {}): Case => ({
  ...{ name: 'case', contestants: ['a', 'b'], metrics: [METRIC], estimate: 1, measure },
  ...more,
});

function setting(effort = EFFORT): {
  players: Players;
  written: string[];
  ending: AbortController;
} {
  const written: string[] = [];
  const out = new Writable({
    write(chunk, _, done) {
      written.push(String(chunk));
      done();
    },
  });
  const ending = new AbortController();
  const progress = new Progress({ out, steps: 8, seconds: 8, now: () => 0 });
  return { players: new Players(effort, progress, ending.signal), written, ending };
}

test('contestants take turns, nobody always first, and the warm-up does not count', async () => {
  const order: string[] = [];
  const suite = suiteOf('s', [
    caseOf(async ({ contestant, warmUp }) => {
      order.push(warmUp ? `(${contestant})` : contestant);
      return { requests: warmUp ? 0 : order.length };
    }),
  ]);
  const { series } = await setting().players.play([suite]);
  expect(order.join(' ')).toBe('(a) (b) b a a b b a');
  expect(series.map(({ contestant, samples }) => [contestant, samples])).toEqual([
    ['a', [4, 5, 8]],
    ['b', [3, 6, 7]],
  ]);
  expect(size([suite], EFFORT)).toEqual({ steps: 8, seconds: 8 });
});

test('a quick run has no warm-up, and a case may ask for turns of its own', async () => {
  const quick = { repeat: 1, seconds: 1, quick: true };
  const suite = suiteOf('s', [caseOf(async () => ({ requests: [1, 2] }), { repeat: 7 })]);
  const { series } = await setting(quick).players.play([suite]);
  expect(series.map(({ samples }) => samples)).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect(size([suite], EFFORT).steps).toBe(16);
  expect(size([suite], quick).steps).toBe(2);
});

test('a contestant that fails is noted, and given up after three times', async () => {
  let calls = 0;
  const suite = suiteOf('s', [
    caseOf(
      async ({ contestant }) => {
        if (contestant === 'b') return { requests: 1 };
        calls++;
        throw new Error('stalled\nmore');
      },
      { repeat: 10 },
    ),
  ]);
  const { series, failures } = await setting().players.play([suite]);
  expect(calls).toBe(3);
  expect(failures).toHaveLength(3);
  expect(failures[0]).toEqual({ suite: 's', case: 'case', contestant: 'a', message: 'stalled' });
  expect(series.map(({ contestant, samples }) => [contestant, samples.length])).toEqual([
    ['b', 10],
  ]);
});

test('a figure that is none fails its turn, not the run', async () => {
  const suite = suiteOf('s', [
    caseOf(async ({ contestant }) => ({ requests: contestant === 'a' ? 0 / 0 : 1 })),
  ]);
  const { series, failures } = await setting().players.play([suite]);
  expect(series.map(({ contestant }) => contestant)).toEqual(['b']);
  expect(failures[0]).toMatchObject({ contestant: 'a', message: 'requests: NaN is no figure' });
});

test('what this machine cannot do is left out with a reason; a testbed that fails does not end the run', async () => {
  const open = (): Promise<Stage> => Promise.reject(new Unavailable('no cgroups'));
  const suite = suiteOf('s', [], { stage: { name: 'x', open } });
  const { skipped } = await setting().players.play([suite]);
  expect(skipped).toEqual([{ suite: 's', reason: 'no cgroups' }]);
  const broken = { name: 'y', open: () => Promise.reject(new Error('broken')) };
  const good = suiteOf('good', [caseOf(async () => ({ requests: 1 }))]);
  const played = await setting().players.play([suiteOf('s', [], { stage: broken }), good]);
  expect(played.failures).toEqual([
    { suite: 's', case: 'all', contestant: 'all', message: 'broken' },
  ]);
  expect(played.series).toHaveLength(2);
});

test('suites that share a stage have it opened once, for all their contestants', async () => {
  const opened: (readonly string[])[] = [];
  const shared = {
    name: 'shared',
    open: (contestants: readonly string[]) => {
      opened.push(contestants);
      return Stage.open({});
    },
  };
  const measure = async () => ({ requests: 1 });
  const one = suiteOf('one', [caseOf(measure, { contestants: ['a'] })], { stage: shared });
  const two = suiteOf('two', [caseOf(measure)], { stage: shared });
  await setting().players.play([one, two]);
  expect(opened).toEqual([['a', 'b']]);
});

test('a run that is ended keeps what it has', async () => {
  const { players, ending } = setting();
  const suite = suiteOf('s', [
    caseOf(
      async ({ warmUp, contestant }) => {
        if (!warmUp && contestant === 'b') {
          ending.abort();
          throw new Error('killed');
        }
        return { requests: 1 };
      },
      { contestants: ['b', 'a'] },
    ),
  ]);
  const { series, failures } = await players.play([suite]);
  expect(series.map(({ contestant, samples }) => [contestant, samples])).toEqual([['a', [1]]]);
  expect(failures).toEqual([]);
});

test('progress says what runs, and what is left at the pace so far', () => {
  const written: string[] = [];
  const out = new Writable({
    write(chunk, _, done) {
      written.push(String(chunk));
      done();
    },
  });
  let now = 0;
  const progress = new Progress({ out, steps: 3, seconds: 30, now: () => now });
  const step = { suite: 'bulk', case: 'one', contestant: 'direct', rounds: 5 };
  progress.begin({ ...step, round: 0 });
  now = 20_000;
  progress.end(10);
  progress.begin({ ...step, round: 1 });
  expect(written).toEqual([
    '[1/3] bulk: one, warm-up   30 s left\n',
    '[2/3] bulk: one, round 1/5   40 s left\n',
  ]);
});

test.each([
  [59.4, '59 s'],
  [200, '3 min 20 s'],
  [7_500, '2 h 05 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
