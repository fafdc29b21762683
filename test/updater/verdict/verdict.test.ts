import { partialDeepStrictEqual } from 'node:assert';
import { describe, expect, it } from 'vitest';
import * as settings from '../../../updater/identity/settings.ts';
import * as deferral from '../../../updater/verdict/deferral.ts';
import * as trial from '../../../updater/verdict/trial.ts';
import * as verdict from '../../../updater/verdict/verdict.ts';
import { clauses } from './clauses.ts';

const modules = { verdict, trial, settings, deferral };

/** The clauses of the verdict, each as cases; bites.test.ts proves that each of them can fail. */
describe.each(Object.entries(clauses))('%s', (_clause, cases) => {
  it.each(cases)('$name', ({ run, expected }) => {
    const found = run(modules);
    expect(() => partialDeepStrictEqual(found, expected), JSON.stringify(found)).not.toThrow();
  });
});

describe('the table of cases', () => {
  it('names each case once', () => {
    const names = Object.entries(clauses).flatMap(([clause, cases]) => cases.map(({ name }) => `${clause}: ${name}`));
    expect(new Set(names).size).toBe(names.length);
  });
});
