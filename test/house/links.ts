import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { filesBelow, type Violation } from './source.ts';

/** Folders whose source files the documents name by path, in backquotes. */
const namedPath = /`((?:agent|bin|image|protocol|server-lite|test|updater)\/[\w./-]+\.(?:ts|js))`/g;
const link = /(?<!!)\[[^\]]*\]\(([^)\s]+)\)/g;

/** Lines outside of fenced blocks, each with its number; a fenced line is left empty. */
function proseLines(text: string): string[] {
  let isFenced = false;
  return text.split('\n').map((line) => {
    const isFence = line.startsWith('```');
    if (isFence) isFenced = !isFenced;
    return isFence || isFenced ? '' : line;
  });
}

/** The anchors of a page as GitHub makes them: small letters, no punctuation, a hyphen for each space. */
export function anchorsOf(text: string): Set<string> {
  const headings = proseLines(text).flatMap((line) => /^#{1,6} (.*)$/.exec(line)?.[1] ?? []);
  return new Set(
    headings.map((heading) =>
      heading
        .trim()
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** What is wrong with where a relative link of `path` leads, or null. */
function problemOf(root: string, path: string, target: string): string | null {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return null;
  const [file = '', anchor] = target.split('#');
  const to = file === '' ? path : posix.join(posix.dirname(path), decodeURIComponent(file));
  if (to.startsWith('../') || !existsSync(join(root, to))) return `${target} leads to no file`;
  if (anchor === undefined) return null;
  const isPage = to.endsWith('.md') && statSync(join(root, to)).isFile();
  return isPage && anchorsOf(readFileSync(join(root, to), 'utf8')).has(anchor) ? null : `${target} leads to no heading`;
}

/** Relative links of Markdown files that lead nowhere, and source files that they name and that do not exist. */
export function linkViolations(root: string): Violation[] {
  return filesBelow(root, (path) => path.endsWith('.md')).flatMap((path) =>
    proseLines(readFileSync(join(root, path), 'utf8')).flatMap((line, index) => {
      const links = [...line.matchAll(link)].map(([, target = '']) => problemOf(root, path, target));
      const named = [...line.matchAll(namedPath)].map(([, file = '']) =>
        existsSync(join(root, file)) ? null : `${file} does not exist`,
      );
      return [...links, ...named].filter((text) => text !== null).map((text) => ({ path, line: index + 1, text }));
    }),
  );
}

/** Pages of a folder that its README.md does not link to. */
export function unlistedPages(root: string, folder: string): string[] {
  const index = readFileSync(join(root, folder, 'README.md'), 'utf8');
  const listed = new Set([...index.matchAll(link)].map(([, target]) => target));
  return filesBelow(join(root, folder), (path) => path.endsWith('.md') && path !== 'README.md').filter(
    (path) => !listed.has(path),
  );
}
