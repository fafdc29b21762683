import { createPrivateKey } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { showKeys, showKeysText } from '../../image/ceremony/show-keys.ts';
import { lookAtKey, makeKeyFile, openKey, readPublicKey } from '../../image/keys/key-file.ts';
import {
  noPassphrase,
  passphrasesFrom,
  readPassphraseFile,
  readTyped,
  requireStrong,
} from '../../image/keys/passphrase.ts';
import { addRelease, beginRepository, openRepository } from '../../image/repository.ts';
import type { ServerKeys } from '../../image/repository-keys.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { treeDigest } from '../support/hostile/tree-digest.ts';
import { checkout, nodeBinary, temporaryDirectory } from './fixture-tree.ts';

const passphrase = 'six words that nobody would guess';
const main = join(checkout, 'image', 'main.ts');

function newServerKeys(): ServerKeys {
  const three = () => ({
    answer: generateKeyPair().publicKey,
    snapshot: generateKeyPair().publicKey,
    timestamp: generateKeyPair().publicKey,
  });
  return { ...three(), next: three() };
}

function repositoryAt(dir: string) {
  return { dir, serverKeys: newServerKeys(), now: () => new Date('2026-06-01T12:00:00Z') };
}

const run = (...args: string[]) => execa(nodeBinary, [main, 'keys', ...args], { reject: false });
const release = { component: 'app', version: '1.0.0', manifest: Buffer.from('a manifest') };

describe('a key file', () => {
  it('is for its owner alone, and says beside it whose it is', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'root-4.pem');
    const made = await makeKeyFile(path, null);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readPublicKey(join(directory.path, 'root-4.public.json'))).toBe(made.publicKey);
    expect((await readdir(directory.path)).sort()).toEqual(['root-4.pem', 'root-4.public.json']);
    expect(await lookAtKey(path)).toEqual({ name: 'root-4', path, publicKey: made.publicKey, isSealed: false });
  });

  it('is never written over', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'targets.pem');
    await makeKeyFile(path, null);
    const before = treeDigest(directory.path);
    await expect(makeKeyFile(path, null)).rejects.toMatchObject({ code: 'keys-exist' });
    expect(treeDigest(directory.path)).toEqual(before);
  });

  it('opens under its passphrase only, here and for whoever reads PKCS#8', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'root-1.pem');
    const made = await makeKeyFile(path, passphrase);
    const held = await lookAtKey(path);
    expect(held).toMatchObject({ isSealed: true, publicKey: made.publicKey });
    expect((await openKey(held, async () => passphrase)).publicKey).toBe(made.publicKey);
    await expect(openKey(held, async () => `${passphrase}.`)).rejects.toMatchObject({ code: 'passphrase-wrong' });
    await expect(openKey(held, noPassphrase)).rejects.toMatchObject({ code: 'passphrase-unusable' });
    const key = createPrivateKey({ key: await readFile(path), passphrase });
    expect(key.asymmetricKeyType).toBe('ed25519');
  });

  it('refuses a pair of files that do not belong together, and a public part with a digit that was typed wrong', async () => {
    await using directory = await temporaryDirectory();
    const at = (name: string) => join(directory.path, name);
    await makeKeyFile(at('a.pem'), null);
    await makeKeyFile(at('b.pem'), null);
    await copyFile(at('a.public.json'), at('b.public.json'));
    await expect(lookAtKey(at('b.pem'))).rejects.toMatchObject({ code: 'key-unreadable' });
    const text = await readFile(at('a.public.json'), 'utf8');
    const wrong = text.replace(/"key": "(.)/, (_, digit: string) => `"key": "${digit === '0' ? '1' : '0'}`);
    await writeFile(at('a.public.json'), wrong);
    await expect(readPublicKey(at('a.public.json'))).rejects.toMatchObject({ code: 'key-unreadable' });
  });
});

describe('a passphrase', () => {
  it('comes from the first line of a file that nobody else may read', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'passphrase');
    await writeFile(path, `${passphrase}\nsomething else\n`, { mode: 0o600 });
    expect(await readPassphraseFile(path)).toBe(passphrase);
    await chmod(path, 0o640);
    await expect(passphrasesFrom(path)('a key')).rejects.toMatchObject({ code: 'passphrase-unusable' });
    await expect(readPassphraseFile(`${path}-none`)).rejects.toMatchObject({ code: 'passphrase-unusable' });
    await chmod(path, 0o600);
    await writeFile(path, '\n');
    await expect(readPassphraseFile(path)).rejects.toMatchObject({ code: 'passphrase-unusable' });
  });

  it('of a few characters is refused for new keys', () => {
    expect(() => requireStrong('short')).toThrow(expect.objectContaining({ code: 'passphrase-unusable' }));
    expect(requireStrong(passphrase)).toBe(passphrase);
  });

  it('is read from a terminal without echo, with what was rubbed out left out', async () => {
    const modes: boolean[] = [];
    const terminal = Object.assign(new PassThrough(), { setRawMode: (isRaw: boolean) => modes.push(isRaw) });
    const read = readTyped(terminal, () => undefined);
    for (const part of ['sec', 'ree', '\u007f', 't', '\r']) terminal.write(part);
    expect(await read).toBe('secret');
    expect(modes).toEqual([true, false]);
    const given = readTyped(terminal, () => undefined);
    terminal.write('half\u0003');
    await expect(given).rejects.toMatchObject({ code: 'passphrase-unusable' });
  });
});

describe('keys init', () => {
  it('makes the keys of a repository under a passphrase, and what is signed later needs it', async () => {
    await using directory = await temporaryDirectory();
    const repository = repositoryAt(join(directory.path, 'repository'));
    await beginRepository(repository, passphrase);
    const keys = join(repository.dir, 'keys');
    const pems = (await readdir(keys)).filter((name) => name.endsWith('.pem'));
    expect(pems).toEqual(['operator.pem', 'root-1.pem', 'root-2.pem', 'root-3.pem', 'targets.pem']);
    for (const name of pems) {
      expect((await stat(join(keys, name))).mode & 0o777, name).toBe(0o600);
      expect(await readFile(join(keys, name), 'utf8'), name).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
    }
    expect((await stat(keys)).mode & 0o777).toBe(0o700);
    await expect(addRelease(await openRepository(repository), release)).rejects.toMatchObject({
      code: 'passphrase-unusable',
    });
    await addRelease({ ...repository, passphrases: async () => passphrase }, release);
    expect((await showKeys(repository.dir)).targets.releases).toBe(1);
  });

  it('refuses where keys are, or where a repository has begun without them', async () => {
    await using directory = await temporaryDirectory();
    const repository = repositoryAt(directory.path);
    await beginRepository(repository, null);
    const before = treeDigest(directory.path);
    await expect(beginRepository(repository, null)).rejects.toMatchObject({ code: 'keys-exist' });
    await rename(join(directory.path, 'keys'), join(directory.path, 'elsewhere'));
    await expect(beginRepository(repository, null)).rejects.toMatchObject({ code: 'keys-exist' });
    await rename(join(directory.path, 'elsewhere'), join(directory.path, 'keys'));
    expect(treeDigest(directory.path)).toEqual(before);
  });

  it('says in a dry run what it would make, and makes nothing', async () => {
    await using directory = await temporaryDirectory();
    const serverKeys = join(directory.path, 'public-keys.json');
    await writeFile(serverKeys, JSON.stringify(newServerKeys()));
    const before = treeDigest(directory.path);
    const dir = join(directory.path, 'repository');
    const dry = await run('init', '--repository', dir, '--server-keys', serverKeys, '--dry-run', '--json');
    expect(JSON.parse(dry.stdout)).toMatchObject({
      dryRun: true,
      files: expect.arrayContaining([`${dir}/keys/root-1.pem`]),
    });
    const alone = await run('init', '--key', join(directory.path, 'root-4.pem'), '--dry-run');
    expect([alone.exitCode, alone.stdout]).toEqual([0, expect.stringContaining('would make')]);
    expect(treeDigest(directory.path)).toEqual(before);
  });
});

describe('keys show', () => {
  it('tells each role, its threshold, who holds which key, and until when it is good; and writes nothing', async () => {
    await using directory = await temporaryDirectory();
    const repository = repositoryAt(directory.path);
    await beginRepository(repository, null);
    const safe = join(directory.path, 'safe');
    await mkdir(safe);
    await rename(join(directory.path, 'keys', 'root-3.pem'), join(safe, 'root-3.pem'));
    const before = treeDigest(directory.path);
    const shown = await showKeys(directory.path);
    expect(treeDigest(directory.path)).toEqual(before);
    expect(shown.root).toEqual({ version: 1, expires: '2036-06-01T12:00:00.000Z' });
    const holders = shown.roles.map(({ role, threshold, keys }) => [role, threshold, keys.map(({ holder }) => holder)]);
    expect(holders).toEqual([
      ['root', 2, ['here', 'here', 'elsewhere']],
      ['targets', 1, ['here']],
      ['snapshot', 1, ['the server']],
      ['timestamp', 1, ['the server']],
      ['answer', 1, ['the server']],
      ['operator', 1, ['here']],
    ]);
    expect(showKeysText(shown)).toContain('root       2 of 3 must sign');
  });

  it('says how to begin where there is nothing', async () => {
    await using directory = await temporaryDirectory();
    const shown = await run('show', '--repository', directory.path);
    expect([shown.exitCode, shown.stderr]).toEqual([
      1,
      expect.stringContaining(
        '(repository-empty)\nwhat to do: check the name; a new repository begins with: keys init',
      ),
    ]);
    expect(await readdir(directory.path)).toEqual([]);
  });
});
