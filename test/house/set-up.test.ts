import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { checkoutRoot } from './checkout.ts';
import { plantTree } from './plant.ts';

/** A package manager of the test's own: it notes that it ran, then does what `npm-does` says. */
const npm = `#!/bin/sh
echo "npm $*" >> npm-ran
. ./npm-does
`;
const installs = 'sleep 0.3; mkdir -p node_modules/.bin; : > node_modules/.bin/node; echo installed\n';

function checkout(npmDoes = installs): string {
  const root = plantTree({
    'package.json': '{ "type": "module", "bin": { "tool": "tool.ts" } }',
    'package-lock.json': '{ "packages": { "": {}, "node_modules/a": {}, "node_modules/b": { "optional": true } } }',
    'npm-does': npmDoes,
    'path/npm': npm,
    'tool.ts': '',
  });
  chmodSync(join(root, 'path/npm'), 0o755);
  mkdirSync(join(root, 'test/support'), { recursive: true });
  copyFileSync(join(checkoutRoot, 'test/support/set-up.js'), join(root, 'test/support/set-up.js'));
  return root;
}

function setUp(root: string) {
  const path = [join(root, 'node_modules/.bin'), join(root, 'path'), dirname(process.execPath), '/usr/bin:/bin'];
  const environment = { PATH: path.join(':'), TMPDIR: root };
  return execa(process.execPath, ['test/support/set-up.js'], {
    cwd: root,
    env: environment,
    extendEnv: false,
    reject: false,
  });
}

function runs(root: string): number {
  return existsSync(join(root, 'npm-ran')) ? readFileSync(join(root, 'npm-ran'), 'utf8').trim().split('\n').length : 0;
}

describe('the set-up', () => {
  it('installs once, behind one line, and then finds everything done', async () => {
    const root = checkout();
    const first = await setUp(root);
    expect(first).toMatchObject({ exitCode: 0, stdout: '' });
    expect(first.stderr.split('\n')).toEqual(['Setting up: installing the 1 packages that package-lock.json names …']);
    expect(await setUp(root)).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
    expect(runs(root)).toBe(1);
  });

  it('links the commands of the package itself, so that npx finds them', async () => {
    const root = checkout();
    await setUp(root);
    expect(existsSync(join(root, 'node_modules/.bin/tool'))).toBe(true);
  });

  it('installs again when the lock file has changed', async () => {
    const root = checkout();
    await setUp(root);
    writeFileSync(join(root, 'package-lock.json'), '{ "packages": {} }');
    expect((await setUp(root)).exitCode).toBe(0);
    expect(runs(root)).toBe(2);
  });

  it('does not trust what an interrupted installation left', async () => {
    const root = checkout();
    mkdirSync(join(root, 'node_modules/.bin'), { recursive: true });
    writeFileSync(join(root, 'node_modules/.bin/node'), '');
    writeFileSync(join(root, 'node_modules/half'), '');
    expect((await setUp(root)).exitCode).toBe(0);
    expect(existsSync(join(root, 'node_modules/half'))).toBe(false);
  });

  it('installs once when several scripts begin together', async () => {
    const root = checkout();
    const all = await Promise.all([setUp(root), setUp(root), setUp(root)]);
    expect(all.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    expect(runs(root)).toBe(1);
  });

  it('takes over from one that was killed', async () => {
    const root = checkout();
    mkdirSync(join(root, '.holdfast'));
    const dead = execa('/bin/true');
    await dead;
    writeFileSync(join(root, '.holdfast/set-up.lock'), `${dead.pid} gone`);
    expect((await setUp(root)).exitCode).toBe(0);
    expect(existsSync(join(root, '.holdfast/set-up.lock'))).toBe(false);
  });

  it('fails as npm failed, shows what npm said, and starts afresh the next time', async () => {
    const root = checkout('echo "npm error: no such package"; exit 7\n');
    const failed = await setUp(root);
    expect(failed.exitCode).toBe(7);
    expect(failed.stderr).toContain('npm error: no such package');
    expect(failed.stderr).toContain('Nothing was started.');
    rmSync(join(root, 'npm-does'));
    writeFileSync(join(root, 'npm-does'), installs);
    expect((await setUp(root)).exitCode).toBe(0);
  });

  it('imports nothing that is not there before it ran', () => {
    const text = readFileSync(join(checkoutRoot, 'test/support/set-up.js'), 'utf8');
    const imported = [...text.matchAll(/from '([^']+)'/g)].map((match) => match[1]);
    expect(imported.filter((name) => !name?.startsWith('node:'))).toEqual([]);
  });
});
