import { defineConfig } from 'vitest/config';

/**
 * `npm run test:hostile`: agents that do what they can to stay or put a switch off, updaters that are of no use, what comes
 * days after a commit, a file system of its own for the agent, and a full one for the server (as root: each is a
 * user of its own, and file systems are mounted).
 */
export default defineConfig({
  test: {
    include: [
      'test/hostile/*.test.ts',
      'test/scenarios/{self-update,after-commit,deferring}.test.ts',
      'test/updater/agent-data/own-file-system.test.ts',
      'test/server-lite/disk-full.test.ts',
    ],
    pool: 'forks',
    maxWorkers: 1,
    // Appliances run beside each other, and a test waits for its own.
    testTimeout: 600_000,
    hookTimeout: 300_000,
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
  },
});
