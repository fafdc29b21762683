import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { execa } from 'execa';
import { Header } from 'tar';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { manifestShape } from '../../protocol/manifest.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { thinRuntime } from '../support/world/builder.ts';
import { checkout, fixtureTree, nodeBinary, temporaryDirectory, writeTree } from './fixture-tree.ts';

const main = join(checkout, 'image', 'main.ts');
const namedShape = z.object({ name: z.string() });
/** One value a line. */
const valuesOf = (stdout: string) => stdout.split('\n').map((line) => namedShape.parse(JSON.parse(line)));

async function setUp(directory: string) {
  const source = await fixtureTree(join(directory, 'source'));
  const key = () => generateKeyPair().publicKey;
  await writeTree(directory, {
    'public-keys.json': JSON.stringify({ answer: key(), snapshot: key(), timestamp: key() }),
    'release/release.json': JSON.stringify({
      version: '1.0.53',
      from: '1.0.52',
      note: 'a story',
      securityVersion: 2,
      state: { reads: { min: 1, max: 2 }, writes: 2 },
      trial: { healthyMs: 0, deadlineMs: 0, migrationMs: 90_000 },
    }),
    'release/release.patch': [
      '--- a/protocol/greeting.ts',
      '+++ b/protocol/greeting.ts',
      '@@ -1 +1 @@',
      "-export const greeting: string = 'hello';",
      "+export const greeting: string = 'from the patch';",
      '',
    ].join('\n'),
  });
  const repository = [
    ...['--repository', join(directory, 'repository'), '--server-keys', join(directory, 'public-keys.json'), '--json'],
  ];
  const run = (...args: string[]) => execa(nodeBinary, [main, ...args], { reject: false });
  const runtime = thinRuntime(join(directory, 'thin'));
  expect((await run('keys', 'init', ...repository)).stderr).toBe('');
  const build = (...args: string[]) =>
    run(
      ...['build', ...repository, '--source', source, '--out', join(directory, 'out'), '--component', 'app'],
      // The fixture is no agent, and most of this is not about moving 150 MB.
      ...['--no-trial-start', '--runtime', runtime, ...args],
    );
  return { run, build, repository, source };
}

async function manifestIn(path: string) {
  const archive = await readFile(path);
  for (let at = 0; ; ) {
    const header = new Header(archive, at);
    if (header.path === 'manifest.json.zst') {
      const frame = archive.subarray(at + 512, at + 512 + (header.size ?? 0));
      return manifestShape.parse(JSON.parse(zstdDecompressSync(frame).toString('utf8')));
    }
    at += 512 + Math.ceil((header.size ?? 0) / 512) * 512;
  }
}

describe('the command line of the builder', () => {
  it('builds releases at the same time, described or not, lists them and revokes one', async () => {
    await using directory = await temporaryDirectory();
    const { run, build, repository, source } = await setUp(directory.path);
    const [plain, described] = await Promise.all([
      build('--version', '1.0.52'),
      build('--release', join(directory.path, 'release'), '--runtime', nodeBinary),
    ]);
    expect([plain.stderr, described.stderr]).toEqual(['', '']);
    const one = await manifestIn(JSON.parse(plain.stdout).path);
    expect([one.version, one.securityVersion, one.runtime?.entry]).toEqual(['1.0.52', 0, 'bin/node']);
    expect(one.compatibility.state).toEqual({ reads: { min: 0, max: 3 }, writes: 3 });
    const two = await manifestIn(JSON.parse(described.stdout).path);
    expect([two.version, two.securityVersion, two.runtime?.entry]).toEqual(['1.0.53', 2, 'bin/node']);
    expect(two.compatibility.state).toEqual({ reads: { min: 1, max: 2 }, writes: 2 });
    expect(two.source.commit).not.toBe(one.source.commit);
    const digest = createHash('sha256')
      .update(await readFile(nodeBinary))
      .digest('hex');
    expect(two.runtime?.files[0]?.sha256).toBe(digest);

    // What nobody names is the Node that the checkout pins.
    const words = ['build', ...repository, '--source', source, '--out', join(directory.path, 'out')];
    const unnamed = await run(...words, '--component', 'app', '--version', '1.0.54', '--no-trial-start');
    const three = await manifestIn(JSON.parse(unnamed.stdout).path);
    expect(three.runtime?.digest).toBe(two.runtime?.digest);
    const updater = await run(...words, '--component', 'updater', '--version', '1.0.0');
    expect((await manifestIn(JSON.parse(updater.stdout).path)).runtime).toBeNull();

    const names = async () => valuesOf((await run('list', ...repository)).stdout).map(({ name }) => name);
    const all = ['app-1.0.52', 'app-1.0.53', 'app-1.0.54', 'updater-1.0.0'].map((name) => `${name}.manifest.json`);
    expect(await names()).toEqual(all);
    expect((await run('revoke', 'app', '1.0.53', ...repository)).exitCode).toBe(0);
    expect(await names()).toEqual(all.toSpliced(1, 1));
  });

  it('puts into the manifest what a release asks of its trial: as described, or as the command line says', async () => {
    await using directory = await temporaryDirectory();
    const { build } = await setUp(directory.path);
    const described = ['--release', join(directory.path, 'release')];
    const trialOf = async (args: readonly string[]) => {
      const { stdout, stderr } = await build(...args);
      expect(stderr).toBe('');
      return (await manifestIn(JSON.parse(stdout).path)).trial;
    };
    expect(await trialOf(['--version', '1.0.52'])).toBeUndefined();
    expect(await trialOf(described)).toEqual({ healthyMs: 0, deadlineMs: 0, migrationMs: 90_000 });
    const asked = ['--version', '1.0.54', '--healthy-s', '3600', '--deadline-s', '7200'];
    expect(await trialOf([...described, ...asked])).toEqual({
      healthyMs: 3_600_000,
      deadlineMs: 7_200_000,
      migrationMs: 90_000,
    });
    expect(await trialOf(['--version', '1.0.55', '--healthy-s', '60', '--migration-s', '5'])).toEqual({
      healthyMs: 60_000,
      deadlineMs: 60_000,
      migrationMs: 5_000,
    });
    const { exitCode, stderr } = await build('--version', '1.0.56', '--healthy-s', '60', '--deadline-s', '59');
    expect([exitCode !== 0, stderr.includes('a trial must end after its healthy time')]).toEqual([true, true]);
  });

  it('builds an image of the operating system, with patches against the one before it', async () => {
    await using directory = await temporaryDirectory();
    const { run, repository } = await setUp(directory.path);
    const noise = Buffer.concat(
      Array.from({ length: 40_000 }, (_, index) => createHash('sha256').update(`${index}`).digest()),
    );
    const sbom = join(directory.path, 'sbom.json');
    await writeFile(sbom, '{}');
    const image = join(directory.path, 'root.img');
    const options = ['--component', 'os', '--image', image, '--sbom', sbom, '--out', join(directory.path, 'out')];
    await writeFile(image, noise);
    const before = await run('build', ...repository, ...options, '--version', '13.1.0');
    expect(before.stderr).toBe('');
    const changed = Buffer.from(noise);
    for (let at = 10_000; at < changed.length; at += 90_000) changed.fill(7, at, at + 50);
    await writeFile(image, changed);
    const base = ['--base', JSON.parse(before.stdout).path];
    const after = await run('build', ...repository, ...options, '--version', '13.2.0', ...base);
    expect(after.stderr).toBe('');
    const manifest = await manifestIn(JSON.parse(after.stdout).path);
    expect(manifest).toMatchObject({ component: 'os', entry: null, image: { size: changed.length } });
    expect(manifest.chunks.filter(({ patches }) => patches !== undefined).length).toBeGreaterThan(2);
    const damaged = await run('build', ...repository, ...options, '--version', '13.3.0', '--base', image);
    expect([damaged.exitCode, damaged.stderr]).toEqual([1, expect.stringContaining('base-unusable')]);
    const nothing = await run(
      'build',
      ...repository,
      '--component',
      'os',
      '--out',
      directory.path,
      '--version',
      '1.0.0',
    );
    expect([nothing.exitCode, nothing.stderr]).toEqual([2, expect.stringContaining('--image FILE')]);
  });

  it('says what happened and what to do: exits with 1 when a release is refused, with 2 when it was called wrongly', async () => {
    await using directory = await temporaryDirectory();
    const { run, build, repository } = await setUp(directory.path);
    const missing = await build();
    expect([missing.exitCode, missing.stdout]).toEqual([2, '']);
    expect(missing.stderr).toContain('--version');
    const wrong = await build('--version', '1.0');
    expect([wrong.exitCode, wrong.stdout]).toEqual([2, '']);
    expect(wrong.stderr).toContain('MAJOR.MINOR.PATCH');
    const unknown = await run('revoke', 'app', '9.9.9', ...repository);
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toMatch(/is not released \(release-unknown\)\nwhat to do: /);
  });
});
