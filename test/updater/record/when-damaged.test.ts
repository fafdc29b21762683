import { describe, expect, it } from 'vitest';
import { layoutOf } from '../../../protocol/layout.ts';
import { directoriesOf } from '../../../updater/identity/places.ts';
import { consequenceInRun, consequenceOf, knownNames } from '../../../updater/record/when-damaged.ts';

describe('what the loss of a file means', () => {
  it('is never called a note of this boot outside of run/, also of a name that is not known', () => {
    const boot = /a note of this boot/;
    expect(consequenceInRun('agent')).toMatch(boot);
    for (const name of [...knownNames, 'of-a-newer-updater.json']) expect(consequenceOf(name)).not.toMatch(boot);
    expect(consequenceOf('trust')).toMatch(/without a copy this appliance has to be claimed again/);
  });

  it('is in the table for each directory that a run makes anew', () => {
    const { updater, root } = layoutOf('/data');
    const made = directoriesOf(layoutOf('/data')).filter(({ isMade }) => isMade);
    const names = made.flatMap(({ path }) =>
      [updater, root].flatMap((parent) => new RegExp(`^${parent}/([^/]+)$`).exec(path)?.[1] ?? []),
    );
    expect(names).toContain('trust');
    expect(names.filter((name) => !['updater', 'run', ...knownNames].includes(name))).toEqual([]);
  });
});
