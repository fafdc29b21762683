import { defineConfig } from 'vitest/config';

/** `npm run test:kill`: SIGKILL in every row of the state table, bad input from network and files, and a disk that bites. */
export default defineConfig({
  test: {
    include: [
      'test/scenarios/{kill,bad}-*.test.ts',
      'test/agent/{killed-offline,offline}.test.ts',
      'test/crash/{planted,patched}.test.ts',
      'test/updater/agent-data/crowded-state.test.ts',
      'test/updater/run/disk-faults.test.ts',
      'test/updater/release/misbehaving-server.test.ts',
      'test/updater/verdict/steps-bite.test.ts',
    ],
    pool: 'forks',
    // One at a time: they judge how fast a killed process is replaced.
    maxWorkers: 1,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
  },
});
