import { partialDeepStrictEqual } from 'node:assert';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Modules } from './cases.ts';
import { clauses } from './clauses.ts';
import { type Defect, roomOf } from './defects/defect.ts';

/** For each copy of the sources that is named: the cases that do not hold in it, as one line of JSON. */

async function failuresIn(directory: string): Promise<string[]> {
  const load = (name: Defect['file']) =>
    import(pathToFileURL(join(directory, 'updater', roomOf(name), `${name}.ts`)).href);
  const modules: Modules = {
    verdict: await load('verdict'),
    trial: await load('trial'),
    settings: await load('settings'),
    deferral: await load('deferral'),
  };
  return Object.entries(clauses).flatMap(([clause, cases]) =>
    cases
      .filter(({ run, expected }) => !holds(() => partialDeepStrictEqual(run(modules), expected)))
      .map(({ name }) => `${clause}: ${name}`),
  );
}

function holds(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

for (const directory of process.argv.slice(2)) console.log(JSON.stringify(await failuresIn(directory)));
