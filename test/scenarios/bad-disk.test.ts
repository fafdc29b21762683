import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DamagedAppliances, damageNames } from '../support/damage/damaged-appliance.ts';
import { isLookedAt, wrongWithAll } from '../support/damage/run-damaged.ts';

/** Every file of a real appliance with everything that can be made of it: the run ends, and a person is heard. */
const appliances = new DamagedAppliances();
beforeAll(() => appliances.make());
afterAll(() => appliances.end());
const timeoutMs = 1_200_000;

describe('a run on a disk where one file is', () => {
  it.each(damageNames)(
    '%s ends, and reads what a person asks for, or says why it was stopped',
    async (damage) => {
      const paths = appliances.files().filter(isLookedAt);
      expect(paths.filter((path) => path.startsWith('slots/')).length).toBeGreaterThanOrEqual(10);
      expect(
        await wrongWithAll(
          appliances,
          paths.map((path) => ({ path, damage })),
        ),
      ).toEqual([]);
    },
    timeoutMs,
  );
});
