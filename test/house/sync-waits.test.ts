import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';
import { syncWaitViolations, waitingFiles } from './sync-waits.ts';

describe('what answers others', () => {
  it('waits for no other process', () => {
    expect(syncWaitViolations(readSources(checkoutRoot))).toEqual([]);
  });

  it('has no exception that nobody needs', () => {
    const paths = new Set(readSources(checkoutRoot).map(({ path }) => path));
    expect(Object.keys(waitingFiles).filter((path) => !paths.has(path))).toEqual([]);
  });

  it.each([
    ['a program', "import { execFileSync } from 'node:child_process';\nexecFileSync('true');"],
    ['a database', "import Sqlite from 'better-sqlite3';\nexport const a = () => new Sqlite('x');"],
    ['a lock', "export const a = (db: { pragma(text: string): void }) => db.pragma('busy_timeout = 5');"],
    ['a lock in a template', 'export const a = `busy_timeout = 5`;'],
    ['a stopped thread', 'export const a = (b: Int32Array) => Atomics.wait(b, 0, 0);'],
  ])('is found to wait for %s', (_what, text) => {
    for (const path of ['server-lite/a.ts', 'agent/a.ts', 'updater/page/a.ts']) {
      expect(syncWaitViolations(plantSources({ [path]: text }))).not.toEqual([]);
    }
    expect(syncWaitViolations(plantSources({ 'updater/a.ts': text }))).toEqual([]);
  });
});
