import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aloneAndOpen, attempt, prepareProbes, scriptOf } from './confinement.ts';
import type { Machine } from './machine.ts';
import { beginHanging, measureEnds, measureRefusals, measureShares } from './measured-limits.ts';
import { probes } from './probes.ts';
import { provenElsewhere } from './proven.ts';
import { Site } from './site.ts';
import { type Directive, directivesOf, isNoLimit, shippedUnits } from './units.ts';

/**
 * S58: a limit that is set is proven by making it act: alone in a unit, where nothing else could refuse; not without it; and
 * in the unit as it is shipped.
 */
const site = new Site();
const units = shippedUnits();
const directives = directivesOf(units);
let machine: Machine;

function setting(name: string): readonly Directive[] {
  return directives.filter((directive) => directive.name === name);
}

function textOf(unit: string): string {
  return units.get(unit) ?? '';
}

beforeAll(async () => {
  await site.found();
  machine = await site.appliance('limits', await site.tree('1.0.52'), {
    capabilities: ['CAP_SYS_TIME', 'CAP_SYSLOG'],
  });
  await prepareProbes(machine);
  await beginHanging(machine, textOf);
});

afterAll(() => site[Symbol.asyncDispose]());

describe('a limit of a unit', () => {
  it('is one that a test makes act, by its name (S58)', () => {
    const proven = new Set([...probes.map(({ directive }) => directive), ...Object.keys(provenElsewhere)]);
    const set = new Set(directives.map(({ name }) => name).filter((name) => !isNoLimit(name)));
    expect(set).toEqual(proven);
    const planted = directivesOf(new Map([['x.service', '[Service]\nType=exec\nWatchdogSec=5\n']]));
    expect(planted.filter(({ name }) => !isNoLimit(name) && !proven.has(name))).toHaveLength(1);
  });

  it('refuses what it is there to refuse, alone, and nothing else would have (S58)', async () => {
    const attempts = probes.flatMap((probe) =>
      aloneAndOpen(probe, probe.value ?? setting(probe.directive)[0]?.value ?? ''),
    );
    const wanted = attempts.map(({ name }) => [name, name.startsWith('open-') ? 'open' : 'refused']);
    expect(await attempt(machine, attempts)).toEqual(Object.fromEntries(wanted));
  });

  it('refuses it in every shipped unit that sets it (S58)', async () => {
    const attempts = probes.flatMap((probe) =>
      setting(probe.directive)
        .filter(({ unit }) => !probe.needsUser || /^User=/m.test(textOf(unit)))
        .map(({ unit, value }) => ({
          name: `${probe.directive}-in-${unit.replaceAll('.', '-')}`,
          unit: textOf(unit),
          script: scriptOf(probe, value),
        })),
    );
    const wanted = attempts.map(({ name }) => [name, 'refused']);
    expect(await attempt(machine, attempts)).toEqual(Object.fromEntries(wanted));
  });

  measureShares(() => machine, textOf);
  measureRefusals(() => machine, textOf);
  measureEnds(() => machine, textOf);
});
