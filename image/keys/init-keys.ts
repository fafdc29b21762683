import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ImageError } from '../errors.ts';
import { openRepository, type Repository } from '../repository.ts';
import { rootPath } from '../repository-metadata.ts';
import { firstKeyNames, keyPath, makeFirstKeys, readKeyRing } from './key-ring.ts';
import { noPassphrase } from './passphrase.ts';

/** What {@link initKeys} makes, in this order. */
export function filesOfInit(dir: string): string[] {
  const keys = firstKeyNames.map((name) => keyPath(dir, name));
  return [...keys, rootPath(dir, 1), join(dir, 'metadata', 'targets.json')];
}

/** @throws ImageError `keys-exist`: a repository that has begun is never begun again */
export async function requireNoKeys(dir: string): Promise<void> {
  const [held] = await readKeyRing(dir);
  const found = held?.path ?? (existsSync(rootPath(dir, 1)) ? rootPath(dir, 1) : undefined);
  if (found === undefined) return;
  throw new ImageError(
    'keys-exist',
    `${found} is there: this repository has begun`,
    'see it with keys show, replace keys with keys rotate, or take another directory',
  );
}

/**
 * Begins a repository: three root keys of which two make a root, a key for targets, one for operators' orders.
 * @param passphrase null: the keys are protected by nothing but the mode of their files
 * @throws ImageError `keys-exist`
 */
export async function initKeys(repository: Repository, passphrase: string | null): Promise<void> {
  await requireNoKeys(repository.dir);
  await makeFirstKeys(repository.dir, passphrase);
  const passphrases = passphrase === null ? noPassphrase : () => Promise.resolve(passphrase);
  await openRepository({ ...repository, passphrases });
}
