import { rm } from 'node:fs/promises';
import { rootPath, targetsPath } from '../repository-metadata.ts';
import { removeKeyFile } from './key-file.ts';
import { firstKeyNames, keyPath } from './key-ring.ts';

/** What `keys init` makes, in this order. */
export function filesOfInit(dir: string): string[] {
  const keys = firstKeyNames.map((name) => keyPath(dir, name));
  return [...keys, rootPath(dir, 1), targetsPath(dir)];
}

/** Takes back what a `keys init` that failed has made: nothing was signed with its keys for anybody yet. */
export async function takeBackInit(dir: string): Promise<void> {
  for (const path of [targetsPath(dir), rootPath(dir, 1)]) await rm(path, { force: true });
  for (const name of firstKeyNames) await removeKeyFile(keyPath(dir, name));
}
