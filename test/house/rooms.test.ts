import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { importTable } from './imports.ts';
import { plantSources } from './plant.ts';
import { byText, fileCircles, impureImports, listRooms, roomCircles, shownRooms, tiesTo } from './rooms.ts';
import { readSources, type SourceFile } from './source.ts';

const sources = readSources(checkoutRoot);
const programs = Object.keys(importTable);
/** Rooms that decide and touch nothing; what they say stands in the catalogue, which imports nothing. */
const pureRooms = ['updater/machine', 'updater/verdict', 'server-lite/rules'];
const catalogue = 'updater/words/texts.ts';
const hallMax = 25;
/** What puts a line where people and the server find it. */
const ofHistory = /\bevents\.add\(|\b(recordEnd|recordOutcome|recordRecovered|writeHistory)\b/;

function writtenIn(files: readonly SourceFile[], room: string, pattern: RegExp): string[] {
  const found = files.filter(({ path, text }) => path.startsWith(`${room}/`) && pattern.test(text));
  return found.map(({ path }) => path).sort(byText);
}

const ring = {
  'updater/a/one.ts': "import { two } from '../b/two.ts';\nexport const one = two;",
  'updater/b/two.ts': "import { three } from '../c/three.ts';\nexport const two = three;",
  'updater/c/three.ts': "import type { One } from '../a/other.ts';\nexport const three: One = 1;",
  'updater/a/other.ts': 'export type One = number;',
};

describe('the rooms', () => {
  it.each(programs)('of %s form no circle, nor do its files', (program) => {
    expect(fileCircles(sources, program)).toEqual([]);
    expect(roomCircles(sources, program, program === 'updater')).toEqual([]);
  });

  it('are found to form a circle, over a type as well, where no two files do', () => {
    const planted = plantSources(ring);
    expect(fileCircles(planted, 'updater')).toEqual([]);
    const found = roomCircles(planted, 'updater', true);
    expect(found.map(({ path }) => path)).toEqual(['updater/a/one.ts', 'updater/b/two.ts', 'updater/c/three.ts']);
  });

  it('are found to form one with the hall, where the whole house is looked at', () => {
    const planted = plantSources({
      'updater/main.ts': "import { a } from './a/a.ts';\nexport const main = a;",
      'updater/a/a.ts': "import { main } from '../main.ts';\nexport const a = () => main;",
    });
    expect(roomCircles(planted, 'updater', true)).toHaveLength(2);
    expect(roomCircles(planted, 'updater', false)).toEqual([]);
    expect(fileCircles(planted, 'updater')).toHaveLength(2);
  });

  it(`of the updater are few: at most ${hallMax} names stand in its folder`, () => {
    expect(readdirSync(join(checkoutRoot, 'updater')).length).toBeLessThanOrEqual(hallMax);
  });

  it('of the updater have their tests in folders of the same names, beside what tests share', () => {
    const roomsOf = (folder: string) =>
      readdirSync(join(checkoutRoot, folder), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
        .sort(byText);
    expect(roomsOf('test/updater')).toEqual([...roomsOf('updater'), 'support'].sort(byText));
    const tested = roomsOf('updater').filter((room) =>
      sources.some(({ path }) => path.startsWith(`test/updater/${room}/`) && path.endsWith('.test.ts')),
    );
    expect(tested).toEqual(roomsOf('updater'));
  });

  it('that decide import nothing with effects', () => {
    for (const room of pureRooms) {
      expect(
        sources.some(({ path }) => path.startsWith(`${room}/`)),
        room,
      ).toBe(true);
      expect(impureImports(sources, room, ['zod', catalogue])).toEqual([]);
    }
  });

  it('are found to touch something', () => {
    const planted = plantSources({
      'updater/verdict/a.ts': "import { readFileSync } from 'node:fs';\nexport const a = readFileSync;",
      'updater/verdict/b.ts': "import type { Clock } from '../effects/clock.ts';\nexport type B = Clock;",
      'updater/verdict/c.ts': "import { cut } from '../../protocol/text.ts';\nexport const c = cut;",
    });
    const found = impureImports(planted, 'updater/verdict', ['zod']);
    expect(found.map(({ path }) => path)).toEqual(['updater/verdict/a.ts', 'updater/verdict/b.ts']);
  });

  it('in which a transaction does its steps tell nobody what they do: the loop tells', () => {
    expect(tiesTo(sources, 'updater/transaction', 'updater/status')).toEqual([]);
  });

  it('in which a transaction does its steps write no history and no event: the loop does, of what they return', () => {
    expect(writtenIn(sources, 'updater/transaction', ofHistory)).toEqual([]);
  });

  it('are found to write a history by themselves', () => {
    const planted = plantSources({
      'updater/transaction/drivers/a.ts': 'export const a = (one: { events: Set<1> }) => one.events.add(1);',
      'updater/transaction/b.ts': 'declare function recordOutcome(): void;\nrecordOutcome();',
      'updater/run/a.ts': 'declare function recordOutcome(): void;\nrecordOutcome();',
    });
    const found = writtenIn(planted, 'updater/transaction', ofHistory);
    expect(found).toEqual(['updater/transaction/b.ts', 'updater/transaction/drivers/a.ts']);
  });

  it('are found to tell by themselves', () => {
    const planted = plantSources({
      'updater/transaction/drivers/a.ts': "import { publish } from '../../status/b.ts';\nexport const a = publish;",
      'updater/run/a.ts': "import { publish } from '../status/b.ts';\nexport const a = publish;",
      'updater/status/b.ts': 'export const publish = 1;',
    });
    const found = tiesTo(planted, 'updater/transaction', 'updater/status');
    expect(found.map(({ path }) => path)).toEqual(['updater/transaction/drivers/a.ts']);
  });

  it('are listed in ARCHITECTURE.md with what is at home there and what they import', () => {
    const text = readFileSync(join(checkoutRoot, 'ARCHITECTURE.md'), 'utf8');
    expect(shownRooms(text)).toBe(listRooms(sources, 'updater'));
  });

  it('are found to be listed wrongly', () => {
    const planted = plantSources({
      'updater/a/a.ts': "import { b } from '../b/b.ts';\nexport const a = b;",
      'updater/b/b.ts': 'export const b = 1;',
    });
    const shown = (lines: string) => shownRooms(`# Rooms\n\n\`\`\`rooms\n${lines}\n\`\`\`\n`);
    const listed = listRooms(planted, 'updater');
    expect(shown('a  what asks      ← b\nb  what is asked  ← –')).toBe(listed);
    for (const wrong of [
      'a  what asks      ← b',
      'a  what asks      ← –\nb  what is asked  ← –',
      'a  ← b\nb  what is asked  ← –',
      'a: b\nb  what is asked  ← –',
    ])
      expect(shown(wrong)).not.toBe(listed);
  });
});
