import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { child, filesBelow, lineAt, type SourceFile, textOf, type Violation, walk } from './source.ts';

/** Words that say nothing, as parts of a file's or a type's name. */
const emptyWords = ['manager', 'helper', 'helpers', 'util', 'utils', 'data', 'info'];

/** Names that somebody else chose. */
const namesOfOthers = new Set([
  'package.json',
  'package-lock.json',
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
]);

/** Texts that belong to a machine or to the making, not to the repository. Written apart, or this file would be found. */
const foreignTexts: readonly (readonly [RegExp, string])[] = [
  [
    new RegExp(`\\b(${['TO', 'FIX', 'X'].map((head, i) => head + ['DO', 'ME', 'XX'][i]).join('|')})\\b`),
    'a note to do something later',
  ],
  [new RegExp(`(^|[\\s"'\`(=:])/${'work'}/`), 'a path of one machine'],
  [new RegExp(`registry\\.${'npmjs'}`), 'the host of a package registry'],
  [new RegExp(`\\bissue ${'#'}?\\d`, 'i'), 'an issue'],
  [new RegExp(`\\b${'DES'}IGN\\b`), 'a document that the repository does not hold'],
  [new RegExp(`\\bcan ${'not'}\\b`, 'i'), 'two words where English has one, cannot'],
];

function namesOfTypes(file: SourceFile): { name: string; line: number }[] {
  const found: { name: string; line: number }[] = [];
  const kinds = new Set(['ClassDeclaration', 'TSInterfaceDeclaration', 'TSTypeAliasDeclaration']);
  walk(file.syntax, (node) => {
    const name = kinds.has(node.type) ? textOf(child(node, 'id'), 'name') : null;
    if (name !== null) found.push({ name, line: lineAt(file, node.start) });
  });
  return found;
}

function lastWord(name: string): string {
  return (/[A-Z]?[a-z0-9]+$/.exec(name)?.[0] ?? name).toLowerCase();
}

/** Types and classes are named after what they are. */
export function nameViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) =>
    namesOfTypes(file)
      .filter(({ name }) => emptyWords.includes(lastWord(name)))
      .map(({ name, line }) => ({ path: file.path, line, text: `${name} ends in a word that says nothing` })),
  );
}

/** Files are kebab-case, one noun or one step. */
export function fileNameViolations(root: string): Violation[] {
  return filesBelow(root, (path) => /\.(ts|js|json|md)$/.test(path)).flatMap((path) => {
    const name = basename(path);
    if (namesOfOthers.has(name)) return [];
    const stem = name.replace(/(\.test|\.config)?\.(ts|js|json|md)$/, '');
    if (!/^[a-z0-9]+([-.][a-z0-9]+)*$/.test(stem))
      return [{ path, line: 1, text: 'a file name that is not kebab-case' }];
    return stem.split(/[-.]/).some((word) => emptyWords.includes(word))
      ? [{ path, line: 1, text: 'a file name with a word that says nothing' }]
      : [];
  });
}

/** Every text of the repository, scanned for what does not belong there. */
export function textViolations(root: string): Violation[] {
  // What released versions wrote stays as it is.
  const isText = (path: string): boolean =>
    path !== 'package-lock.json' &&
    !/^test\/(?:protocol\/v1|releases)\/.*\.json$/.test(path) &&
    (/\.(ts|js|json|md|patch|sh|css|html)$/.test(path) || path.startsWith('.ci/'));
  return filesBelow(root, isText).flatMap((path) =>
    readFileSync(join(root, path), 'utf8')
      .split('\n')
      .flatMap((line, i) =>
        foreignTexts.filter(([pattern]) => pattern.test(line)).map(([, text]) => ({ path, line: i + 1, text })),
      ),
  );
}
