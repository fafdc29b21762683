import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { archiveEnd, archiveHeader, archivePadding } from '../../image/archive.ts';
import { buildBundle, type RuntimeSource } from '../../image/bundle.ts';
import { addRelease, type Repository, revokeRelease } from '../../image/repository.ts';
import type { Component } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { type Layout, layoutOf } from '../../protocol/layout.ts';
import { bundleName, type ManifestInput } from '../../protocol/manifest.ts';
import { generateKeyPair } from '../../protocol/trust/ed25519.ts';
import { makeSnapshot, makeTimestamp } from '../../protocol/trust/tuf-sign.ts';
import { newRepository } from './new-repository.ts';

/** When everything of a fixture is signed. */
export const fixtureNow = new Date('2026-06-01T00:00:00Z');
const fixtureExpires = new Date('2027-01-01T00:00:00Z');

export interface ReleaseInput {
  readonly version: string;
  readonly component?: Component;
  readonly files?: Readonly<Record<string, Buffer>>;
  /** For an app, else one of a few bytes. */
  readonly runtime?: Readonly<Record<string, Buffer>>;
  /** For a release of the operating system: what its device will hold. */
  readonly image?: Buffer;
  /** Earlier releases that patches are made against. */
  readonly bases?: readonly { readonly path: string }[];
  readonly securityVersion?: number;
  readonly compatibility?: Partial<ManifestInput['compatibility']>;
}

export interface BuiltRelease {
  readonly component: Component;
  readonly version: string;
  readonly path: string;
  readonly manifest: Digest;
}

/** A release operator with a directory: real keys, real metadata, real bundles; and what a server would serve of it. */
export interface ReleaseFixture extends Disposable {
  readonly repository: Repository;
  /** Serve this as `/releases/`. */
  readonly servedDir: string;
  readonly root: Buffer;
  build(input: ReleaseInput): Promise<BuiltRelease>;
  /** A signed bundle around any manifest, for what no builder makes. */
  buildRaw(name: { component: string; version: string }, manifest: Buffer, chunks: Buffer): Promise<string>;
  revoke(release: BuiltRelease): Promise<void>;
  /** Signs snapshot and timestamp for what is released now, and puts all of it where it is served. */
  publish(releases: readonly BuiltRelease[], dates?: { expires?: Date; issuedAt?: Date }): void;
}

/** The same bytes for the same seed; they do not compress. */
export function noise(seed: string, length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, index) =>
    createHash('sha256').update(`${seed} ${index}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

export const smallProgram = (version: string): Record<string, Buffer> => ({
  'main.js': Buffer.from(`process.stdout.write(${JSON.stringify(version)});\n`),
  'lib/deep/addon.node': noise('addon', 900_000),
  'lib/table.json': Buffer.from('[1,2,3]'),
  empty: Buffer.alloc(0),
});

const smallRuntime = { 'bin/node': Buffer.from('#!/bin/false\n') };

/** @param answer the server's answer key that targets name; without it, one that nobody has */
export async function makeReleaseFixture(answer = generateKeyPair().publicKey): Promise<ReleaseFixture> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-release-'));
  const servedDir = join(directory, 'served');
  for (const name of ['metadata', 'bundles']) mkdirSync(join(servedDir, name), { recursive: true });
  const online = { snapshot: generateKeyPair(), timestamp: generateKeyPair() };
  const serverKeys = {
    answer,
    snapshot: online.snapshot.publicKey,
    timestamp: online.timestamp.publicKey,
  };
  const repository = await newRepository({ dir: join(directory, 'repository'), serverKeys, now: () => fixtureNow });
  const metadata = (name: string) => readFileSync(join(repository.dir, 'metadata', name));
  let version = 0;
  return {
    repository,
    servedDir,
    root: metadata('1.root.json'),
    build: (input) => build(repository, directory, input),
    buildRaw: async ({ component, version: named }, manifest, chunks) => {
      const { roots, targets } = await addRelease(repository, { component, version: named, manifest });
      const path = join(directory, `raw-${sha256(manifest).slice(0, 8)}.hfb`);
      const named1 = roots.map((bytes, index) => [`metadata/${index + 1}.root.json`, bytes] as const);
      writeFileSync(
        path,
        archive([
          ...named1,
          ['metadata/targets.json', targets],
          ['manifest.json.zst', zstdCompressSync(manifest)],
          ['chunks', chunks],
        ]),
      );
      return path;
    },
    revoke: async (release) => {
      await revokeRelease(repository, release.component, release.version);
    },
    publish: (releases, dates = {}) => {
      version += 1;
      const expires = dates.expires ?? fixtureExpires;
      const targets = metadata('targets.json');
      const targetsVersion = Number(JSON.parse(targets.toString('utf8')).signed.version);
      const snapshot = makeSnapshot({ version, expires, targets: { version: targetsVersion, bytes: targets } }, [
        online.snapshot,
      ]);
      const issuedAt = Math.floor((dates.issuedAt ?? fixtureNow).getTime() / 1000) + version;
      const timestamp = makeTimestamp({ version, expires, issuedAt, snapshot: { version, bytes: snapshot } }, [
        online.timestamp,
      ]);
      const place = (name: string, bytes: Buffer) => writeFileSync(join(servedDir, 'metadata', name), bytes);
      place('1.root.json', metadata('1.root.json'));
      place(`${targetsVersion}.targets.json`, targets);
      place(`${version}.snapshot.json`, snapshot);
      place('timestamp.json', timestamp);
      for (const { path } of releases) copyFileSync(path, join(servedDir, 'bundles', basename(path)));
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A tar of these entries, in this order. */
export function archive(entries: readonly (readonly [string, Buffer])[]): Buffer {
  const parts = entries.flatMap(([name, bytes]) => [
    archiveHeader(name, bytes.length),
    bytes,
    archivePadding(bytes.length),
  ]);
  return Buffer.concat([...parts, archiveEnd]);
}

async function build(repository: Repository, directory: string, input: ReleaseInput): Promise<BuiltRelease> {
  const component = input.component ?? 'app';
  const payloadDir = mkdtempSync(join(directory, 'payload-'));
  const runtimeDir = mkdtempSync(join(directory, 'runtime-'));
  writeTree(payloadDir, input.files ?? smallProgram(input.version));
  const runtime = input.runtime ?? (component === 'app' ? smallRuntime : undefined);
  writeTree(runtimeDir, runtime ?? {});
  const imageFile = join(payloadDir, 'image');
  if (input.image !== undefined) writeFileSync(imageFile, input.image);
  const outDir = join(directory, 'bundles');
  const bundle = await buildBundle({
    payload:
      input.image === undefined
        ? { kind: 'tree', dir: payloadDir, entry: 'main.js', runtime: runtimeOf(runtime, runtimeDir) }
        : { kind: 'image', file: imageFile },
    component,
    version: input.version,
    securityVersion: input.securityVersion ?? 0,
    compatibility: { state: { reads: { min: 0, max: 1 }, writes: 1 }, ...input.compatibility },
    stateBytesMax: 1024 * 1024,
    source: { commit: 'fixture', builtBy: 'test' },
    sbom: sha256('no sbom'),
    bases: (input.bases ?? []).map(({ path }) => path),
    repository,
    outDir,
  });
  return {
    component,
    version: input.version,
    path: join(outDir, bundleName(component, input.version)),
    manifest: bundle.manifest,
  };
}

function runtimeOf(files: ReleaseInput['runtime'], dir: string): RuntimeSource | null {
  if (files === undefined) return null;
  const sources = Object.keys(files).map((path) => ({
    path,
    source: join(dir, path),
    executable: path.startsWith('bin/'),
  }));
  return { name: 'node', entry: 'bin/node', files: sources };
}

function writeTree(directory: string, files: Readonly<Record<string, Buffer>>): void {
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), bytes);
  }
}

/** The data partition of an appliance that has not been set up: only its directories. */
export function makeAppliance(): { layout: Layout } & Disposable {
  const layout = layoutOf(mkdtempSync(join(tmpdir(), 'holdfast-appliance-')));
  for (const path of [layout.updater, layout.slots, layout.runtimes]) mkdirSync(path, { recursive: true });
  return { layout, [Symbol.dispose]: () => rmSync(layout.root, { recursive: true, force: true }) };
}
