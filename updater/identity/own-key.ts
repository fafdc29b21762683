import { generateKeyPair, privateKeyFromPem, privateKeyToPem } from '../../protocol/trust/ed25519.ts';
import { readFile, replaceFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import { identityTexts } from '../words/texts.ts';
import { keyOrNull } from './identity.ts';
import { SetUpError } from './set-up-error.ts';
import { readWithTwin } from './twin.ts';

const keyBytesMax = 4 * 1024;

/**
 * The existing key, or a new one that is on disk, and reads back, before anybody learns of it. It is in a file of its
 * own, which nobody ever edits.
 * @throws SetUpError `key-not-kept`
 */
export function ownKey(files: Files, path: string): ReturnType<typeof privateKeyFromPem> {
  const found = readWithTwin(files, path, keyBytesMax, keyOrNull);
  if (found !== null) return found.value;
  const pem = Buffer.from(privateKeyToPem(generateKeyPair().privateKey));
  replaceFile(files, path, pem, 0o600);
  const kept = readFile(files, path, keyBytesMax);
  if (kept?.equals(pem) === true) return privateKeyFromPem(kept.toString('ascii'));
  files.unlink(path);
  throw new SetUpError('key-not-kept', identityTexts.keyNotKept(path), identityTexts.keyNotKeptNext);
}
