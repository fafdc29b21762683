import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { passphrasesFrom } from './keys/passphrase.ts';
import { type Repository, requireRepository } from './repository.ts';
import { readServerKeys } from './repository-keys.ts';
import type { SignedRepository } from './repository-metadata.ts';
import { requireSigningTime } from './signing-time.ts';
import { commandTexts } from './texts.ts';

/** Which repository a command works on, and how its keys are opened. */
export const repositoryShape = z.object({
  repository: z.string(),
  serverKeys: z.string(),
  passphraseFile: z.string().optional(),
  clockIsRight: z.boolean().default(false),
});
type RepositoryOptions = z.infer<typeof repositoryShape>;

export const dryShape = z.object({ dryRun: z.boolean().default(false), json: z.boolean().default(false) });

export function withRepository(command: Command): Command {
  return command
    .requiredOption('--repository <dir>', commandTexts.repository)
    .requiredOption('--server-keys <file>', commandTexts.serverKeys)
    .option('--passphrase-file <file>', commandTexts.passphraseFile)
    .addOption(jsonOption());
}

/** The options of a command that signs in a repository. */
export function withSigning(command: Command): Command {
  return withRepository(command).addOption(clockOption());
}

export function jsonOption(): Option {
  return new Option('--json', commandTexts.json).default(false);
}

/** Opens a repository to sign in it. @throws ImageError `clock-behind`, `clock-ahead`, and those of `openRepository` */
export async function openFrom(options: RepositoryOptions): Promise<Repository> {
  const place = await placeOf(options);
  await requireSignable(place, options);
  return place;
}

/** What is signed in a repository where more could be signed now; for a dry run. @throws ImageError */
export async function signableIn(options: RepositoryOptions): Promise<SignedRepository> {
  return requireSignable(await placeOf(options), options);
}

async function requireSignable(place: Repository, { clockIsRight }: RepositoryOptions): Promise<SignedRepository> {
  const signed = await requireRepository(place);
  if (!clockIsRight) requireSigningTime(signed.trusted, place.now());
  return signed;
}

export function clockOption(): Option {
  return new Option('--clock-is-right', commandTexts.clockIsRight);
}

export async function placeOf({ repository, serverKeys, passphraseFile }: RepositoryOptions) {
  return {
    dir: resolve(repository),
    serverKeys: await readServerKeys(serverKeys),
    now: () => new Date(),
    passphrases: passphrasesFrom(passphraseFile),
  };
}
