// The cases that once failed, and a short run of new ones. `npm run fuzz` searches for longer.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/env/random.ts';
import { type Case, failureOf, shrink } from './case.ts';
import { drawFlight, type FlightCase } from './flight.ts';
import { drawParserCase } from './parsers.ts';

const folder = join(import.meta.dirname, 'cases');
const kept = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];

test.each(kept)('%s stays mended', (name) => {
  const each = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Case;
  expect(failureOf(each)).toBeUndefined();
});

/** Milliseconds that a busy machine may need. */
const PATIENCE = 120_000;

test.each([4, 6] as const)(
  'frames changed in flight over IPv%i break nothing',
  (family) => {
    const failures: string[] = [];
    for (let seed = 1; seed <= 120; seed++) {
      const failure = failureOf(drawFlight(seed, family));
      if (failure !== undefined) failures.push(`seed ${seed}: ${failure}`);
    }
    expect(failures).toEqual([]);
  },
  PATIENCE,
);

test(
  'bytes that are nearly right break no parser',
  () => {
    const random = seededRandom(1);
    const failures: string[] = [];
    for (let i = 0; i < 6_000; i++) {
      const each = drawParserCase(random);
      const failure = failureOf(each);
      if (failure !== undefined) failures.push(`${JSON.stringify(each)}: ${failure}`);
    }
    expect(failures.slice(0, 5)).toEqual([]);
  },
  PATIENCE,
);

test('a case that fails is cut down to what matters', () => {
  const flight = drawFlight(1, 4);
  const unknown = { kind: 'parser', parser: 'nobody', hex: '01020304' } as const;
  expect(failureOf(unknown)).toContain('no parser nobody');
  expect(shrink(unknown)).toEqual({ ...unknown, hex: '' });
  // What does not fail stays as it is.
  expect(shrink(flight as FlightCase)).toBe(flight);
});
