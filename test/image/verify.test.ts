import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeMetadataBundle } from '../../image/ceremony/metadata-bundle.ts';
import { lookAtKey } from '../../image/keys/key-file.ts';
import { type Repository, revokeRelease } from '../../image/repository.ts';
import { readServerKeys } from '../../image/repository-keys.ts';
import { verifiedText, verifyBundle } from '../../image/verify/verify-bundle.ts';
import { sha256 } from '../../protocol/digest.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import { sampleRelease, signedParts, writeBundle } from '../support/hostile/sample.ts';
import { newRepository } from '../support/new-repository.ts';
import { thinRuntime } from '../support/world/builder.ts';
import {
  checkout,
  fixtureTree,
  nodeBinary,
  type TemporaryDirectory,
  temporaryDirectory,
  writeTree,
} from './fixture-tree.ts';

const main = join(checkout, 'image', 'main.ts');
let directory: TemporaryDirectory;
let repository: Repository;
let bundle: string;
let commit: string;
const now = new Date();

/** A source with a history, and a release of it. */
beforeAll(async () => {
  directory = await temporaryDirectory();
  const { path } = directory;
  const key = () => generateKeyPair().publicKey;
  const keys = { answer: key(), snapshot: key(), timestamp: key() };
  await writeTree(path, { 'public-keys.json': JSON.stringify(keys) });
  const source = await fixtureTree(join(path, 'source'));
  const git = (...args: string[]) =>
    execa('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: source });
  await git('init', '--quiet');
  await git('add', 'agent', 'updater', 'protocol', 'package.json');
  await git('commit', '--quiet', '-m', 'first');
  commit = (await git('rev-parse', 'HEAD')).stdout;
  const serverKeys = await readServerKeys(join(path, 'public-keys.json'));
  repository = await newRepository({ dir: join(path, 'repository'), serverKeys, now: () => now });
  bundle = (await build('1.0.52')).path;
});
afterAll(() => directory[Symbol.asyncDispose]());

async function build(version: string): Promise<{ path: string; sbom: string; builtBy: string }> {
  const at = (name: string) => join(directory.path, name);
  const { stdout } = await execa(nodeBinary, [
    ...[main, 'build', '--component', 'app', '--version', version, '--no-trial-start', '--json'],
    ...['--runtime', thinRuntime(at('thin'))],
    ...['--source', at('source'), '--repository', at('repository')],
    ...['--server-keys', at('public-keys.json'), '--out', at('out')],
  ]);
  return JSON.parse(stdout);
}

const rootFile = () => join(repository.dir, 'metadata', '1.root.json');

describe('release verify of something that is not there, or by a root that is none', () => {
  it('says so, and not that the bundle is damaged', async () => {
    const verify = (...words: string[]) => execa(nodeBinary, [main, 'verify', ...words], { reject: false });
    expect((await verify(join(directory.path, 'nowhere'))).stderr).toMatch(
      /nowhere cannot be read \(file-unreadable\)/,
    );
    const root = join(directory.path, 'empty-root.json');
    await writeFile(root, '');
    const { exitCode, stderr } = await verify(bundle, '--root', root);
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringMatching(/empty-root\.json is no root metadata .*\(root-unusable\)/),
    ]);
  });

  it('says of keys of the server that cannot be read why, and not that they are none', async () => {
    const path = join(directory.path, 'public-keys.json');
    const place = ['--repository', repository.dir, '--server-keys', join(path, 'deeper')];
    const { stderr } = await execa(nodeBinary, [main, 'list', ...place], { reject: false });
    expect(stderr).toMatch(/has a file where a directory is needed \(server-keys-unreadable\)/);
  });
});

describe('release verify', () => {
  it('S61: tells the commit that a bundle was built from, by what, its bill of materials and who signed', async () => {
    const verified = await verifyBundle(bundle, await readFile(rootFile()), now);
    const { publicKey } = await lookAtKey(join(repository.dir, 'keys', 'targets.pem'));
    expect(verified).toMatchObject({
      begins: { version: 1, isGiven: true },
      root: { version: 1, hasExpired: false, signedBy: { length: 2 } },
      targets: { hasExpired: false, signedBy: [tufKeyId(publicKey ?? '')] },
      release: { component: 'app', version: '1.0.52', source: { commit, hasOwnChanges: false } },
    });
    expect(verified.release?.source.builtBy).toMatch(/^holdfast image 9\.9\.9, node v\d+/);
    expect(verified.release?.sbom).toMatch(/^[0-9a-f]{64}$/);
    expect(verifiedText(bundle, verified)).toContain(`source   ${commit}\n`);
  });

  it('S30, S61: tells a source that was changed after its commit', async () => {
    await writeFile(join(directory.path, 'source', 'agent', 'late.ts'), `export const late: string = 'changed';\n`);
    const { path } = await build('1.0.53');
    const verified = await verifyBundle(path, null, now);
    expect(verified.release?.source.commit).toMatch(new RegExp(`^${commit}\\+[0-9a-f]{12}$`));
    expect(verifiedText(path, verified)).toContain('(with changes that this commit does not have)');
    expect(verified.begins.isGiven).toBe(false);
    expect(verifiedText(path, verified)).toContain('compare it, or give --root');
  });

  it('refuses a bundle with a changed byte, wherever it is', async () => {
    const good = await readFile(bundle);
    const path = join(directory.path, 'bad.hfb');
    const accepted: number[] = [];
    const root = await readFile(rootFile());
    for (let index = 0; index < 120; index += 1) {
      const bad = Buffer.from(good);
      const at = Math.floor((index * good.length) / 120);
      bad.writeUInt8(bad.readUInt8(at) ^ 1, at);
      await writeFile(path, bad);
      const code = await verifyBundle(path, root, now).then(
        () => null,
        (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
      );
      if (code !== 'bundle-damaged' && code !== 'bundle-untrusted') accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  it.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1_500)],
    ['with something behind its end', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(512)])],
    ['empty', () => Buffer.alloc(0)],
  ])('refuses a bundle %s', async (_, change) => {
    const path = join(directory.path, 'odd.hfb');
    await writeFile(path, change(await readFile(bundle)));
    await expect(verifyBundle(path, null, now)).rejects.toMatchObject({ code: 'bundle-damaged' });
  });

  it('refuses a bundle whose root is not the one that is given', async () => {
    const { serverKeys } = repository;
    const other = await newRepository({ dir: join(directory.path, 'other'), serverKeys, now: () => now });
    const root = await readFile(join(other.dir, 'metadata', '1.root.json'));
    await expect(verifyBundle(bundle, root, now)).rejects.toMatchObject({ code: 'bundle-untrusted' });
  });

  it('refuses one that is whole and signed, and carries no runtime for its agent', async () => {
    const { manifest, chunks } = sampleRelease('9.0.0');
    const bytes = Buffer.from(JSON.stringify({ ...manifest, runtime: null }));
    const path = writeBundle(directory.path, '9.0.0', await signedParts(repository, '9.0.0', bytes, chunks));
    await expect(verifyBundle(path, null, now)).rejects.toMatchObject({ code: 'runtime-missing' });
  });

  it('says that metadata has expired, and of metadata alone that no release is in it', async () => {
    const later = new Date(now.getTime() + 400 * 86_400_000);
    const old = await verifyBundle(bundle, null, later);
    expect([old.targets.hasExpired, verifiedText(bundle, old)]).toEqual([true, expect.stringContaining('EXPIRED')]);
    const path = await writeMetadataBundle(repository.dir, await revokeRelease(repository, 'app', '1.0.52'));
    expect(await verifyBundle(path, await readFile(rootFile()), now)).toMatchObject({ release: null });
  });

  it('exits with 1, a code and what to do, for a bundle that is not right', async () => {
    const path = join(directory.path, 'none.hfb');
    await writeFile(path, sha256('none').repeat(20));
    const refused = await execa(nodeBinary, [main, 'verify', path], { reject: false });
    expect([refused.exitCode, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/\(bundle-damaged\)\nwhat to do: /);
    const fine = await execa(nodeBinary, [main, 'verify', bundle, '--root', rootFile(), '--json']);
    expect(JSON.parse(fine.stdout).release.version).toBe('1.0.52');
  });
});
