import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { componentShape } from '../../protocol/component.ts';
import { digestShape } from '../../protocol/digest.ts';

/**
 * What a backup holds: the database, the server's keys, and its metadata. It holds no bundles: they are signed, and are
 * published again from wherever they are.
 */
export const backupDirectories = ['keys', 'releases/metadata', 'releases/targets'] as const;
export const backupFiles = ['server.db', 'public-keys.json'] as const;
export const contentsName = 'backup.json';

export const contentsShape = z.object({
  v: z.literal(1),
  madeAtMs: z.int().min(0),
  /** The version of the server that made it. */
  version: z.string(),
  epoch: z.string(),
  /** Digest of each file, by its path. */
  files: z.record(z.string(), digestShape),
  releases: z.array(
    z.object({ component: componentShape, version: z.string(), manifest: z.string(), bundleSha256: z.string() }),
  ),
});
export type BackupContents = z.infer<typeof contentsShape>;

const [directories, files] = [backupDirectories.join('|'), backupFiles.join('|')].map((text) => {
  return text.replaceAll('.', '\\.');
});
const pathPattern = new RegExp(`^(${files}|(${directories})/[A-Za-z0-9][A-Za-z0-9._-]{0,199})$`);

/** Can a file of this path be in a backup? */
export function isBackupPath(path: string): boolean {
  return path === contentsName || pathPattern.test(path);
}

/** Every file of a backup below `root`; other files in these directories are left out. */
export async function backupPathsBelow(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const directory of ['.', ...backupDirectories]) {
    const entries = await readdir(join(root, directory), { withFileTypes: true });
    for (const entry of entries) {
      const path = directory === '.' ? entry.name : `${directory}/${entry.name}`;
      if (entry.isFile() && path !== contentsName && isBackupPath(path) && !path.endsWith('.tmp')) found.push(path);
    }
  }
  return found.sort((a, b) => (a < b ? -1 : 1));
}

export async function fileDigest(path: string): Promise<string> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(path), digest);
  return digest.digest('hex');
}
