import { posix } from 'node:path';
import { importsOf } from './imports.ts';
import type { SourceFile, Violation } from './source.ts';

/** What computes, and reaches nothing outside of its process. */
const pureModules = new Set([
  'node:assert',
  'node:crypto',
  'node:path',
  'node:util',
  'node:zlib',
  '@tufjs/models',
  'fast-check',
  'vitest',
  'zod',
]);

/** `path imports specifier`, and why that is right in this one place. */
export const pureExceptions: readonly { readonly path: string; readonly specifier: string; readonly why: string }[] = [
  { path: 'test/protocol/examples.ts', specifier: 'node:fs', why: 'reads the frozen messages, and writes nothing' },
];

const isExcepted = (path: string, specifier: string | null) =>
  pureExceptions.some((entry) => entry.path === path && entry.specifier === specifier);

/** What the tests that are listed as pure reach, however far one follows, that is not: each import once. */
export function impureImports(files: readonly SourceFile[], tests: readonly string[]): Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const reached = new Set(tests);
  const found: Violation[] = [];
  for (const path of reached) {
    const file = byPath.get(path);
    if (file === undefined) {
      found.push({ path, line: 1, text: 'is listed or imported as pure, and does not exist' });
      continue;
    }
    for (const { specifier, typeOnly, line } of importsOf(file)) {
      if (typeOnly) continue;
      if (specifier?.startsWith('.')) reached.add(posix.join(posix.dirname(path), specifier));
      else if (!pureModules.has(specifier ?? '') && !isExcepted(path, specifier)) {
        found.push({ path, line, text: `a pure test reaches the import of ${specifier ?? 'something computed'}` });
      }
    }
  }
  return found;
}
