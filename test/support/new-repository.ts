import { beginRepository, openRepository, type Repository } from '../../image/repository.ts';
import { readRoots } from '../../image/repository-metadata.ts';

/** A repository with keys that no passphrase protects: begun as `keys init` does where there is none, else opened. */
export async function newRepository(repository: Repository): Promise<Repository> {
  const hasBegun = (await readRoots(repository.dir)).length > 0;
  return hasBegun ? openRepository(repository) : beginRepository(repository, null);
}
