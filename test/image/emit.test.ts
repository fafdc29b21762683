import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { emitProgram } from '../../image/emit.ts';
import { emitOs } from '../../image/os.ts';
import { sha256 } from '../../protocol/digest.ts';
import { checkout, fixtureTree, nodeBinary, temporaryDirectory, writeTree } from './fixture-tree.ts';

async function emitFixture(directory: string, changes: Readonly<Record<string, string>> = {}) {
  const sourceDir = await fixtureTree(join(directory, 'source'), changes);
  const outDir = join(directory, 'out');
  const input = { component: 'app', version: '1.0.49', commit: 'abc', sourceDir, outDir, node: nodeBinary } as const;
  return { input, outDir, program: await emitProgram(input) };
}

async function contentOf(directory: string): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    content.set(path.slice(directory.length + 1), await readFile(path, 'latin1'));
  }
  return content;
}

describe('an emitted program', () => {
  it('runs away from the source, with its CommonJS packages and the native module', async () => {
    await using directory = await temporaryDirectory();
    const { outDir, program } = await emitFixture(directory.path);
    expect(program.entry).toBe('main.js');
    const run = async (...args: string[]) => (await execa(nodeBinary, [join(outDir, 'main.js'), ...args])).stdout;
    expect(await run()).toBe('hello { two: 2 } function');
    expect(await run('--version')).toBe('1.0.49');
    expect(await run('--late')).toBe('loaded late');
    const main = await readFile(join(outDir, 'main.js'), 'utf8');
    expect(main).not.toContain('loaded late');
  });

  it('says what it is and what is inside', async () => {
    await using directory = await temporaryDirectory();
    const { outDir, program } = await emitFixture(directory.path);
    expect(JSON.parse(await readFile(join(outDir, 'release.json'), 'utf8'))).toEqual({
      component: 'app',
      version: '1.0.49',
      commit: 'abc',
    });
    const bytes = await readFile(join(outDir, 'sbom.json'));
    expect(program.sbom).toBe(sha256(bytes));
    const sbom = JSON.parse(bytes.toString());
    expect([sbom.bomFormat, sbom.specVersion, sbom.metadata.component.version]).toEqual(['CycloneDX', '1.6', '1.0.49']);
    const purls = sbom.components.map((component: { purl: string }) => component.purl);
    expect(purls).toContainEqual(expect.stringMatching(/^pkg:npm\/pino@\d/));
    expect(purls).toContainEqual(expect.stringMatching(/^pkg:npm\/better-sqlite3@\d/));
    expect(purls).toContainEqual(expect.stringMatching(/^pkg:npm\/%40pinojs\/redact@\d/));
  });

  it('is the same to the byte from any directory, and names none of them', async () => {
    await using first = await temporaryDirectory();
    await using second = await temporaryDirectory();
    const one = await contentOf((await emitFixture(first.path)).outDir);
    const two = await contentOf((await emitFixture(second.path)).outDir);
    expect(two).toEqual(one);
    for (const [name, content] of one) {
      if (name.endsWith('.node')) continue;
      for (const path of [first.path, checkout]) expect(content.includes(path), `${name} names ${path}`).toBe(false);
    }
  });

  it('carries one binary of the native module, and carries it only where it is used', async () => {
    await using directory = await temporaryDirectory();
    const { outDir, input } = await emitFixture(directory.path);
    const prebuilds = join(outDir, 'node_modules', 'better-sqlite3', 'prebuilds');
    expect(await readdir(prebuilds)).toEqual([`linux-${process.arch}.node`]);
    const updater = join(directory.path, 'updater');
    await emitProgram({ ...input, component: 'updater', outDir: updater });
    expect((await readdir(updater)).sort()).toEqual(['main.js', 'package.json', 'release.json', 'sbom.json']);
  });

  it('S30: is refused when it reports another version than the one that was declared', async () => {
    await using directory = await temporaryDirectory();
    const changes = { 'agent/main.ts': "console.log('1.0.48');" };
    await expect(emitFixture(directory.path, changes)).rejects.toMatchObject({ code: 'version-mismatch' });
  });

  it('is refused when it does not build, does not start, or would be mixed with an older build', async () => {
    for (const main of ["import './missing.ts';", "throw new Error('at start');"]) {
      await using directory = await temporaryDirectory();
      const attempt = emitFixture(directory.path, { 'agent/main.ts': main });
      await expect(attempt, main).rejects.toMatchObject({ code: 'build-failed' });
    }
    await using directory = await temporaryDirectory();
    await mkdir(join(directory.path, 'out'));
    await writeFile(join(directory.path, 'out', 'part-OLD.js'), '');
    await expect(emitFixture(directory.path)).rejects.toMatchObject({ code: 'payload-invalid' });
  });
});

describe("the operating system's part", () => {
  it('is launch in one file, the updater and Node', async () => {
    await using directory = await temporaryDirectory();
    const sourceDir = await fixtureTree(join(directory.path, 'source'));
    const outDir = join(directory.path, 'os');
    const files = await emitOs({ sourceDir, outDir, version: '2.0.0', commit: 'abc', node: nodeBinary });
    expect((await readdir(outDir)).sort()).toEqual(['launch.js', 'node', 'package.json', 'updater']);
    expect((await execa(files.node, [files.launch])).stdout).toBe('hello launch.js');
    expect((await execa(files.node, [join(files.updaterDir, 'main.js')])).stdout).toBe('2.0.0');
  });

  it('is refused when launch would import a package', async () => {
    for (const main of ["import 'zod';", "import '../protocol/greeting.ts';", "await import('better-sqlite3');"]) {
      await using directory = await temporaryDirectory();
      const sourceDir = join(directory.path, 'source');
      await fixtureTree(sourceDir, { 'updater/launch/main.ts': main });
      await writeTree(sourceDir, { 'protocol/greeting.ts': "import { z } from 'zod';\nconsole.log(z);" });
      const outDir = join(directory.path, 'os');
      const attempt = emitOs({ sourceDir, outDir, version: '2.0.0', commit: 'abc', node: nodeBinary });
      await expect(attempt, main).rejects.toMatchObject({ code: 'build-failed' });
    }
  });
});
