import { defineConfig } from 'vitest/config';

/** What builds namespaces and measures itself against timeouts wants the machine for itself. */
const alone = [
  'test/lab/**',
  'test/e2e/**',
  'test/demo/**',
  'test/interop/**',
  'test/cli/**',
  'test/package.test.ts',
];

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
