import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/**
 * Labs whose proxies must be scheduled in time, or their peers hold them for dead: one at a time, and nothing
 * beside them. What only waits for processes and installations runs with the others.
 */
const alone = ['test/e2e/**', 'test/demo/demo.test.ts', 'test/lab/proxies.test.ts'];

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: alone,
          // Each file for itself would load all of the sources again: a minute of processor time.
          isolate: false,
          // Vitest leaves a core free, which of two is half the machine.
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: alone.map((place) => (place.endsWith('.ts') ? place : `${place}/*.test.ts`)),
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
