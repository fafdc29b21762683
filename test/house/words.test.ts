import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantSources, plantTree } from './plant.ts';
import { readSources } from './source.ts';
import { fileNameViolations, nameViolations, textViolations } from './words.ts';

describe('the names of the checkout', () => {
  it('say what a file is', () => {
    expect(fileNameViolations(checkoutRoot)).toEqual([]);
  });

  it('say what a type is', () => {
    expect(nameViolations(readSources(checkoutRoot))).toEqual([]);
  });
});

describe('the texts of the checkout', () => {
  it('name no machine, no registry and nothing to be done later', () => {
    expect(textViolations(checkoutRoot)).toEqual([]);
  });
});

describe('the rules on words', () => {
  it.each(['agent/Outbox.ts', 'agent/slot_store.ts', 'updater/file-utils.ts', 'image/helpers.ts'])(
    'find %s',
    (path) => {
      expect(fileNameViolations(plantTree({ [path]: '' })).map((violation) => violation.path)).toEqual([path]);
    },
  );

  it.each(['class SlotManager {}', 'interface ReleaseInfo {}', 'type AgentData = 1;'])('find %s', (text) => {
    expect(nameViolations(plantSources({ 'agent/a.ts': `export ${text}\n` }))).toHaveLength(1);
  });

  it.each([
    `// ${'TO'}DO later`,
    `cd /${'work'}/main`,
    `https://registry.${'npmjs'}.org/zod`,
    `see issue ${7}`,
    `${'DES'}IGN section 4`,
    `it can ${'not'} be`,
  ])('find %s', (text) => {
    expect(textViolations(plantTree({ 'notes.md': `one\n${text}\n` })).map(({ line }) => line)).toEqual([2]);
  });

  it('let pass what is meant well', () => {
    expect(
      textViolations(plantTree({ 'a.md': 'updater/work/ holds the download; http://x/work/ is an address\n' })),
    ).toEqual([]);
    expect(fileNameViolations(plantTree({ 'test/releases/1.0.49/release.json': '{}' }))).toEqual([]);
  });
});
