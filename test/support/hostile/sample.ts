import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { addRelease, type Repository } from '../../../image/repository.ts';
import { sha256 } from '../../../protocol/digest.ts';
import type { ManifestInput } from '../../../protocol/manifest.ts';
import { type LinkEntry, treeDigestInput } from '../../../protocol/payload.ts';
import { archive } from '../bundle-fixture.ts';

/** What the small release consists of. No two have the same program: what is installed already is not fetched. */
export const programOf = (version: string): Buffer => Buffer.from(`export const version = '${version}';\n`);
const tool = Buffer.from('#!/bin/false\n');

/** A manifest and the frames of its chunks. */
export interface Sample {
  readonly manifest: Sampled;
  readonly chunks: Buffer;
}

/** With its links, so that a case changes what it is about and nothing else. */
export type Sampled = Omit<ManifestInput, 'links'> & { readonly links: readonly LinkEntry[] };

function chunkOf(raw: Buffer, frame: Buffer, offset: number): ManifestInput['chunks'][number] {
  return { sha256: sha256(raw), size: raw.length, offset, stored: frame.length };
}

/** A small release that is right in every way: two files, one of them executable, a link, and a runtime of the same bytes. */
export function sampleRelease(version: string): Sample {
  const program = programOf(version);
  const frames = [program, tool].map((raw) => zstdCompressSync(raw));
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = frames;
  const node = { path: 'bin/node', executable: true, size: tool.length, sha256: sha256(tool), chunks: [1] };
  const manifest: Sampled = {
    format: 1,
    critical: [],
    component: 'app',
    version,
    securityVersion: 0,
    entry: 'main.js',
    runtime: { digest: sha256(treeDigestInput([node])), name: 'node', entry: 'bin/node', files: [node] },
    files: [
      { path: 'main.js', executable: false, size: program.length, sha256: sha256(program), chunks: [0] },
      { path: 'lib/tool', executable: true, size: tool.length, sha256: sha256(tool), chunks: [1] },
    ],
    links: [{ path: 'bin/tool', target: '../lib/tool' }],
    image: null,
    chunks: [chunkOf(program, first, 0), chunkOf(tool, second, first.length)],
    bases: [],
    compatibility: { hardware: [], state: { reads: { min: 0, max: 1 }, writes: 1 } },
    stateBytesMax: 0,
    source: { commit: '', builtBy: '' },
    sbom: sha256(''),
  };
  return { manifest, chunks: Buffer.concat(frames) };
}

/** The parts of a bundle, as a case may change them. */
export interface BundleParts {
  readonly roots: readonly Buffer[];
  readonly targets: Buffer;
  /** What the targets vouch for. */
  readonly manifest: Buffer;
  readonly manifestFrame: Buffer;
  readonly chunks: Buffer;
  /** Frames of patches, where there are any. */
  readonly patches?: Buffer;
}

export type Entries = readonly (readonly [name: string, content: Buffer])[];

export function entriesOf({ roots, targets, manifestFrame, chunks, patches }: Omit<BundleParts, 'manifest'>): Entries {
  return [
    ...roots.map((bytes, index) => [`metadata/${index + 1}.root.json`, bytes] as const),
    ['metadata/targets.json', targets],
    ['manifest.json.zst', manifestFrame],
    ...(patches === undefined ? [] : [['patches', patches] as const]),
    ['chunks', chunks],
  ];
}

/** Signs whatever claims to be a manifest, as a release of this version: the attacker sits where releases are signed. */
export async function signedParts(
  repository: Repository,
  version: string,
  manifest: Buffer,
  chunks: Buffer,
): Promise<BundleParts> {
  const component = manifest.includes('"component":"os"') ? 'os' : 'app';
  const { roots, targets } = await addRelease(repository, { component, version, manifest });
  return { roots, targets, manifest, manifestFrame: zstdCompressSync(manifest), chunks };
}

/** Writes a bundle of these parts. @returns its path */
export function writeBundle(directory: string, name: string, parts: BundleParts): string {
  const path = join(directory, `${name}.hfb`);
  writeFileSync(path, archive(entriesOf(parts)));
  return path;
}
