import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { releasesDirectory, updaterReleases, versions } from '../agent/patched-agent.ts';
import { checkoutRoot } from './checkout.ts';
import { typeCheckReleases } from './patched-releases.ts';
import { plantTree } from './plant.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hfr-all-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const patchOf = (path: string, before: string, after: string) =>
  `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-${before}\n+${after}\n`;

/** Releases of two files, of which one imports the other. */
function plantReleases(patches: Readonly<Record<string, string>>) {
  const root = plantTree({
    'package.json': '{ "type": "module" }\n',
    'agent/main.ts': "import { two } from './two.ts';\n\nprocess.exitCode = two;\n",
    'agent/two.ts': 'export const two = 2;\n',
    ...patches,
  });
  copyFileSync(join(checkoutRoot, 'tsconfig.json'), join(root, 'tsconfig.json'));
  symlinkSync(join(checkoutRoot, 'node_modules'), join(root, 'node_modules'));
  return { root, releases: Object.keys(patches).map((name) => ({ name, patch: join(root, name) })) };
}

describe('the releases of the story', () => {
  it('are patches that apply to these sources, and type-check', async () => {
    const releases = [...versions, ...updaterReleases].map((name) => ({
      name,
      patch: join(releasesDirectory, name, 'release.patch'),
    }));
    expect(releases.length).toBeGreaterThan(40);
    expect(await typeCheckReleases(checkoutRoot, releases, directory)).toBe('');
  });

  it('are checked each by itself, with the files that import what a patch changes', async () => {
    const { root, releases } = plantReleases({
      sound: patchOf('agent/two.ts', 'export const two = 2;', 'export const two = 3;'),
      unsound: patchOf('agent/two.ts', 'export const two = 2;', 'export const two = [2];'),
    });
    const said = await typeCheckReleases(root, releases, directory);
    expect(said.match(/\S+\.ts(?=\()/g)).toEqual(['unsound/agent/main.ts']);
    expect(said).toContain('TS2322');
  });

  it('are found not to apply, and to delete what the check cannot see', async () => {
    const stale = plantReleases({ stale: patchOf('agent/two.ts', 'export const two = 1;', 'export const two = 3;') });
    await expect(typeCheckReleases(stale.root, stale.releases, directory)).rejects.toThrow('patch does not apply');
    rmSync(directory, { recursive: true });
    directory = mkdtempSync(join(tmpdir(), 'hfr-all-'));
    const gone = plantReleases({ gone: '--- a/agent/two.ts\n+++ /dev/null\n@@ -1 +0,0 @@\n-export const two = 2;\n' });
    await expect(typeCheckReleases(gone.root, gone.releases, directory)).rejects.toThrow('gone deletes a file');
  });
});
