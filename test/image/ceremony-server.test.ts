import { copyFile, cp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { applyChange } from '../../image/ceremony/apply-change.ts';
import { readChange } from '../../image/ceremony/change.ts';
import { writeMetadataBundle } from '../../image/ceremony/metadata-bundle.ts';
import { rotateKeys } from '../../image/ceremony/rotate-keys.ts';
import type { RotatedRole } from '../../image/ceremony/rotation.ts';
import { showKeys } from '../../image/ceremony/show-keys.ts';
import { lookAtKey } from '../../image/keys/key-file.ts';
import { noPassphrase } from '../../image/keys/passphrase.ts';
import { openRepository, revokeRelease } from '../../image/repository.ts';
import { readServerKeys } from '../../image/repository-keys.ts';
import { sha256 } from '../../protocol/digest.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import { findTarget, holdfastFields } from '../../protocol/trust/tuf-targets.ts';
import { realFiles } from '../../updater/effects/files.ts';
import { makeHttp } from '../../updater/effects/http.ts';
import { refreshMetadata } from '../../updater/release/refresh-metadata.ts';
import { installFirstRoot } from '../../updater/trust/trust-store.ts';
import { makeAppliance } from '../support/bundle-fixture.ts';
import { treeDigest } from '../support/hostile/tree-digest.ts';
import { newRepository } from '../support/new-repository.ts';
import { TestServer } from '../support/test-server.ts';

const roles = ['root', 'targets', 'snapshot', 'timestamp', 'answer', 'operator'] as const;

/** What an appliance trusts that began with the first root. */
function applianceOf(bench: TestServer, firstRoot: Buffer) {
  const appliance = makeAppliance();
  const place = { files: realFiles, layout: appliance.layout };
  installFirstRoot(place, firstRoot, sha256(firstRoot));
  return {
    refresh: (): Promise<Trusted> => refreshMetadata(place, makeHttp(), `${bench.url}/releases`),
    [Symbol.dispose]: () => appliance[Symbol.dispose](),
  };
}

const serverKeysOf = (bench: TestServer) => readServerKeys(join(bench.data, 'public-keys.json'));

/** The repository as whoever has the server's newest key file opens it. */
async function repositoryOf(bench: TestServer) {
  const { dir, now } = await bench.repository();
  return newRepository({ dir, now, serverKeys: await serverKeysOf(bench) });
}

/** From proposal to publication. */
async function rotate(bench: TestServer, role: RotatedRole, remove: readonly string[] = []): Promise<void> {
  const { dir, now } = await bench.repository();
  const { path } = await rotateKeys({
    dir,
    role,
    remove,
    add: [],
    isNew: remove.length > 0,
    threshold: null,
    serverKeys: await serverKeysOf(bench),
    out: null,
    passphrases: noPassphrase,
    newPassphrase: async () => null,
    isDry: false,
    now: now(),
  });
  const { metadata } = await applyChange(dir, await readChange(path));
  const answer = await bench.upload(await writeMetadataBundle(dir, metadata));
  expect([role, answer.status, answer.body]).toMatchObject([role, 201, { outcome: 'published', release: null }]);
}

async function rotateAny(bench: TestServer, role: RotatedRole): Promise<void> {
  const { dir } = await bench.repository();
  const { publicKey } = await lookAtKey(join(dir, 'keys', 'root-1.pem'));
  return rotate(bench, role, role === 'root' ? [tufKeyId(publicKey ?? '')] : []);
}

const keysNow = async (bench: TestServer, role: RotatedRole) => {
  const { roles: shown } = await showKeys((await bench.repository()).dir);
  return shown.find((one) => one.role === role)?.keys.map(({ key }) => key) ?? [];
};

describe('a fleet whose keys are replaced', () => {
  it('follows every role in turn, and who began with the first root gets the newest release after each', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.0');
    const { dir } = await bench.repository();
    const firstRoot = await readFile(join(dir, 'metadata', '1.root.json'));
    using daily = applianceOf(bench, firstRoot);
    await daily.refresh();
    for (const [index, role] of roles.entries()) {
      const before = await keysNow(bench, role);
      await rotateAny(bench, role);
      expect(await keysNow(bench, role), role).not.toEqual(before);
      const version = `1.0.${index + 1}`;
      const built = await bench.build(version, 'app', await repositoryOf(bench));
      expect((await bench.upload(built.path)).status, role).toBe(201);
      using late = applianceOf(bench, firstRoot);
      for (const appliance of [daily, late]) {
        const trusted = await appliance.refresh();
        expect(findTarget(trusted, `app-${version}.manifest.json`).sha256, role).toBe(built.manifest);
        expect(holdfastFields(trusted).answerKeys, role).toEqual(await keysNow(bench, 'answer'));
      }
    }
    const root = (await showKeys(dir)).root.version;
    expect(root).toBe(5);
    await bench.stop();
    await bench.run();
    expect((await daily.refresh()).root.version).toBe(root);
  });

  it('has a server that goes over to its next key, keeps another one ready, and tells the operator', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.0');
    const before = await serverKeysOf(bench);
    await rotate(bench, 'answer');
    await rotate(bench, 'timestamp');
    const after = await serverKeysOf(bench);
    expect([after.answer, after.timestamp]).toEqual([before.next?.answer, before.next?.timestamp]);
    expect(after.snapshot).toBe(before.snapshot);
    expect(Object.values(after.next ?? {})).not.toContain(after.answer);
    const client = await bench.appliance('alpha');
    expect((await client.checkIn('updater')).etag).toEqual(expect.any(String));
    // Rotated again with the key file of then: nobody would hold that key.
    await rotate(bench, 'timestamp');
    const stale = await bench.repository();
    await expect(openRepository(stale)).rejects.toMatchObject({ code: 'server-keys-changed' });
  });

  it('signs answers with the old key as long as targets name both, so that nobody is left behind', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.0');
    const { dir, now } = await bench.repository();
    const before = await serverKeysOf(bench);
    const { path } = await rotateKeys({
      ...{ dir, role: 'answer', remove: [], add: [], isNew: true, threshold: null, serverKeys: before, out: null },
      ...{ passphrases: noPassphrase, newPassphrase: async () => null, isDry: false, now: now() },
    });
    const { metadata } = await applyChange(dir, await readChange(path));
    expect((await bench.upload(await writeMetadataBundle(dir, metadata))).status).toBe(201);
    expect((await serverKeysOf(bench)).answer).toBe(before.answer);
    await rotate(bench, 'answer', [tufKeyId(before.answer)]);
    expect((await serverKeysOf(bench)).answer).toBe(before.next?.answer);
  });

  it.each(['timestamp', 'snapshot', 'targets'] as const)(
    'is served again when the power failed between the new root and what the new %s key signs',
    async (role) => {
      await using bench = await TestServer.start();
      await bench.publish('1.0.0');
      const { dir } = await bench.repository();
      using appliance = applianceOf(bench, await readFile(join(dir, 'metadata', '1.root.json')));
      await appliance.refresh();
      const metadata = join(bench.data, 'releases', 'metadata');
      const saved = join(bench.directory, 'saved');
      await cp(join(bench.data, 'keys'), join(saved, 'keys'), { recursive: true });
      await copyFile(join(metadata, 'timestamp.json'), join(saved, 'timestamp.json'));
      const names = await readdir(metadata);
      await rotate(bench, role);
      await bench.stop();
      // Back to what the disk held then: the new root and targets, and else nothing new.
      for (const name of await readdir(metadata)) {
        if (!names.includes(name) && name.endsWith('snapshot.json')) await rm(join(metadata, name));
      }
      await copyFile(join(saved, 'timestamp.json'), join(metadata, 'timestamp.json'));
      await rm(join(bench.data, 'keys'), { recursive: true });
      await cp(join(saved, 'keys'), join(bench.data, 'keys'), { recursive: true });
      await bench.run();
      const trusted = await appliance.refresh();
      expect(trusted.root.version).toBe(2);
      expect(findTarget(trusted, 'app-1.0.0.manifest.json')).toBeDefined();
      if (role !== 'targets') expect((await serverKeysOf(bench))[role]).toBe((await keysNow(bench, role))[0]);
    },
  );
});

const bodyShape = z.object({ outcome: z.string(), run: z.string(), withdrawn: z.array(z.string()) });

describe('a revocation', () => {
  it('reaches server and appliances without a new release; a dry run before it changes nothing', async () => {
    await using bench = await TestServer.start();
    await bench.publish('1.0.0');
    await bench.publish('1.0.1');
    const repository = await bench.repository();
    using appliance = applianceOf(bench, await readFile(join(repository.dir, 'metadata', '1.root.json')));
    expect(findTarget(await appliance.refresh(), 'app-1.0.1.manifest.json')).toBeDefined();
    const path = await writeMetadataBundle(repository.dir, await revokeRelease(repository, 'app', '1.0.1'));
    const shelf = join(bench.data, 'releases');
    const before = treeDigest(shelf);
    const dry = await bench.upload(path, 'dry');
    expect([dry.status, bodyShape.parse(dry.body)]).toEqual([
      200,
      { outcome: 'published', run: 'dry', withdrawn: ['app 1.0.1'] },
    ]);
    expect(treeDigest(shelf)).toEqual(before);
    expect((await bench.upload(path)).status).toBe(201);
    const trusted = await appliance.refresh();
    expect(() => findTarget(trusted, 'app-1.0.1.manifest.json')).toThrow(
      expect.objectContaining({ code: 'tuf-target-unknown' }),
    );
    const again = await bench.upload(path);
    expect([again.status, bodyShape.parse(again.body)]).toEqual([
      200,
      { outcome: 'unchanged', run: 'real', withdrawn: [] },
    ]);
  });
});
