import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Minutes of killing, which judge how fast a process is replaced: `npm run test:kill`, one after the other.
    exclude: ['test/scenarios/kill-*.test.ts'],
    // Tests start real processes: a worker of its own for each file, and no more of them than small machines carry.
    pool: 'forks',
    maxWorkers: 2,
    // A slow machine under load; what a test itself promises about time is asserted in the test.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
  },
});
