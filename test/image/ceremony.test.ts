import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { applyChange, planApplication } from '../../image/ceremony/apply-change.ts';
import { isReached, openChange, quorumsOf, readChange, writeChange } from '../../image/ceremony/change.ts';
import { describeChange } from '../../image/ceremony/describe-change.ts';
import { type RotationRequest, rotateKeys } from '../../image/ceremony/rotate-keys.ts';
import { showKeys } from '../../image/ceremony/show-keys.ts';
import { signChange } from '../../image/ceremony/sign-change.ts';
import { lookAtKey, makeKeyFile, openKey } from '../../image/keys/key-file.ts';
import { noPassphrase } from '../../image/keys/passphrase.ts';
import { addRelease, type Repository, revokeRelease } from '../../image/repository.ts';
import type { ServerKeys } from '../../image/repository-keys.ts';
import { readSigned, rootPath, targetsPath } from '../../image/repository-metadata.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { addSignatures, tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import { treeDigest } from '../support/hostile/tree-digest.ts';
import { newRepository } from '../support/new-repository.ts';
import { checkout, nodeBinary, temporaryDirectory } from './fixture-tree.ts';

const now = new Date('2026-06-01T12:00:00Z');

function newServerKeys(): ServerKeys {
  const three = () => ({
    answer: generateKeyPair().publicKey,
    snapshot: generateKeyPair().publicKey,
    timestamp: generateKeyPair().publicKey,
  });
  return { ...three(), next: three() };
}

function openAt(dir: string): Promise<Repository> {
  return newRepository({ dir, serverKeys: newServerKeys(), now: () => now });
}

function request(repository: Repository, changes: Partial<RotationRequest>): RotationRequest {
  return {
    dir: repository.dir,
    role: 'root',
    remove: [],
    add: [],
    isNew: false,
    threshold: null,
    serverKeys: repository.serverKeys,
    out: null,
    passphrases: noPassphrase,
    newPassphrase: async () => null,
    isDry: false,
    now,
    ...changes,
  };
}

const keyFile = (dir: string, name: string) => join(dir, 'keys', `${name}.pem`);

async function idOf(dir: string, name: string): Promise<string> {
  const { publicKey } = await lookAtKey(keyFile(dir, name));
  return tufKeyId(publicKey ?? '');
}

/** Takes a key, both parts, to another machine. */
async function moveKey(dir: string, name: string, to: string): Promise<string> {
  await mkdir(to, { recursive: true });
  for (const end of ['pem', 'public.json']) {
    await rename(join(dir, 'keys', `${name}.${end}`), join(to, `${name}.${end}`));
  }
  return join(to, `${name}.pem`);
}

const pairAt = async (path: string) => openKey(await lookAtKey(path), noPassphrase);
const run = (...args: string[]) =>
  execa(nodeBinary, [join(checkout, 'image', 'main.ts'), 'keys', ...args], { reject: false });

describe('a change of keys', () => {
  it('is signed on two other machines that have a key and the file, and nothing else', async () => {
    await using directory = await temporaryDirectory();
    const [dir, second, third] = ['repository', 'second', 'third'].map((name) => join(directory.path, name));
    if (dir === undefined || second === undefined || third === undefined) throw new Error('three places');
    const repository = await openAt(dir);
    const keys = [await moveKey(dir, 'root-2', second), await moveKey(dir, 'root-3', third)];
    await moveKey(dir, 'root-1', third);
    const { path } = await rotateKeys(request(repository, { role: 'timestamp' }));
    await expect(applyChange(dir, await readChange(path))).rejects.toMatchObject({ code: 'signatures-missing' });
    for (const [index, place] of [second, third].entries()) {
      const carried = join(place, 'carried.json');
      await rename(path, carried);
      const key = keys[index] ?? '';
      const read = await run('sign', carried, '--key', key, '--dry-run');
      expect(read.stdout).toMatch(/timestamp \(the server.*\n {4}takes away the key [0-9a-f]{16}\n {4}adds the key/);
      const unsure = await run('sign', carried, '--key', key);
      expect([unsure.exitCode, unsure.stderr]).toEqual([1, expect.stringContaining('(not-confirmed)')]);
      const signed = await run('sign', carried, '--key', key, '--yes', '--json');
      expect(JSON.parse(signed.stdout)).toMatchObject({ isComplete: index === 1 });
      await rename(carried, path);
    }
    expect(await applyChange(dir, await readChange(path))).toMatchObject({ outcome: 'applied' });
    expect((await readSigned(dir)).trusted.root.version).toBe(2);
  });

  it('replaces a lost root key with the other two', async () => {
    await using directory = await temporaryDirectory();
    const repository = await openAt(directory.path);
    const lost = await idOf(directory.path, 'root-3');
    for (const end of ['pem', 'public.json']) await rm(join(directory.path, 'keys', `root-3.${end}`));
    const { path, newKey } = await rotateKeys(request(repository, { remove: [lost.slice(0, 12)], isNew: true }));
    await applyChange(directory.path, await readChange(path));
    const root = (await showKeys(directory.path)).roles[0];
    expect(root).toMatchObject({ role: 'root', threshold: 2 });
    expect(root?.keys.map((key) => key.path)).toEqual(
      ['root-1', 'root-2', 'root-4'].map((name) => keyFile(directory.path, name)).with(2, newKey ?? ''),
    );
    expect(root?.keys.map(({ id }) => id)).not.toContain(lost);
  });

  it('takes a key that was made elsewhere by its public part, and asks it to sign when the root needs all', async () => {
    await using directory = await temporaryDirectory();
    const dir = join(directory.path, 'repository');
    const repository = await openAt(dir);
    const elsewhere = join(directory.path, 'root-9.pem');
    await makeKeyFile(elsewhere, null);
    const add = [join(directory.path, 'root-9.public.json')];
    const { path, change } = await rotateKeys(request(repository, { add, threshold: 4 }));
    expect(quorumsOf(change).map(isReached)).toEqual([true, false]);
    await expect(applyChange(dir, change)).rejects.toMatchObject({ code: 'signatures-missing' });
    await writeChange(path, signChange(await readChange(path), [await pairAt(elsewhere)]));
    await applyChange(dir, await readChange(path));
    expect((await showKeys(dir)).roles[0]).toMatchObject({ threshold: 4, keys: { length: 4 } });
  });

  it('is finished when it is repeated after a power cut between the new root and its targets', async () => {
    await using directory = await temporaryDirectory();
    const { dir } = await openAt(directory.path);
    const repository = { dir, serverKeys: newServerKeys(), now: () => now };
    const { path } = await rotateKeys(request(repository, { role: 'targets' }));
    const change = await readChange(path);
    const { nextRoot } = change;
    await writeFile(rootPath(dir, 2), nextRoot ?? '');
    await expect(readSigned(dir)).rejects.toMatchObject({ code: 'repository-damaged' });
    expect(await applyChange(dir, change)).toMatchObject({ outcome: 'applied' });
    expect((await readSigned(dir)).trusted.targets?.version).toBe(2);
    expect(await applyChange(dir, change)).toMatchObject({ outcome: 'unchanged' });
  });

  it('is refused when something was released after it was proposed, and when it is of another repository', async () => {
    await using directory = await temporaryDirectory();
    const [dir, other] = [join(directory.path, 'one'), join(directory.path, 'other')];
    const repository = await openAt(dir);
    const { path, change } = await rotateKeys(request(repository, { role: 'operator' }));
    expect(describeChange(change).join('\n')).toContain('operator keys (all other orders):');
    await openAt(other);
    await expect(applyChange(other, await readChange(path))).rejects.toMatchObject({ code: 'change-outdated' });
    await rename(path, join(directory.path, 'late.json'));
    await addRelease(repository, { component: 'app', version: '1.0.0', manifest: Buffer.from('{}') });
    const before = treeDigest(dir);
    const late = await readChange(join(directory.path, 'late.json'));
    await expect(applyChange(dir, late)).rejects.toMatchObject({ code: 'change-outdated' });
    await expect(planApplication(dir, late)).rejects.toMatchObject({ code: 'change-outdated' });
    expect(treeDigest(dir)).toEqual(before);
  });

  it('that waits for signatures is not written over by another one', async () => {
    await using directory = await temporaryDirectory();
    const repository = await openAt(directory.path);
    const { path } = await rotateKeys(request(repository, { role: 'snapshot' }));
    const before = await readFile(path);
    await expect(rotateKeys(request(repository, { role: 'targets' }))).rejects.toMatchObject({
      code: 'change-waiting',
    });
    expect(await readFile(path)).toEqual(before);
  });

  it.each([
    ['root without saying which key', { role: 'root' }, 'rotation-invalid'],
    ['a key that the role does not have', { role: 'root', remove: ['0123456789'] }, 'key-unknown'],
    ['an id of too few digits', { role: 'targets', remove: ['a'], isNew: true }, 'key-unknown'],
    ['more signatures than there are keys', { role: 'root', threshold: 4 }, 'rotation-invalid'],
    ['no signature at all', { role: 'targets', threshold: 0 }, 'rotation-invalid'],
    ['a threshold for operators', { role: 'operator', isNew: true, threshold: 2 }, 'rotation-invalid'],
    ['a key of the server that it has not made', { role: 'answer', serverKeys: null }, 'server-keys-invalid'],
  ] as const)('refuses %s, and leaves nothing behind', async (_, asked, code) => {
    await using directory = await temporaryDirectory();
    const repository = await openAt(directory.path);
    const before = treeDigest(directory.path);
    await expect(rotateKeys(request(repository, { ...asked }))).rejects.toMatchObject({ code });
    expect(treeDigest(directory.path)).toEqual(before);
  });

  it.each(['root', 'targets', 'snapshot', 'timestamp', 'answer', 'operator'] as const)(
    'of %s can be rehearsed: a dry run says the same, and changes nothing',
    async (role) => {
      await using directory = await temporaryDirectory();
      const repository = await openAt(directory.path);
      const before = treeDigest(directory.path);
      const dry = await rotateKeys(request(repository, { role, isNew: true, isDry: true }));
      expect(dry.wouldSign).toContain(
        keyFile(directory.path, role === 'answer' || role === 'operator' ? 'targets' : 'root-1'),
      );
      expect(treeDigest(directory.path)).toEqual(before);
      const real = await rotateKeys(request(repository, { role, isNew: true }));
      const said = (change: typeof dry.change) =>
        describeChange(change).map((line) => line.replace(/key [0-9a-f]+/, 'key'));
      expect(said(dry.change)).toEqual(said(real.change));
      const proposed = treeDigest(directory.path);
      expect(await planApplication(directory.path, real.change)).toMatchObject({ outcome: 'applied' });
      expect(treeDigest(directory.path)).toEqual(proposed);
    },
  );
});

const carriedShape = z.record(z.string(), z.unknown());

describe('a change that is carried', () => {
  async function proposed(dir: string) {
    const repository = await openAt(dir);
    const { path } = await rotateKeys(request(repository, { role: 'snapshot' }));
    return { path, file: carriedShape.parse(JSON.parse(await readFile(path, 'utf8'))) };
  }
  const edited = (text: unknown, change: (metadata: { signed: Record<string, unknown> }) => void): string => {
    const metadata = z.object({ signed: carriedShape, signatures: z.unknown() }).parse(JSON.parse(String(text)));
    change(metadata);
    return JSON.stringify(metadata);
  };

  it.each([
    ['a field that nobody would be told of', { 'x-backdoor': true }],
    ['a version that does not follow', { version: 7 }],
    ['another type', { _type: 'targets' }],
    ['another specification', { spec_version: '1.9.9' }],
  ])('is not signed with %s', async (_, fields) => {
    await using directory = await temporaryDirectory();
    const { path, file } = await proposed(directory.path);
    const nextRoot = edited(file.nextRoot, ({ signed }) => Object.assign(signed, fields));
    await writeFile(path, JSON.stringify({ ...file, nextRoot }));
    await expect(readChange(path)).rejects.toMatchObject({ code: 'change-unreadable' });
    const signed = await run('sign', path, '--key', keyFile(directory.path, 'root-1'), '--yes');
    expect([signed.exitCode, signed.stderr]).toEqual([1, expect.stringContaining('do not sign it')]);
  });

  it.each([
    ['is not JSON', () => 'no'],
    ['has another shape', () => '{"holdfast":"change of release metadata","v":2}'],
    [
      'begins with a root that nobody signed',
      (file: Record<string, unknown>) => {
        const root = edited(file.root, ({ signed }) => Object.assign(signed, { expires: '2099-01-01T00:00:00Z' }));
        return JSON.stringify({ ...file, root });
      },
    ],
    ['changes nothing', (file: Record<string, unknown>) => JSON.stringify({ ...file, nextRoot: null })],
  ])('is refused when it %s', async (_, change) => {
    await using directory = await temporaryDirectory();
    const { path, file } = await proposed(directory.path);
    await writeFile(path, change(file));
    await expect(readChange(path)).rejects.toMatchObject({ code: 'change-unreadable' });
  });

  it('is not signed by a key that has no part in it, and a signature that is not right does not count', async () => {
    await using directory = await temporaryDirectory();
    const { path } = await proposed(directory.path);
    const change = await readChange(path);
    const operator = await pairAt(keyFile(directory.path, 'operator'));
    expect(() => signChange(change, [operator])).toThrow(expect.objectContaining({ code: 'key-unknown' }));
    const { publicKey } = await pairAt(keyFile(directory.path, 'root-1'));
    const { nextRoot } = await readChange(path);
    if (nextRoot === null) throw new Error('there is a new root');
    const unsigned = z.object({ signed: z.unknown() }).parse(JSON.parse(nextRoot.toString()));
    const bare = Buffer.from(JSON.stringify({ ...unsigned, signatures: [] }));
    // A signature of a stranger, under the id of a root key.
    const forged = addSignatures('root', bare, [{ ...generateKeyPair(), publicKey }]);
    expect(quorumsOf(openChange({ ...change, nextRoot: forged })).map(({ signed }) => signed)).toEqual([[], []]);
  });
});

describe('a release whose targets key is elsewhere', () => {
  it('waits in a file for its signature, is put in place, and is there when it is released again', async () => {
    await using directory = await temporaryDirectory();
    const dir = join(directory.path, 'repository');
    const repository = await openAt(dir);
    const key = await moveKey(dir, 'targets', join(directory.path, 'other'));
    const release = { component: 'app', version: '1.0.0', manifest: Buffer.from('{}') };
    await expect(addRelease(repository, release)).rejects.toMatchObject({ code: 'signatures-missing' });
    const path = join(dir, 'targets-2.change.json');
    await expect(addRelease(repository, release)).rejects.toMatchObject({ code: 'change-waiting' });
    const carried = join(directory.path, 'other', 'carried.json');
    await copyFile(path, carried);
    const change = await readChange(carried);
    expect(describeChange(change)).toContainEqual(expect.stringMatching(/^ {2}releases app-1\.0\.0\.manifest\.json/));
    await writeChange(path, signChange(change, [await pairAt(key)]));
    await applyChange(dir, await readChange(path));
    const { targets } = await addRelease(repository, release);
    expect(targets).toEqual(await readFile(targetsPath(dir)));
    await expect(revokeRelease(repository, 'app', '1.0.0')).rejects.toMatchObject({ code: 'signatures-missing' });
    expect(describeChange(await readChange(join(dir, 'targets-3.change.json')))).toContainEqual(
      '  revokes app-1.0.0.manifest.json',
    );
  });
});
