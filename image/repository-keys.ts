import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  generateKeyPair,
  type KeyPair,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
  publicKeyShape,
} from '../protocol/trust/ed25519.ts';
import { isMissing, replaceFile } from './durable.ts';
import { ImageError } from './errors.ts';

/** The server's online keys, public parts: `public-keys.json` in its data directory. */
const serverKeysShape = z.object({ answer: publicKeyShape, snapshot: publicKeyShape, timestamp: publicKeyShape });
export type ServerKeys = z.infer<typeof serverKeysShape>;

/** @throws ImageError `server-keys-invalid` */
export async function readServerKeys(path: string): Promise<ServerKeys> {
  try {
    return serverKeysShape.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    throw new ImageError(
      'server-keys-invalid',
      `${path} does not hold the server's public keys`,
      'start the server once: it writes public-keys.json into its data directory',
      { cause },
    );
  }
}

/** The offline keys, which never leave the operator's directory. */
export interface OfflineKeys {
  /** Any two of them make a root. */
  readonly root: readonly [KeyPair, KeyPair, KeyPair];
  readonly targets: KeyPair;
  /** Signs the orders that the server's online key may not. */
  readonly operator: KeyPair;
}

/** Reads `keys/`; what is missing is made. Hold the repository's lock. */
export async function openOfflineKeys(repositoryDir: string): Promise<OfflineKeys> {
  const directory = join(repositoryDir, 'keys');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const key = (name: string) => openKey(join(directory, `${name}.pem`));
  return {
    root: [await key('root-1'), await key('root-2'), await key('root-3')],
    targets: await key('targets'),
    operator: await key('operator'),
  };
}

async function openKey(path: string): Promise<KeyPair> {
  try {
    const privateKey = privateKeyFromPem(await readFile(path, 'utf8'));
    return { privateKey, publicKey: publicKeyOf(privateKey) };
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const pair = generateKeyPair();
  await replaceFile(path, Buffer.from(privateKeyToPem(pair.privateKey)), 0o600);
  return pair;
}
