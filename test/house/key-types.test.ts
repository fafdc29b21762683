import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantSources } from './plant.ts';
import { lineAt, readSources, type SourceFile, textOf, type Violation, walk } from './source.ts';

/** Who looks at the type of a key of TUF metadata beside this file sooner or later knows fewer types than it does. */
const onePlace = 'protocol/trust/tuf-key.ts';
const fields = new Set(['keyType', 'keyVal']);

function keyTypeViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    const found: Violation[] = [];
    if (file.path === onePlace || file.program === 'test') return found;
    walk(file.syntax, (node) => {
      const name = textOf(node, 'name') ?? textOf(node, 'value');
      if (name === null || !fields.has(name)) return;
      found.push({ path: file.path, line: lineAt(file, node.start), text: `${name}, which ${onePlace} reads` });
    });
    return found;
  });
}

describe('the type of a key of metadata', () => {
  it('is looked at in one place', () => {
    const sources = readSources(checkoutRoot);
    expect(sources.map(({ path }) => path)).toContain(onePlace);
    expect(keyTypeViolations(sources)).toEqual([]);
  });

  it.each([
    ['a comparison', "export const a = (key: K) => key.keyType === 'ed25519';"],
    ['a field that is taken out', 'export const a = ({ keyVal }: K) => keyVal;'],
    ['a computed name', "export const a = (key: K) => key['keyVal'].public;"],
  ])('is found elsewhere: %s', (_what, text) => {
    expect(keyTypeViolations(plantSources({ 'updater/a.ts': text }))).not.toEqual([]);
  });
});
