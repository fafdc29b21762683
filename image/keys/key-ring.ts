import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyPair, PublicKey } from '../../protocol/trust/ed25519.ts';
import { isMissing } from '../durable.ts';
import { type HeldKey, lookAtKey, makeKeyFile, openKey, privateEnd } from './key-file.ts';
import type { PassphraseSource } from './passphrase.ts';

/** The keys that a repository begins with; any two of the three root keys make a root. */
export const firstKeyNames = ['root-1', 'root-2', 'root-3', 'targets', 'operator'] as const;

function keysDirectory(repositoryDir: string): string {
  return join(repositoryDir, 'keys');
}

export function keyPath(repositoryDir: string, name: string): string {
  return join(keysDirectory(repositoryDir), `${name}${privateEnd}`);
}

/** The private keys that are here. Others may be on other machines, or in a safe. */
export async function readKeyRing(repositoryDir: string): Promise<readonly HeldKey[]> {
  const directory = keysDirectory(repositoryDir);
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  const paths = names.filter((name) => name.endsWith(privateEnd)).sort();
  return Promise.all(paths.map((name) => lookAtKey(join(directory, name))));
}

/** Makes those of the first keys that are missing. */
export async function makeFirstKeys(repositoryDir: string, passphrase: string | null): Promise<void> {
  const directory = keysDirectory(repositoryDir);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const there = new Set((await readKeyRing(repositoryDir)).map((held) => held.name));
  for (const name of firstKeyNames) {
    if (!there.has(name)) await makeKeyFile(keyPath(repositoryDir, name), passphrase);
  }
}

/** `targets-2`, or the next number that no key here has. */
export function nextKeyName(ring: readonly HeldKey[], role: string): string {
  const taken = new Set(ring.map((held) => held.name));
  for (let number = 2; number <= ring.length + 2; number += 1) {
    if (!taken.has(`${role}-${number}`)) return `${role}-${number}`;
  }
  throw new RangeError(`name a key for ${role}: ${ring.length} keys have taken all names`);
}

/**
 * Opens the wanted keys that are here, until there are enough, so that nobody is asked for more passphrases than
 * needed.
 */
export async function openWanted(
  ring: readonly HeldKey[],
  wanted: readonly PublicKey[],
  count: number,
  passphrases: PassphraseSource,
): Promise<KeyPair[]> {
  const opened: KeyPair[] = [];
  for (const held of ring) {
    if (opened.length >= count) break;
    if (held.publicKey !== null && wanted.includes(held.publicKey)) opened.push(await openKey(held, passphrases));
  }
  return opened;
}
