import { join } from 'node:path';
import { archiveEnd, archiveHeader, archivePadding } from '../archive.ts';
import { replaceFile } from '../durable.ts';
import type { OfflineMetadata } from '../repository-metadata.ts';

/**
 * Writes `metadata.hfb`: the beginning of every bundle, without a release behind it. The server takes it like a bundle,
 * so that a revocation or a change of keys need not wait for a build.
 * @returns its path
 */
export async function writeMetadataBundle(dir: string, { roots, targets }: OfflineMetadata): Promise<string> {
  const path = join(dir, 'metadata.hfb');
  const entry = (name: string, bytes: Buffer) => [
    archiveHeader(name, bytes.length),
    bytes,
    archivePadding(bytes.length),
  ];
  const parts = roots.flatMap((bytes, index) => entry(`metadata/${index + 1}.root.json`, bytes));
  await replaceFile(path, Buffer.concat([...parts, ...entry('metadata/targets.json', targets), archiveEnd]));
  return path;
}
