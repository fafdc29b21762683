import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { systemProblem } from '../protocol/system-problem.ts';
import { publicKeyShape } from '../protocol/trust/ed25519.ts';
import { ImageError } from './errors.ts';
import { repositoryTexts } from './texts.ts';

const onlineShape = z.object({ answer: publicKeyShape, snapshot: publicKeyShape, timestamp: publicKeyShape });
/** The roles that the server signs for without a person. */
export type OnlineRole = keyof z.infer<typeof onlineShape>;
/**
 * The server's online keys, public parts: `public-keys.json` in its data directory. `next` are the ones that it has
 * ready, and uses as soon as signed metadata names them.
 */
const serverKeysShape = onlineShape.extend({ next: onlineShape.optional() });
export type ServerKeys = z.infer<typeof serverKeysShape>;

/** @throws ImageError `server-keys-invalid`, `server-keys-unreadable` */
export async function readServerKeys(path: string): Promise<ServerKeys> {
  try {
    return serverKeysShape.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    const problem = systemProblem(cause);
    if (problem !== null && problem.code !== 'file-not-found')
      throw new ImageError('server-keys-unreadable', problem.message, repositoryTexts.serverKeysUnreadableNext, {
        cause,
      });
    throw new ImageError('server-keys-invalid', repositoryTexts.noServerKeys(path), repositoryTexts.noServerKeysNext, {
      cause,
    });
  }
}
