import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { emitProgram } from '../../image/emit.ts';
import { versionShape } from '../../protocol/version.ts';

const stateSchemaShape = z.int().min(0);

/** test/releases/<version>/release.json: what the build of this release is told. */
export const releaseShape = z.strictObject({
  version: versionShape,
  from: versionShape.nullable(),
  note: z.string(),
  securityVersion: z.int().min(0),
  state: z.strictObject({
    reads: z.strictObject({ min: stateSchemaShape, max: stateSchemaShape }),
    writes: stateSchemaShape,
  }),
  /** In milliseconds. */
  trial: z
    .strictObject({
      healthyMs: z.int().min(0),
      deadlineMs: z.int().min(0),
      migrationMs: z.int().min(1).optional(),
    })
    .optional(),
});

const checkout = resolve(import.meta.dirname, '../..');
/** One directory a release: its patch, and what its build is told. */
export const releasesDirectory = join(checkout, 'test', 'releases');

const named: readonly string[] = readdirSync(releasesDirectory, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort();

/** Releases of the agent, and of the updater, that have a patch. */
export const versions = named.filter((name) => !name.startsWith('updater-'));
export const updaterReleases = named.filter((name) => name.startsWith('updater-'));
/** What the build of an updater's release is told. */
export const updaterReleaseShape = releaseShape.pick({ version: true, from: true, note: true, securityVersion: true });

/** A copy of the sources with one release's patch, as its build has it. */
export class PatchedAgent {
  readonly directory: string;
  /** What a slot of this release would run. */
  readonly program: string;
  readonly #version: string;

  /** @param directory an empty one; by default a new one */
  constructor(version: string, directory = mkdtempSync(join(tmpdir(), 'hfr-'))) {
    this.#version = version;
    this.directory = directory;
    this.program = join(directory, 'out', 'main.js');
  }

  /** @throws when a hunk does not apply */
  async make(): Promise<void> {
    for (const name of ['agent', 'updater', 'protocol', 'package.json']) {
      cpSync(join(checkout, name), join(this.directory, name), { recursive: true });
    }
    symlinkSync(join(checkout, 'node_modules'), join(this.directory, 'node_modules'));
    const patch = join(releasesDirectory, this.#version, 'release.patch');
    // Were the temporary directory inside a repository, git would pass over the patch without a word: forbid the search.
    const env = { GIT_CEILING_DIRECTORIES: tmpdir() };
    await execa('git', ['apply', '--verbose', patch], { cwd: this.directory, env });
  }

  /** Builds it as the image does. */
  async emit(): Promise<void> {
    await emitProgram({
      component: 'app',
      version: this.#version,
      commit: 'test',
      sourceDir: this.directory,
      outDir: join(this.directory, 'out'),
      node: process.execPath,
    });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
