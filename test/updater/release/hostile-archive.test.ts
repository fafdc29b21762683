import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../../protocol/digest.ts';
import { bundleName } from '../../../protocol/manifest.ts';
import type { BuiltRelease } from '../../support/bundle-fixture.ts';
import { archiveCases } from '../../support/hostile/archive-cases.ts';
import { type BundleParts, sampleRelease, writeBundle } from '../../support/hostile/sample.ts';
import { type ReleaseServer, startReleaseServer } from '../../support/release-server.ts';
import { type HostileScene, makeHostileScene } from './hostile-scene.ts';
import { fromFile, fromServer } from './install.ts';

const version = '2.0.0';
let scene: HostileScene;
let parts: BundleParts;
let server: ReleaseServer;
let release: BuiltRelease;

beforeAll(async () => {
  scene = await makeHostileScene();
  const { manifest, chunks } = sampleRelease(version);
  const bytes = Buffer.from(JSON.stringify(manifest));
  parts = await scene.sign(version, bytes, chunks);
  const path = writeBundle(scene.bundles, bundleName('app', version), parts).replace(/\.hfb$/, '');
  release = { component: 'app', version, path, manifest: sha256(bytes) };
  await scene.install();
  scene.fixture.publish([]);
  server = await startReleaseServer(scene.fixture.servedDir);
  // So that what the server's metadata adds to the trust is there before anything is compared.
  writeFileSync(join(scene.fixture.servedDir, 'bundles', bundleName('app', version)), Buffer.alloc(0));
  await fromServer(scene.layout, server.base, release).then(
    () => expect.unreachable('an empty file is no bundle'),
    () => undefined,
  );
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  scene[Symbol.dispose]();
});

describe('a file that is nearly a bundle', () => {
  it('is one when nothing of it is changed', async () => {
    await scene.attempt(() => fromFile(scene.layout, join(scene.bundles, `${bundleName('app', version)}.hfb`)));
  });

  it.each(archiveCases)('is refused with $name', async ({ make, code }) => {
    const path = join(scene.bundles, 'odd.hfb');
    writeFileSync(path, make(parts));
    await scene.expectRefused(code, () => fromFile(scene.layout, path));
  });

  // Of a file without a byte nobody can send a range.
  const overHttp = archiveCases.filter(({ name }) => name !== 'no bytes');
  it.each(overHttp)('is refused with $name when a server sends it', async ({ make, code }) => {
    writeFileSync(join(scene.fixture.servedDir, 'bundles', bundleName('app', version)), make(parts));
    await scene.expectRefused(code, () => fromServer(scene.layout, server.base, release));
  });
});

describe('a name that is not that of a file', () => {
  const kinds: readonly (readonly [string, (path: string) => unknown])[] = [
    ['nothing', () => undefined],
    ['a directory', (path) => mkdirSync(path)],
    ['a FIFO that nobody writes to', (path) => execFileSync('mkfifo', [path])],
    ['a link to a good bundle', (path) => symlinkSync(join(scene.bundles, '9.0.1.hfb'), path)],
    ['a link to itself', (path) => symlinkSync(path, path)],
    ['a socket', (path) => new Promise<void>((resolve) => createServer().listen(path, resolve).unref())],
    ['a device without an end', (path) => path],
  ];

  it.each(kinds)('is refused: %s', async (name, make) => {
    const path = join(scene.bundles, name.replaceAll(' ', '-'));
    await make(path);
    const named = name === 'a device without an end' ? '/dev/zero' : path;
    await scene.expectRefused('no-file', () => fromFile(scene.layout, named));
  });

  it('is refused: a name with NUL', async () => {
    await scene.expectRefused('no-file', () => fromFile(scene.layout, join(scene.bundles, '9.0.1.hfb\0.txt')));
  });
});
