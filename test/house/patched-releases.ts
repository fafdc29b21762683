import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { importsOf } from './imports.ts';
import { readSources, type SourceFile } from './source.ts';

/** A release that is a patch to the sources. */
interface PatchedRelease {
  readonly name: string;
  readonly patch: string;
}

/** What a release consists of. */
const patchedPrograms: readonly string[] = ['agent', 'updater', 'protocol'];

const settingsShape = z.looseObject({ compilerOptions: z.record(z.string(), z.unknown()) });

/** The files that a patch changes or adds. */
function changedBy({ name, patch }: PatchedRelease): Set<string> {
  const text = readFileSync(patch, 'utf8');
  // An importer would find the file among the sources of the checkout, and pass.
  if (/^\+\+\+ \/dev\/null$/m.test(text)) throw new Error(`${name} deletes a file: its type check cannot see that`);
  return new Set([...text.matchAll(/^\+\+\+ b\/(.*)$/gm)].map(([, path = '']) => path));
}

/** The files that import each file. */
function importersOf(files: readonly SourceFile[]): Map<string, string[]> {
  const importers = new Map<string, string[]>();
  for (const file of files) {
    for (const { specifier } of importsOf(file)) {
      if (specifier?.startsWith('.') !== true) continue;
      const path = posix.join(posix.dirname(file.path), specifier);
      importers.set(path, [...(importers.get(path) ?? []), file.path]);
    }
  }
  return importers;
}

/** Those files, and all whose types may depend on them. */
function withImporters(changed: ReadonlySet<string>, importers: ReadonlyMap<string, string[]>): Set<string> {
  const reached = new Set(changed);
  for (const path of reached) for (const importer of importers.get(path) ?? []) reached.add(importer);
  return reached;
}

/**
 * One run of the type checker over many releases. Of each it sees the files that its patch changes and those that import
 * them, beside the checkout's own sources.
 * @param directory an empty one
 * @returns what it says, each line with the name of its release; empty when it says nothing
 * @throws when a patch does not apply
 */
export async function typeCheckReleases(
  root: string,
  releases: readonly PatchedRelease[],
  directory: string,
): Promise<string> {
  const importers = importersOf(readSources(root).filter(({ program }) => patchedPrograms.includes(program)));
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  cpSync(join(root, 'package.json'), join(directory, 'package.json'));
  for (const release of releases) {
    const target = join(directory, release.name);
    mkdirSync(target);
    for (const path of withImporters(changedBy(release), importers)) {
      mkdirSync(dirname(join(target, path)), { recursive: true });
      if (existsSync(join(root, path))) cpSync(join(root, path), join(target, path));
    }
    // Were this directory inside a repository, git would pass over the patch without a word: forbid the search.
    const env = { GIT_CEILING_DIRECTORIES: directory };
    await execa('git', ['apply', '--verbose', release.patch], { cwd: target, env });
  }
  const { compilerOptions } = settingsShape.parse(JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')));
  const names = releases.map(({ name }) => name);
  // What a release does not have of its own is found in the checkout, which comes first.
  const rootDirs = [root, ...names];
  writeFileSync(
    join(directory, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...compilerOptions, rootDirs }, include: names.map((name) => `${name}/**/*`) }),
  );
  const { exitCode, all } = await execa(join(root, 'node_modules', '.bin', 'tsc'), ['-p', '.', '--pretty', 'false'], {
    cwd: directory,
    reject: false,
    all: true,
  });
  return exitCode === 0 ? '' : `${exitCode}: ${all}`;
}
