import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests start real processes: a worker of its own for each file, and one more than a small machine has cores, because they mostly wait.
    pool: 'forks',
    maxWorkers: 3,
    // A slow machine under load; what a test itself promises about time is asserted in the test.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
  },
});
