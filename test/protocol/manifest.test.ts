import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../protocol/digest.ts';
import { bundleName, manifestShape, manifestTargetName } from '../../protocol/manifest.ts';
import { isContainedPath, treeDigestInput } from '../../protocol/payload.ts';
import { readExample } from './examples.ts';

const name = fc.oneof(
  fc.constantFrom(
    '..',
    '.',
    '',
    'a',
    'b.js',
    '...',
    '.seal',
    'C:',
    'ä',
    'a\u0308',
    'x y',
    '~',
    '-rf',
    'nul\u0000',
    'a\\b',
    'a\nb',
  ),
  fc.string({ maxLength: 8 }),
);
const anyPath = fc.array(name, { minLength: 1, maxLength: 24 }).map((names) => names.join('/'));

describe('a path of a manifest', () => {
  it('that is accepted cannot leave the slot', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        fc.pre(isContainedPath(path));
        expect(posix.join('/slot', path)).toBe(`/slot/${path}`);
        expect(posix.relative('/slot', posix.join('/slot', path))).toBe(path);
      }),
      { numRuns: 2_000 },
    );
  });

  it('that is accepted has one spelling only', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        fc.pre(isContainedPath(path));
        expect(path.normalize('NFC')).toBe(path);
        expect(
          [...path].filter((character) => character === '\\' || character < ' ' || character === '\u007f'),
        ).toEqual([]);
      }),
    );
  });

  it.each(['main.js', 'node_modules/@a/b/c.node', 'a/.hidden', 'ä', 'a b', '...', 'a/...'])('may be %j', (path) => {
    expect(isContainedPath(path)).toBe(!path.startsWith('.'));
  });

  it.each([
    '',
    '/',
    '/etc/passwd',
    '..',
    '../a',
    'a/..',
    'a/../b',
    './a',
    'a/./b',
    'a//b',
    'a/',
    '.seal',
    '.committed',
    '.manifest.json',
    'a\\..\\b',
    'a\u0000',
    'a\u0308',
    'x'.repeat(201),
    `${'a/'.repeat(20)}b`,
    `${`${'x'.repeat(150)}/`.repeat(2)}${'x'.repeat(150)}`,
  ])('may not be %j', (path) => {
    expect(isContainedPath(path)).toBe(false);
  });
});

describe('a manifest', () => {
  it('parses to the same again', () => {
    const once = manifestShape.parse(readExample('manifest.app'));
    expect(manifestShape.parse(JSON.parse(JSON.stringify(once)))).toEqual(once);
  });

  it('has names that its component and version make', () => {
    expect(manifestTargetName('app', '1.0.52')).toBe('app-1.0.52.manifest.json');
    expect(bundleName('app', '1.0.52')).toBe('app-1.0.52.hfb');
  });
});

describe('the digest of a tree', () => {
  const tree = fc.uniqueArray(
    fc.record({
      path: fc.stringMatching(/^[a-z]{1,4}(\/[a-z]{1,4})?$/),
      executable: fc.boolean(),
      sha256: fc.string().map(sha256),
    }),
    { selector: (file) => file.path, minLength: 1, maxLength: 8 },
  );

  it('does not depend on the order of its files', () => {
    fc.assert(
      fc.property(tree, fc.integer(), (files, seed) => {
        const turned = [...files.slice(seed % files.length), ...files.slice(0, seed % files.length)];
        expect(treeDigestInput(turned)).toBe(treeDigestInput(files));
      }),
    );
  });

  it('depends on path, mode and content of each file', () => {
    fc.assert(
      fc.property(tree, ([first, ...rest]) => {
        fc.pre(first !== undefined);
        const whole = treeDigestInput([first, ...rest]);
        expect(treeDigestInput([{ ...first, executable: !first.executable }, ...rest])).not.toBe(whole);
        expect(treeDigestInput([{ ...first, path: `${first.path}x` }, ...rest])).not.toBe(whole);
        expect(treeDigestInput([{ ...first, sha256: sha256(first.sha256) }, ...rest])).not.toBe(whole);
        expect(treeDigestInput(rest)).not.toBe(whole);
      }),
    );
  });
});
