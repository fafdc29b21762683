import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addRelease, listReleases, type Repository, revokeRelease } from '../../image/repository.ts';
import { readServerKeys, type ServerKeys } from '../../image/repository-keys.ts';
import { generateKeyPair, privateKeyFromPem, publicKeyOf } from '../../protocol/trust/ed25519.ts';
import { type Trusted, trustRoot, updateTargetsFromFile } from '../../protocol/trust/tuf.ts';
import { findTarget, holdfastFields, issuedAtOf, targetsExpireAt } from '../../protocol/trust/tuf-targets.ts';
import { newRepository } from '../support/new-repository.ts';
import { temporaryDirectory } from './fixture-tree.ts';

const now = new Date('2026-06-01T12:00:00Z');

function newServerKeys(): ServerKeys {
  return {
    answer: generateKeyPair().publicKey,
    snapshot: generateKeyPair().publicKey,
    timestamp: generateKeyPair().publicKey,
  };
}

function open(dir: string, serverKeys: ServerKeys = newServerKeys()): Promise<Repository> {
  return newRepository({ dir, serverKeys, now: () => now });
}

async function trustedIn(dir: string): Promise<Trusted> {
  const root = trustRoot(await readFile(join(dir, 'metadata', '1.root.json')));
  return updateTargetsFromFile(root, await readFile(join(dir, 'metadata', 'targets.json')));
}

const release = (version: string, content = version) => ({ component: 'app', version, manifest: Buffer.from(content) });

describe("the operator's repository", () => {
  it('makes keys that only its owner reads, a root that two of three sign, and dated targets', async () => {
    await using directory = await temporaryDirectory();
    const serverKeys = newServerKeys();
    await open(directory.path, serverKeys);
    const all = await readdir(join(directory.path, 'keys'));
    const names = all.filter((name) => !name.endsWith('.public.json'));
    expect(names.sort()).toEqual(['operator.pem', 'root-1.pem', 'root-2.pem', 'root-3.pem', 'targets.pem']);
    expect((await stat(join(directory.path, 'keys'))).mode & 0o777).toBe(0o700);
    for (const name of names) expect((await stat(join(directory.path, 'keys', name))).mode & 0o777).toBe(0o600);
    const trusted = await trustedIn(directory.path);
    expect(trusted.root.metadata.signed.roles.root?.threshold).toBe(2);
    expect(Object.keys(trusted.root.metadata.signatures)).toHaveLength(2);
    expect(trusted.root.metadata.signed.expires).toBe('2036-06-01T12:00:00Z');
    expect(targetsExpireAt(trusted)).toEqual(new Date('2027-06-01T12:00:00Z'));
    expect(issuedAtOf(trusted)).toBe(now.getTime() / 1000);
    const operator = privateKeyFromPem(await readFile(join(directory.path, 'keys', 'operator.pem'), 'utf8'));
    expect(holdfastFields(trusted)).toEqual({
      answerKeys: [serverKeys.answer],
      operatorKeys: [publicKeyOf(operator)],
    });
  });

  it('lists each release with a higher version of the targets, and takes a revoked one off', async () => {
    await using directory = await temporaryDirectory();
    const repository = await open(directory.path);
    await addRelease(repository, release('1.0.49'));
    await addRelease(repository, release('1.0.52'));
    const both = await trustedIn(directory.path);
    expect(both.targets?.version).toBe(3);
    const target = findTarget(both, 'app-1.0.52.manifest.json');
    const stored = await readFile(join(directory.path, 'targets', `${target.sha256}.app-1.0.52.manifest.json`), 'utf8');
    expect(stored).toBe('1.0.52');
    await revokeRelease(repository, 'app', '1.0.49');
    const after = await trustedIn(directory.path);
    expect(after.targets?.version).toBe(4);
    expect((await listReleases(repository)).map(({ name }) => name)).toEqual(['app-1.0.52.manifest.json']);
    await expect(revokeRelease(repository, 'app', '1.0.49')).rejects.toMatchObject({ code: 'release-unknown' });
  });

  it('changes nothing for the same release again, and refuses another content under its version', async () => {
    await using directory = await temporaryDirectory();
    const repository = await open(directory.path);
    const first = await addRelease(repository, release('1.0.49'));
    expect(await addRelease(repository, release('1.0.49'))).toEqual(first);
    await expect(addRelease(repository, release('1.0.49', 'other'))).rejects.toMatchObject({ code: 'release-exists' });
  });

  it('loses no release when several are added at the same time', async () => {
    await using directory = await temporaryDirectory();
    const serverKeys = newServerKeys();
    const versions = ['1.0.0', '1.0.1', '1.0.2', '1.0.3', '1.0.4'];
    await open(directory.path, serverKeys);
    // Each with its own handle.
    await Promise.all(
      versions.map(async (version) => addRelease(await open(directory.path, serverKeys), release(version))),
    );
    const trusted = await trustedIn(directory.path);
    expect(trusted.targets?.version).toBe(6);
    for (const version of versions) expect(findTarget(trusted, `app-${version}.manifest.json`)).toBeDefined();
    expect((await readdir(join(directory.path, 'metadata'))).sort()).toEqual(['1.root.json', 'targets.json']);
  });

  it("refuses another server's keys, and keys that are none", async () => {
    await using directory = await temporaryDirectory();
    const keys = newServerKeys();
    await open(directory.path, keys);
    for (const role of ['answer', 'snapshot', 'timestamp'] as const) {
      const other = { ...keys, [role]: generateKeyPair().publicKey };
      await expect(open(directory.path, other), role).rejects.toMatchObject({ code: 'server-keys-changed' });
    }
    const file = join(directory.path, 'public-keys.json');
    await writeFile(file, JSON.stringify({ ...keys, answer: 'abc' }));
    await expect(readServerKeys(file)).rejects.toMatchObject({ code: 'server-keys-invalid' });
    await expect(readServerKeys(join(directory.path, 'none'))).rejects.toMatchObject({ code: 'server-keys-invalid' });
  });

  it('refuses to go on from metadata that its keys did not sign', async () => {
    await using directory = await temporaryDirectory();
    const keys = newServerKeys();
    const repository = await open(directory.path, keys);
    await addRelease(repository, release('1.0.49'));
    const path = join(directory.path, 'metadata', 'targets.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('app-1.0.49', 'app-1.0.48'));
    await expect(open(directory.path, keys)).rejects.toMatchObject({ code: 'repository-damaged' });
  });
});
