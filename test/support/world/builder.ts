import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { checkout, nodeBinary } from './checkout.ts';

const builtShape = z.object({ path: z.string(), manifest: z.string(), bytes: z.number() });
export type Built = z.infer<typeof builtShape> & { readonly version: string };

/** Builds releases as a release engineer does, with one operator's repository; each build is a process of its own. */
export class Builder {
  readonly dir: string;
  readonly #serverKeys: string;
  readonly #runtime: string;

  /** @param runtime the Node binary that the agent's releases ship */
  constructor(dir: string, serverKeys: string, runtime: string) {
    this.dir = dir;
    this.#serverKeys = serverKeys;
    this.#runtime = runtime;
    mkdirSync(dir, { recursive: true });
  }

  app(version: string): Promise<Built> {
    return this.#build('app', version, [
      '--release',
      join(checkout, 'test', 'releases', version),
      '--runtime',
      this.#runtime,
    ]);
  }

  /** The agent as it is in the checkout, under any version; of the security version that the releases of the tests have. */
  unpatched(version: string): Promise<Built> {
    return this.#build('app', version, ['--version', version, '--security-version', '1', '--runtime', this.#runtime]);
  }

  updater(version: string): Promise<Built> {
    return this.#build('updater', version, ['--version', version]);
  }

  /** An updater as a directory of test/releases changes it. */
  patchedUpdater(version: string): Promise<Built> {
    return this.#build('updater', version, ['--release', join(checkout, 'test', 'releases', `updater-${version}`)]);
  }

  /** Takes a release off the signed list; who has the next bundle of this repository knows it. */
  async revoke(component: string, version: string): Promise<void> {
    const places = ['--repository', join(this.dir, 'repository'), '--server-keys', this.#serverKeys];
    await execa(nodeBinary, [join(checkout, 'image', 'main.ts'), 'revoke', component, version, ...places, '--json']);
  }

  async #build(component: string, version: string, more: readonly string[]): Promise<Built> {
    const places = ['--repository', join(this.dir, 'repository'), '--server-keys', this.#serverKeys, '--out', this.dir];
    const { stdout } = await execa(nodeBinary, [
      join(checkout, 'image', 'main.ts'),
      'build',
      '--component',
      component,
      ...places,
      ...more,
      // Most of these are broken on purpose, and a start of each costs seconds.
      '--no-trial-start',
      '--json',
    ]);
    return { ...builtShape.parse(JSON.parse(stdout)), version };
  }

  /** What the operating system's image brings, with the bundles that become factory. */
  async os(out: string, version: string, factory: readonly Built[]): Promise<void> {
    const args = ['os', '--out', out, '--version', version, '--node', nodeBinary, '--json'];
    await execa(nodeBinary, [join(checkout, 'image', 'main.ts'), ...args]);
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
