import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, sha256 } from '../../../protocol/digest.ts';

/** One line for everything below a directory: name, kind, mode, content or target. Names in `except` are left out. */
function linesOf(directory: string, except: ReadonlySet<string>, below = ''): string[] {
  return readdirSync(join(directory, below))
    .sort()
    .flatMap((name) => {
      const path = below === '' ? name : `${below}/${name}`;
      if (except.has(path)) return [];
      const stats = lstatSync(join(directory, path));
      const line = (what: string) => `${path} ${(stats.mode & 0o7777).toString(8)} ${what}`;
      if (stats.isDirectory()) return [line('directory'), ...linesOf(directory, except, path)];
      if (stats.isSymbolicLink()) return [line(`-> ${readlinkSync(join(directory, path))}`)];
      return [line(stats.isFile() ? sha256(readFileSync(join(directory, path))) : 'other')];
    });
}

/** Tells whether anything below a directory was made, changed or removed. */
export function treeDigest(directory: string, except: readonly string[] = []): Digest {
  return sha256(linesOf(directory, new Set(except)).join('\n'));
}
