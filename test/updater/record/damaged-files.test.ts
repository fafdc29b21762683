import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { knownNames } from '../../../updater/record/when-damaged.ts';
import { DamagedAppliances, damageNames } from '../../support/damage/damaged-appliance.ts';
import { isLookedAt, wrongWithAll } from '../../support/damage/run-damaged.ts';

/** A damaged file never stops a run. Every file with every damage: test/scenarios/bad-disk.test.ts. */
const appliances = new DamagedAppliances();
beforeAll(() => appliances.make());
afterAll(() => appliances.end());

describe('a file of a real appliance that is damaged', () => {
  it('does not keep a run from reading what a person asks for', async () => {
    const paths = appliances.files().filter((path) => isLookedAt(path) && !path.startsWith('slots/'));
    expect(paths).toEqual(expect.arrayContaining(['updater/counter.json', 'updater/lock.db', 'run/status.json']));
    // Each file with one damage, and each damage in turn.
    const cases = paths.map((path, index) => ({ path, damage: damageNames[index % damageNames.length] ?? 'nothing' }));
    expect(await wrongWithAll(appliances, cases)).toEqual([]);
  });

  it('is in the table of what its loss means, where it lies in updater/ and can be begun anew', () => {
    const names = appliances.files().flatMap((path) => /^updater\/([^/]+)$/.exec(path)?.[1] ?? []);
    expect(names.filter((name) => !knownNames.includes(name))).toEqual(['claim']);
  });
});
