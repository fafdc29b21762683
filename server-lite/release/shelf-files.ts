import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, rmSync, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../../protocol/digest.ts';
import type { ReleaseRow } from '../store/releases.ts';

/** The size of a file; null: there is none, or something else stands in its place. */
export function sizeOf(path: string): number | null {
  const facts = statSync(path, { throwIfNoEntry: false });
  return facts?.isFile() === true ? facts.size : null;
}

export function holds(path: string, bytes: Buffer): boolean {
  return sizeOf(path) === bytes.length && readFileSync(path).equals(bytes);
}

/** The bundle that was published, byte by byte. */
export async function isWhole(path: string, row: Pick<ReleaseRow, 'bundle_bytes' | 'bundle_sha256'>): Promise<boolean> {
  return sizeOf(path) === row.bundle_bytes && (await digestOf(path)) === row.bundle_sha256;
}

/** Where a file belongs, a directory is nothing of ours, and would be in its way for ever. */
export function removeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) rmSync(path, { recursive: true });
}

export async function digestOf(path: string): Promise<Digest> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(path), digest);
  return digest.digest('hex');
}
