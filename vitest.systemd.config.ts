import { defineConfig } from 'vitest/config';

/** `npm run test:systemd`: appliances in containers that systemd boots (as root, on Linux with systemd-nspawn). */
export default defineConfig({
  test: {
    include: ['test/systemd/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
  },
});
