import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { importsOf } from './imports.ts';
import { plantSources } from './plant.ts';
import { readSources } from './source.ts';
import { catalogues, sentenceExceptions, sentencesElsewhere } from './texts.ts';

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: pieces of source text
const sources = readSources(checkoutRoot);

describe('what people read', () => {
  it('stands in the catalogue of its program', () => {
    for (const catalogue of Object.values(catalogues)) expect(existsSync(join(checkoutRoot, catalogue))).toBe(true);
    expect(sentencesElsewhere(sources, sentenceExceptions)).toEqual([]);
  });

  it('has no exception that nobody needs', () => {
    const needed = new Set(sentencesElsewhere(sources, {}).map(({ path }) => path));
    expect(Object.keys(sentenceExceptions).filter((path) => !needed.has(path))).toEqual([]);
  });

  it('loads nothing but protocol/: a program reads its catalogue before each start', () => {
    const loaded = sources
      .filter(({ path }) => Object.values(catalogues).includes(path))
      .flatMap((file) => importsOf(file).map(({ specifier }) => specifier))
      .filter((specifier) => specifier?.includes('/protocol/') !== true);
    expect(loaded).toEqual([]);
  });

  it.each([
    ['an error', "throw new SlotError('damaged', 'slot damaged');"],
    ['an error of a template', "throw new SlotError('damaged', `${path} was damaged`);"],
    ['a sentence that is kept for later', "const next = 'Run it as root.';"],
    ['one that begins with what is put in', 'log(`${path} cannot be read`);'],
    ['a part of one that is put together', "const text = 'nothing is put aside' + rest;"],
    ['one in a template in a template', "log(`${a === null ? '' : `, with its data of ${a} days`}`);"],
    ['a next step', "fail(line, code, message, 'Look at the disk.');"],
    ['a description of a command', "program.command('x').description('undo');"],
    ['words in markup', 'html`<p>${a} <em>days</em></p>`;'],
    ['a heading', 'html`<section><h2>Versions</h2>${body}</section>`;'],
    ['words in markup of more lines', "html`<p class='a'\n>The last try</p>`;"],
    ['an attribute that is shown', 'html`<input placeholder="as shown above">`;'],
    ['the answer of a function', "export const a = () => 'the agent cannot be started';"],
    ['a word of a table', "export const a = { b: 'it is written again' };"],
  ])('is found elsewhere: %s', (_, text) => {
    expect(sentencesElsewhere(plantSources({ 'updater/room/a.ts': text }), {})).toHaveLength(1);
  });

  it.each(Object.keys(catalogues))('is found in %s', (folder) => {
    const text = "throw new AError('damaged', `${path} was damaged`);";
    expect(sentencesElsewhere(plantSources({ [`${folder}/a.ts`]: text }), {})).toHaveLength(1);
  });

  it.each([
    ['what says that the program is wrong', "throw new RangeError('there is no slot to commit');"],
    ['the name of an event', 'events.add(`trust begun anew ${boot}`, { text });'],
    ['markup without words', 'html`<li class="role ok"><strong>${a}</strong> · ${b}</li>`;'],
    ['a header', "const csp = `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'`;"],
    ['a command', "run('systemctl', ['show', '--property', 'LoadState,ActiveState']);"],
    ['what is put in alone', 'log(`${a} ${b} ${c}: ${d}`);'],
    ['a statement of SQL', "db.prepare('SELECT id FROM orders WHERE state = ? order by id');"],
    ['a type', "type Answer = 'nobody has looked yet';"],
    ['a comment', '// this is a sentence\nexport const a = 1;'],
  ])('is not: %s', (_, text) => {
    expect(sentencesElsewhere(plantSources({ 'updater/room/a.ts': text }), {})).toEqual([]);
  });

  it('may stand anywhere in a program that has no catalogue', () => {
    const text = "export const a = 'it is written again';";
    expect(sentencesElsewhere(plantSources({ 'test/a.ts': text, 'updater/words/texts.ts': text }), {})).toEqual([]);
  });
});
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: pieces of source text
