import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { programTests, slowPrograms } from './test/tiers/lists.ts';

/** What takes minutes begins first, so that no worker waits for it at the end. */
class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isSlow = ({ moduleId }: TestSpecification) => slowPrograms.some((path) => moduleId.endsWith(`/${path}`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))];
  }
}

/** `npm run test:programs`: {@link programTests}. */
export default defineConfig({
  test: {
    // What tests start is compiled once, not at each start.
    env: { NODE_COMPILE_CACHE: resolve(import.meta.dirname, 'node_modules/.cache/compiled') },
    include: programTests,
    pool: 'forks',
    // Tests start real processes: one worker more than two cores, because they often wait.
    maxWorkers: 3,
    sequence: { sequencer: SlowFirst },
    testTimeout: 300_000,
    hookTimeout: 300_000,
    retry: 0,
    allowOnly: false,
    passWithNoTests: false,
  },
});
