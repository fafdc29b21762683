import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { passphrasesFrom } from './keys/passphrase.ts';
import { openRepository, type Repository } from './repository.ts';
import { readServerKeys } from './repository-keys.ts';

/** Which repository a command works on, and who opens its keys. */
export const repositoryShape = z.object({
  repository: z.string(),
  serverKeys: z.string(),
  passphraseFile: z.string().optional(),
});
type RepositoryOptions = z.infer<typeof repositoryShape>;

export const dryShape = z.object({ dryRun: z.boolean().default(false), json: z.boolean().default(false) });

export function withRepository(command: Command): Command {
  return command
    .requiredOption('--repository <dir>', "the operator's directory: keys, metadata, targets")
    .requiredOption('--server-keys <file>', "the server's public-keys.json")
    .option('--passphrase-file <file>', 'its first line opens the keys; else the terminal asks')
    .addOption(jsonOption());
}

export function jsonOption(): Option {
  return new Option('--json', 'print one JSON object').default(false);
}

export async function openFrom(options: RepositoryOptions): Promise<Repository> {
  return openRepository(await placeOf(options));
}

export async function placeOf({ repository, serverKeys, passphraseFile }: RepositoryOptions) {
  return {
    dir: resolve(repository),
    serverKeys: await readServerKeys(serverKeys),
    now: () => new Date(),
    passphrases: passphrasesFrom(passphraseFile),
  };
}
