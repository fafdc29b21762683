import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { clauses } from './clauses.ts';
import { type Defect, roomOf } from './defects/defect.ts';
import { defects } from './defects/defects.ts';

/**
 * The clauses bite: each defect is planted in a copy of the pure sources, and the cases that are meant to see it do. The
 * product has no switch for any of them.
 */
const root = join(import.meta.dirname, '../../..');
const directory = mkdtempSync(join(tmpdir(), 'holdfast-clauses-'));
let found: string[][];

/** A copy of what decides, with one patch; the rest is that of the checkout. @throws when the patch does not fit once */
function plant(name: string, defect: Defect | null): string {
  const place = join(directory, name);
  mkdirSync(join(place, 'updater'), { recursive: true });
  symlinkSync(join(root, 'protocol'), join(place, 'protocol'));
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  cpSync(join(root, 'package.json'), join(place, 'package.json'));
  mkdirSync(join(place, 'updater', 'identity'));
  for (const room of ['effects', 'words']) symlinkSync(join(root, 'updater', room), join(place, 'updater', room));
  cpSync(join(root, 'updater', 'verdict'), join(place, 'updater', 'verdict'), { recursive: true });
  for (const name of ['settings', 'twin', 'system-users'])
    cpSync(join(root, 'updater', 'identity', `${name}.ts`), join(place, 'updater', 'identity', `${name}.ts`));
  if (defect !== null) {
    const file = join(place, 'updater', roomOf(defect.file), `${defect.file}.ts`);
    const text = readFileSync(file, 'utf8');
    if (text.split(defect.from).length !== 2) throw new RangeError(`${file} does not have ${defect.from} exactly once`);
    writeFileSync(
      file,
      text.replace(defect.from, () => defect.to),
    );
  }
  return place;
}

beforeAll(async () => {
  const places = [null, ...defects].map((defect, i) => plant(String(i), defect));
  // Hundreds of sources that are never loaded again: to keep what was compiled of them is work for nobody.
  const env = { NODE_DISABLE_COMPILE_CACHE: '1' };
  const { stdout } = await execa(process.execPath, [join(import.meta.dirname, 'run-cases.ts'), ...places], { env });
  found = stdout.split('\n').map((line) => z.array(z.string()).parse(JSON.parse(line)));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('a defect that is planted', () => {
  it.each(defects.map((defect, i) => ({ ...defect, i })))('is seen: $name', ({ seenBy, i }) => {
    expect(found[i + 1]).toContain(seenBy);
  });

  it('is not seen where none is planted', () => {
    expect(found[0]).toEqual([]);
  });
});

describe('every clause', () => {
  it('is broken by at least one of the defects', () => {
    const bitten = new Set(defects.map(({ seenBy }) => seenBy.slice(0, seenBy.indexOf(': '))));
    expect(Object.keys(clauses).filter((clause) => !bitten.has(clause))).toEqual([]);
  });

  it('has no case that no defect can break', () => {
    const names = Object.entries(clauses).flatMap(([clause, cases]) => cases.map(({ name }) => `${clause}: ${name}`));
    const broken = new Set(found.flat());
    expect(names.filter((name) => !broken.has(name))).toEqual([]);
  });
});
