import { generateKeyPair, privateKeyFromPem, privateKeyToPem } from '../protocol/trust/ed25519.ts';
import { readFile, replaceFile } from './effects/durable.ts';
import type { Files } from './effects/files.ts';
import { SetUpError } from './set-up-error.ts';

const keyBytesMax = 4 * 1024;

/**
 * The key that is there, or a new one that is on disk, and reads back, before anybody hears of it. It is in a file of its
 * own, which nobody ever edits.
 * @throws SetUpError `key-not-kept`
 */
export function ownKey(files: Files, path: string): ReturnType<typeof privateKeyFromPem> {
  const found = readFile(files, path, keyBytesMax);
  if (found !== null) return privateKeyFromPem(found.toString('ascii'));
  const pem = Buffer.from(privateKeyToPem(generateKeyPair().privateKey));
  replaceFile(files, path, pem, 0o600);
  const kept = readFile(files, path, keyBytesMax);
  if (kept?.equals(pem) === true) return privateKeyFromPem(kept.toString('ascii'));
  files.unlink(path);
  throw new SetUpError(
    'key-not-kept',
    `${path} does not read back as it was written, and is removed; nobody has heard of that key`,
    'Look at the disk, then repeat the setup.',
  );
}
