import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NEVER, systemClock } from '../../src/env/clock.ts';
import { silentLogger } from '../../src/env/logger.ts';
import { below, chance, seededRandom, systemRandom } from '../../src/env/random.ts';
import { Timer, Timers } from '../../src/env/timers.ts';

test('timers fire once, in the order of their deadlines', () => {
  const timers = new Timers();
  const fired: string[] = [];
  const timer = (name: string) => new Timer((now) => fired.push(`${name}@${now}`));
  const [a, b, c] = [timer('a'), timer('b'), timer('c')];
  timers.set(a, 30);
  timers.set(b, 10);
  timers.set(c, 20);
  expect(timers.nextAt).toBe(10);
  expect(timers.run(9)).toBe(0);
  expect(timers.run(25)).toBe(2);
  expect(timers.run(25)).toBe(0);
  expect(timers.run(100)).toBe(1);
  expect(fired).toEqual(['b@25', 'c@25', 'a@100']);
  expect(timers.nextAt).toBe(NEVER);
});

test('a timer may be moved both ways, disarmed and removed', () => {
  const timers = new Timers();
  let fired = 0;
  const timer = new Timer(() => fired++);
  timers.set(timer, 10);
  timers.set(timer, 50);
  timers.run(49);
  expect(fired).toBe(0);
  timers.set(timer, 40);
  timers.run(49);
  expect(fired).toBe(1);
  timers.set(timer, 60);
  timers.set(timer, NEVER);
  expect(timers.armed).toBe(0);
  timers.run(70);
  timers.set(timer, 80);
  timers.remove(timer);
  expect(timers.size).toBe(0);
  timers.run(90);
  expect(fired).toBe(1);
});

test('a timer that was moved later does not run before one that is due earlier', () => {
  const timers = new Timers();
  const ran: string[] = [];
  const moved = new Timer(() => ran.push('moved'));
  const other = new Timer(() => ran.push('other'));
  timers.set(moved, 10);
  timers.set(other, 20);
  timers.set(moved, 30);
  // The clock comes late: both are due.
  expect(timers.run(40)).toBe(2);
  expect(ran).toEqual(['other', 'moved']);
});

test('a timer that sets itself again waits for the next run', () => {
  const timers = new Timers();
  let fired = 0;
  const timer = new Timer((now) => {
    fired++;
    timers.set(timer, now);
  });
  timers.set(timer, 1);
  timers.run(5);
  expect(fired).toBe(1);
  timers.run(5);
  expect(fired).toBe(2);
});

test('timers behave as a list of deadlines does', () => {
  const action = fc.record({
    which: fc.nat(9),
    kind: fc.constantFrom('set', 'never', 'remove', 'run'),
    after: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const timers = new Timers();
      const expected = Array<number>(10).fill(NEVER);
      const fired: number[] = [];
      const all = expected.map((_, which) => new Timer(() => fired.push(which)));
      let now = 0;
      for (const { which, kind, after } of actions) {
        if (kind === 'set') {
          timers.set(all[which], now + after);
          expected[which] = now + after;
        } else if (kind === 'run') {
          now += after;
          fired.length = 0;
          timers.run(now);
          const due = expected.flatMap((at, index) => (at <= now ? [index] : []));
          expect(fired.toSorted()).toEqual(due);
          for (const index of due) expected[index] = NEVER;
        } else {
          if (kind === 'never') timers.set(all[which], NEVER);
          else timers.remove(all[which]);
          expected[which] = NEVER;
        }
        expect(timers.nextAt).toBeLessThanOrEqual(Math.min(...expected));
        expect(timers.armed).toBe(expected.filter((at) => at !== NEVER).length);
      }
    }),
  );
});

test('seeded numbers repeat, spread, and keep their bounds', () => {
  const draw = (seed: number) => Array.from({ length: 50 }, seededRandom(seed).uint32);
  expect(draw(5)).toEqual(draw(5));
  expect(draw(5)).not.toEqual(draw(6));
  const random = seededRandom(1);
  const counts = Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i++) counts[below(random, 10)]++;
  expect(Math.min(...counts)).toBeGreaterThan(850);
  expect(Array.from({ length: 100 }, () => chance(random, 0))).not.toContain(true);
  expect(Array.from({ length: 100 }, () => chance(random, 1))).not.toContain(false);
});

test('the machine’s numbers and clocks', () => {
  const random = systemRandom();
  const numbers = new Set(Array.from({ length: 1_000 }, () => random.uint32()));
  expect(numbers.size).toBeGreaterThan(990);
  const before = systemClock.now();
  expect(systemClock.now()).toBeGreaterThanOrEqual(before);
  expect(Math.abs(systemClock.wall() - Date.now() / 1_000)).toBeLessThan(5);
  silentLogger.info({}, 'nothing');
});
