import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { publicKeyShape } from '../protocol/trust/ed25519.ts';
import { ImageError } from './errors.ts';

const onlineShape = z.object({ answer: publicKeyShape, snapshot: publicKeyShape, timestamp: publicKeyShape });
/** The roles that the server signs for by itself. */
export type OnlineRole = keyof z.infer<typeof onlineShape>;
/**
 * The server's online keys, public parts: `public-keys.json` in its data directory. `next` are the ones that it has ready,
 * and uses as soon as signed metadata names them.
 */
const serverKeysShape = onlineShape.extend({ next: onlineShape.optional() });
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
