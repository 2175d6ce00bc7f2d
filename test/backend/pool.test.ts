import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Backend, Pool, type TcpOptions } from '../../src/backend/pool.ts';

const PENALTY = 1000;
const OPTIONS: TcpOptions = { mss: 1460, windowScale: 7, timestamps: true, sack: true };

/** A pool of `count` backends whose ports are 1, 2, ..., with a clock that tests set. */
function poolOf(count: number, penalty = PENALTY): { pool: Pool; time: { now: number } } {
  const time = { now: 0 };
  const backends = Array.from({ length: count }, (_, i) => ({ address: '10.1.0.31', port: i + 1 }));
  return { pool: new Pool({ name: 'web', backends, penalty, now: () => time.now }), time };
}

test('backends take turns', () => {
  const { pool } = poolOf(3);
  expect(Array.from({ length: 7 }, () => pool.next()?.port)).toEqual([1, 2, 3, 1, 2, 3, 1]);
});

test('after a refusal the next one is asked, and none when all were', () => {
  const { pool } = poolOf(3);
  const tried = new Set<Backend>();
  const asked: number[] = [];
  for (let next = pool.next(tried); next !== undefined; next = pool.next(tried)) {
    asked.push(next.port);
    pool.refused(next);
    tried.add(next);
  }
  expect(asked).toEqual([1, 2, 3]);
  expect(pool.backends.map(({ refusals }) => refusals)).toEqual([1, 1, 1]);
});

test.each(['refused', 'timedOut'] as const)('one that %s is asked last for a while', (failed) => {
  const { pool, time } = poolOf(2);
  const [first, second] = pool.backends;
  pool[failed](first);
  expect([pool.next(), pool.next()]).toEqual([second, second]);
  expect(pool.next(new Set([second]))).toBe(first);
  time.now = PENALTY - 1;
  expect(pool.next()).toBe(second);
  time.now = PENALTY;
  expect([pool.next(), pool.next()]).toEqual([first, second]);
});

test('an answer ends the penalty', () => {
  const { pool } = poolOf(2);
  const [first, second] = pool.backends;
  pool.timedOut(first);
  pool.connected(first);
  expect([pool.next(), pool.next()]).toEqual([first, second]);
  expect(first).toMatchObject({ connections: 1, timeouts: 1, refusals: 0 });
});

test('when all failed, the one whose failure is the oldest is asked', () => {
  const { pool, time } = poolOf(3);
  const [first, second, third] = pool.backends;
  for (const backend of [second, third, first]) {
    pool.refused(backend);
    time.now++;
  }
  expect(pool.next()).toBe(second);
  expect(pool.next(new Set([second]))).toBe(third);
});

test('without a penalty a failure does not count', () => {
  const { pool } = poolOf(2, 0);
  pool.refused(pool.backends[0]);
  expect(pool.next()).toBe(pool.backends[0]);
});

test('whatever failed, each backend is asked once before there is none left', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.nat(7)),
      fc.nat(20),
      (count, failed, turns) => {
        const { pool } = poolOf(count);
        for (let i = 0; i < turns; i++) pool.next();
        for (const index of failed) pool.refused(pool.backends[index % count]);
        const tried = new Set<Backend>();
        for (let next = pool.next(tried); next !== undefined; next = pool.next(tried)) {
          expect(tried.has(next)).toBe(false);
          tried.add(next);
        }
        expect(tried.size).toBe(count);
      },
    ),
  );
});

test('the offer is what every backend known so far can do', () => {
  const { pool } = poolOf(4);
  const [first, second, third] = pool.backends;
  expect(pool.offer()).toBeUndefined();
  pool.learn(first, OPTIONS);
  expect(pool.offer()).toEqual({ mss: 1460, timestamps: true, sack: true });
  const before = pool.offer();
  pool.learn(first, { ...OPTIONS });
  expect(pool.offer()).toBe(before);
  pool.learn(second, { mss: 1400, windowScale: 0, timestamps: false, sack: true });
  expect(pool.offer()).toEqual({ mss: 1400, timestamps: false, sack: true });
  pool.learn(third, { ...OPTIONS, windowScale: undefined, sack: false });
  expect(pool.offer()).toEqual({ mss: 1400, timestamps: false, sack: false });
  pool.learn(second, OPTIONS);
  expect(pool.offer()).toEqual({ mss: 1460, timestamps: true, sack: false });
});

test('those preferred are asked first, then the others, then those that failed', () => {
  const { pool, time } = poolOf(4);
  const isEven = ({ port }: Backend): boolean => port % 2 === 0;
  expect(Array.from({ length: 4 }, () => pool.next(undefined, isEven)?.port)).toEqual([2, 4, 2, 4]);
  const [first, second, third, fourth] = pool.backends;
  pool.refused(second);
  time.now = 1;
  pool.refused(fourth);
  expect([pool.next(undefined, isEven), pool.next(undefined, isEven)]).toEqual([first, third]);
  const tried = new Set([first, third]);
  expect(pool.next(tried, isEven)).toBe(second);
  tried.add(second);
  expect(pool.next(tried, isEven)).toBe(fourth);
  time.now = PENALTY;
  expect(pool.next(undefined, isEven)).toBe(second);
});
