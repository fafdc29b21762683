import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { otherTiers, pureTests } from './test/tiers/lists.ts';

export default defineConfig({
  test: {
    // What tests start is compiled once, not at each start.
    env: { NODE_COMPILE_CACHE: resolve(import.meta.dirname, 'node_modules/.cache/compiled') },
    // Tests start real processes: one worker more than two cores, because they often wait.
    maxWorkers: 3,
    projects: [
      { extends: true, test: { name: 'pure', include: pureTests, pool: 'threads', isolate: false } },
      {
        extends: true,
        // A worker for many files: what a file imports costs more than most of its tests. None changes what its process has.
        test: {
          name: 'real',
          include: ['test/**/*.test.ts'],
          exclude: [...otherTiers, ...pureTests],
          pool: 'forks',
          isolate: false,
        },
      },
    ],
    // A slow machine under load; what a test itself promises about time is asserted in the test.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
  },
});
