import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Each has a script of its own: `npm run test:kill` judges how fast a killed process is replaced, `test:systemd` boots.
    exclude: [
      'test/scenarios/{kill,bad}-*.test.ts',
      'test/crash/{planted,patched}.test.ts',
      'test/updater/steps/{crowded-state,disk-faults,own-file-system}.test.ts',
      'test/updater/release/misbehaving-server.test.ts',
      'test/systemd/*.test.ts',
      'test/hostile/*.test.ts',
      'test/scenarios/{self-update,after-commit,deferring}.test.ts',
      'test/updater/verdict/steps-bite.test.ts',
    ],
    // What tests start is compiled once, not at each start.
    env: { NODE_COMPILE_CACHE: resolve(import.meta.dirname, 'node_modules/.cache/compiled') },
    // Tests start real processes: a worker of its own for each file, and no more of them than small machines carry.
    pool: 'forks',
    maxWorkers: 2,
    // A slow machine under load; what a test itself promises about time is asserted in the test.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
  },
});
