import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { zstdCompressSync } from 'node:zlib';
import { realFiles } from '../../updater/effects/files.ts';
import { fileSource } from '../../updater/release/byte-source.ts';
import { openBundle } from '../../updater/release/open-bundle.ts';
import { archive } from './bundle-fixture.ts';

/** A bundle's manifest and chunks, to be carried with other metadata than they were built with. */
export interface Unwrapped {
  readonly manifest: Buffer;
  readonly chunks: Buffer;
}

export async function unwrapped(path: string): Promise<Unwrapped> {
  const { source, manifestBytes, chunks } = await openBundle(fileSource(realFiles, path));
  source.close();
  const bytes = Buffer.alloc(chunks.size);
  const handle = openSync(path, 'r');
  readSync(handle, bytes, 0, chunks.size, chunks.position);
  closeSync(handle);
  return { manifest: manifestBytes, chunks: bytes };
}

/** @param roots by version */
export function wrap(
  path: string,
  { manifest, chunks }: Unwrapped,
  roots: readonly (readonly [version: number, bytes: Buffer])[],
  targets: Buffer,
): string {
  const carried = roots.map(([version, bytes]) => [`metadata/${version}.root.json`, bytes] as const);
  const rest = [
    ['metadata/targets.json', targets],
    ['manifest.json.zst', zstdCompressSync(manifest)],
    ['chunks', chunks],
  ] as const;
  writeFileSync(path, archive([...carried, ...rest]));
  return path;
}
