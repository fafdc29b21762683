import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { bundleRelease } from '../../../image/release.ts';
import { describedIn } from '../../../image/release-commands.ts';
import type { Repository } from '../../../image/repository.ts';
import { readServerKeys } from '../../../image/repository-keys.ts';
import type { TrialAsked } from '../../../protocol/manifest.ts';
import { newRepository } from '../new-repository.ts';
import { checkout, nodeBinary } from './checkout.ts';
import { emittedProgram, type ProgramInput, placeOs } from './programs.ts';

const signedSourcesShape = z.object({ bundle: z.string() });

export interface Built {
  readonly path: string;
  readonly manifest: string;
  readonly bytes: number;
  readonly version: string;
}

/**
 * Builds releases as a release engineer does, with one operator's repository. Programs come from a cache, and each bundle is
 * described and signed anew; test/image/main.test.ts builds by the command line.
 */
export class Builder {
  readonly dir: string;
  readonly #serverKeys: string;
  readonly #runtime: string;
  #repository: Promise<Repository> | null = null;

  /** @param runtime the Node binary that the agent's releases ship */
  constructor(dir: string, serverKeys: string, runtime: string) {
    this.dir = dir;
    this.#serverKeys = serverKeys;
    this.#runtime = runtime;
    mkdirSync(dir, { recursive: true });
  }

  app(version: string): Promise<Built> {
    return this.#described('app', version);
  }

  /** The agent as it is in the checkout, under any version; of the security version that the releases of the tests have. */
  unpatched(version: string): Promise<Built> {
    const plain = { component: 'app', version, patchFile: null, state: null } as const;
    return this.#bundle(plain, { securityVersion: 1 });
  }

  /** The agent of the checkout with the work of a maker. */
  made(version: string, makerDir: string): Promise<Built> {
    return this.#bundle({ component: 'app', version, patchFile: null, state: null, makerDir }, { securityVersion: 1 });
  }

  updater(version: string): Promise<Built> {
    const plain = { component: 'updater', version, patchFile: null, state: null } as const;
    return this.#bundle(plain, { securityVersion: 0 });
  }

  /** An updater as a directory of test/releases changes it. */
  patchedUpdater(version: string): Promise<Built> {
    return this.#described('updater', version);
  }

  /** Takes a release off the signed list; who has the next bundle of this repository knows it. */
  async revoke(component: string, version: string): Promise<void> {
    const places = ['--repository', join(this.dir, 'repository'), '--server-keys', this.#serverKeys];
    await execa(nodeBinary, [join(checkout, 'image', 'main.ts'), 'revoke', component, version, ...places, '--json']);
  }

  /** Signs the sources of a JSON file. @returns what is published for it */
  async signSources(file: string): Promise<string> {
    const places = ['--repository', join(this.dir, 'repository'), '--server-keys', this.#serverKeys];
    const main = join(checkout, 'image', 'main.ts');
    const { stdout } = await execa(nodeBinary, [main, 'sources', 'set', file, ...places, '--json']);
    return signedSourcesShape.parse(JSON.parse(stdout)).bundle;
  }

  async #described(component: 'app' | 'updater', version: string): Promise<Built> {
    const name = component === 'app' ? version : `updater-${version}`;
    const described = await describedIn(join(checkout, 'test', 'releases', name));
    if (described === null) throw new RangeError(name);
    const { securityVersion = 0, state = null, trial, patch } = described;
    const program = { component, version: described.version, patchFile: patch, state };
    return this.#bundle(program, { securityVersion, ...(trial === undefined ? {} : { trial }) });
  }

  /** `build` without a trial start: most of these are broken on purpose, and a start of each costs seconds. */
  async #bundle(
    input: ProgramInput,
    signed: { readonly securityVersion: number; readonly trial?: TrialAsked },
  ): Promise<Built> {
    this.#repository ??= this.#begin();
    const [repository, { payloadDir, entry, release }] = await Promise.all([this.#repository, emittedProgram(input)]);
    const runtime = input.component === 'app' ? this.#runtime : null;
    const more = { ...input, ...signed, runtime, bases: [], repository, outDir: this.dir };
    const { path, manifest, bytes } = await bundleRelease(more, release, payloadDir, entry);
    return { path, manifest, bytes, version: input.version };
  }

  /** `keys init`, where the directory of this builder has no repository yet. */
  async #begin(): Promise<Repository> {
    const dir = join(this.dir, 'repository');
    await mkdir(dir, { recursive: true });
    return newRepository({ dir, serverKeys: await readServerKeys(this.#serverKeys), now: () => new Date() });
  }

  /** What the operating system's image brings, with the bundles that become factory. */
  async os(out: string, version: string, factory: readonly Built[]): Promise<void> {
    await placeOs(out, version);
    mkdirSync(join(out, 'factory'), { recursive: true });
    for (const bundle of factory) copyFileSync(bundle.path, join(out, 'factory', bundle.path.split('/').at(-1) ?? ''));
  }
}

/**
 * A runtime of a few bytes that starts the Node of this machine: the same format and path as a real one, for tests that
 * are not about moving 150 MB.
 */
export function thinRuntime(dir: string): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'node');
  writeFileSync(path, `#!/bin/sh\nexec ${nodeBinary} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}
