import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { execa } from 'execa';
import { Header } from 'tar';
import { describe, expect, it } from 'vitest';
import { type BundleInput, buildBundle, nodeRuntime } from '../../image/bundle.ts';
import { securityVersionStepMax } from '../../protocol/bounded-step.ts';
import { sha256 } from '../../protocol/digest.ts';
import { type Manifest, manifestShape } from '../../protocol/manifest.ts';
import { type FileEntry, treeDigestInput } from '../../protocol/payload.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { trustRoot, updateTargetsFromFile } from '../../protocol/trust/tuf.ts';
import { findTarget, verifyTarget } from '../../protocol/trust/tuf-targets.ts';
import { newRepository } from '../support/new-repository.ts';
import { temporaryDirectory, writeTree } from './fixture-tree.ts';

const serverKeys = {
  answer: generateKeyPair().publicKey,
  snapshot: generateKeyPair().publicKey,
  timestamp: generateKeyPair().publicKey,
};

function noise(length: number): Buffer {
  return Buffer.concat(Array.from({ length: length / 32 }, (_, i) => createHash('sha256').update(`${i}`).digest()));
}
const large = noise(3_200_000);

async function inputIn(directory: string, changes: Partial<BundleInput> = {}): Promise<BundleInput> {
  const payloadDir = join(directory, 'payload');
  await writeTree(payloadDir, {
    'main.js': 'console.log(1)',
    'parts/large.bin': large,
    'parts/twin.bin': large,
    empty: '',
    'bin/tool': '#!/bin/sh\n',
  });
  await chmod(join(payloadDir, 'bin', 'tool'), 0o750);
  await writeTree(directory, { node: Buffer.concat([large.subarray(0, 2_000_000), Buffer.from('a small node')]) });
  const repository = await newRepository({
    dir: join(directory, 'repository'),
    serverKeys,
    now: () => new Date('2026-06-01T12:00:00Z'),
  });
  return {
    payload: {
      kind: 'tree',
      dir: payloadDir,
      entry: 'main.js',
      runtime: nodeRuntime(join(directory, 'node')),
    },
    component: 'app',
    version: '1.0.49',
    securityVersion: 1,
    compatibility: { state: { reads: { min: 0, max: 1 }, writes: 1 } },
    stateBytesMax: 1_000,
    source: { commit: 'abc', builtBy: 'a test' },
    sbom: sha256('sbom'),
    repository,
    outDir: join(directory, 'out'),
    ...changes,
  };
}

/** The archive's entries by name, read as the format says. */
function entriesOf(archive: Buffer): Map<string, Buffer> {
  const entries = new Map<string, Buffer>();
  for (let at = 0; ; ) {
    const header = new Header(archive, at);
    if (header.nullBlock) return entries;
    expect(header.cksumValid).toBe(true);
    expect([header.type, header.uid, header.gid, header.mtime?.getTime()]).toEqual(['File', 0, 0, 0]);
    const size = header.size ?? 0;
    entries.set(String(header.path), archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

function contentOf(file: FileEntry, manifest: Manifest, chunks: Buffer): Buffer {
  const parts = file.chunks.map((index) => {
    const chunk = manifest.chunks[index];
    if (chunk === undefined) throw new Error('no such chunk');
    const raw = zstdDecompressSync(chunks.subarray(chunk.offset, chunk.offset + chunk.stored));
    expect([raw.length, sha256(raw)]).toEqual([chunk.size, chunk.sha256]);
    return raw;
  });
  return Buffer.concat(parts);
}

describe('a bundle', () => {
  it('holds metadata, manifest and chunks in this order, and they make the payload and the runtime again', async () => {
    await using directory = await temporaryDirectory();
    const input = await inputIn(directory.path);
    const bundle = await buildBundle(input);
    const archive = await readFile(bundle.path);
    expect(archive.length).toBe(bundle.bytes);
    const entries = entriesOf(archive);
    expect([...entries.keys()]).toEqual([
      'metadata/1.root.json',
      'metadata/targets.json',
      'manifest.json.zst',
      'chunks',
    ]);
    const [root, targets, frame, chunks] = [...entries.values()] as [Buffer, Buffer, Buffer, Buffer];
    const manifestBytes = zstdDecompressSync(frame);

    const trusted = updateTargetsFromFile(trustRoot(root), targets);
    verifyTarget(findTarget(trusted, 'app-1.0.49.manifest.json'), manifestBytes);
    expect(sha256(manifestBytes)).toBe(bundle.manifest);

    const manifest = manifestShape.parse(JSON.parse(manifestBytes.toString()));
    expect(manifest.files.map(({ path, executable }) => [path, executable])).toEqual([
      ['bin/tool', true],
      ['empty', false],
      ['main.js', false],
      ['parts/large.bin', false],
      ['parts/twin.bin', false],
    ]);
    for (const file of manifest.files) {
      const content = contentOf(file, manifest, chunks);
      expect(content.equals(await readFile(join(directory.path, 'payload', file.path)))).toBe(true);
      expect(sha256(content)).toBe(file.sha256);
    }
    const runtime = manifest.runtime;
    expect(runtime?.digest).toBe(sha256(treeDigestInput(runtime?.files ?? [])));
    expect(runtime?.files.map(({ path, executable }) => [path, executable])).toEqual([['bin/node', true]]);
    const node = runtime?.files[0];
    if (node === undefined) throw new Error('no runtime');
    expect(contentOf(node, manifest, chunks).equals(await readFile(join(directory.path, 'node')))).toBe(true);
  });

  it('stores each chunk once, end to end, and shares them between files and runtime', async () => {
    await using directory = await temporaryDirectory();
    const { path } = await buildBundle(await inputIn(directory.path));
    const entries = entriesOf(await readFile(path));
    const manifest = manifestShape.parse(
      JSON.parse(String(zstdDecompressSync(entries.get('manifest.json.zst') ?? Buffer.alloc(0)))),
    );
    let end = 0;
    for (const chunk of manifest.chunks) {
      expect(chunk.offset).toBe(end);
      end += chunk.stored;
    }
    expect(end).toBe(entries.get('chunks')?.length);
    expect(new Set(manifest.chunks.map(({ sha256 }) => sha256)).size).toBe(manifest.chunks.length);
    const [big, twin] = ['parts/large.bin', 'parts/twin.bin'].map((name) =>
      manifest.files.find((f) => f.path === name),
    );
    expect(big?.chunks).toEqual(twin?.chunks);
    const shared = manifest.runtime?.files[0]?.chunks.filter((index) => big?.chunks.includes(index)) ?? [];
    expect(shared.length).toBeGreaterThan(3);
  });

  it('is the same to the byte when it is built again, and its manifest and chunks are in any directory', async () => {
    await using first = await temporaryDirectory();
    await using second = await temporaryDirectory();
    const input = await inputIn(first.path);
    const one = await buildBundle(input);
    const bytes = await readFile(one.path);
    const again = await buildBundle({ ...input, outDir: join(first.path, 'again') });
    expect(bytes.equals(await readFile(again.path))).toBe(true);
    const elsewhere = await buildBundle(await inputIn(second.path));
    expect(elsewhere.manifest).toBe(one.manifest);
    const chunks = entriesOf(bytes).get('chunks');
    expect(chunks?.equals(entriesOf(await readFile(elsewhere.path)).get('chunks') ?? Buffer.alloc(0))).toBe(true);
  });

  it('is an archive that the system can list', async () => {
    await using directory = await temporaryDirectory();
    const { path } = await buildBundle(await inputIn(directory.path));
    const { stdout } = await execa('tar', ['-tf', path]);
    expect(stdout.split('\n')).toEqual([
      'metadata/1.root.json',
      'metadata/targets.json',
      'manifest.json.zst',
      'chunks',
    ]);
  });

  it('compresses what two releases share once, and leaves no temporary file', async () => {
    await using directory = await temporaryDirectory();
    const input = await inputIn(directory.path);
    await buildBundle(input);
    const frames = join(directory.path, 'repository', 'frames', 'zstd-3');
    const before = await framesIn(frames);
    await writeTree(join(directory.path, 'payload'), { 'main.js': 'console.log(2)' });
    await buildBundle({ ...input, version: '1.0.52' });
    const after = await framesIn(frames);
    expect(after.size).toBe(before.size + 1);
    for (const [name, inode] of before) expect(after.get(name)).toBe(inode);
    expect(await readdir(input.outDir)).toEqual(['app-1.0.49.hfb', 'app-1.0.52.hfb']);
  });

  it('is not made from a payload with links, without its entry, or with a version that is none', async () => {
    await using directory = await temporaryDirectory();
    const input = await inputIn(directory.path);
    await expect(
      buildBundle({
        ...input,
        payload: { kind: 'tree', dir: join(directory.path, 'payload'), entry: 'other.js', runtime: null },
      }),
    ).rejects.toMatchObject({ code: 'payload-invalid' });
    await expect(buildBundle({ ...input, version: '1.0' })).rejects.toMatchObject({ code: 'payload-invalid' });
    await symlink('/etc/passwd', join(directory.path, 'payload', 'link'));
    await expect(buildBundle(input)).rejects.toMatchObject({ code: 'payload-invalid' });
    expect(await readdir(join(directory.path, 'repository', 'targets'))).toEqual([]);
  });

  it('is not made with a security version that appliances would refuse, unless the release before it is as high', async () => {
    await using directory = await temporaryDirectory();
    const high = await inputIn(directory.path, { securityVersion: securityVersionStepMax });
    await expect(buildBundle({ ...high, securityVersion: securityVersionStepMax + 1 })).rejects.toMatchObject({
      code: 'security-version-step',
    });
    const { path } = await buildBundle(high);
    const next = { ...high, version: '1.0.50', securityVersion: securityVersionStepMax + 1, bases: [path] };
    expect((await buildBundle(next)).path).toContain('1.0.50');
  });

  it('makes a stored frame anew that was cut short or changed between two builds', async () => {
    await using directory = await temporaryDirectory();
    const input = await inputIn(directory.path);
    const first = entriesOf(await readFile((await buildBundle(input)).path));
    const frames = join(directory.path, 'repository', 'frames', 'zstd-3');
    const [cut, changed] = await readdir(frames);
    await truncate(join(frames, String(cut)), 1);
    const bytes = await readFile(join(frames, String(changed)));
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(join(frames, String(changed)), bytes);
    const second = entriesOf(await readFile((await buildBundle({ ...input, version: '1.0.50' })).path));
    expect(second.get('chunks')?.equals(first.get('chunks') ?? Buffer.alloc(0))).toBe(true);
  });
});

async function framesIn(directory: string): Promise<Map<string, number>> {
  const inodes = new Map<string, number>();
  for (const name of await readdir(directory)) inodes.set(name, (await stat(join(directory, name))).ino);
  return inodes;
}
