import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ImageError } from '../errors.ts';
import type { HeldKey } from '../keys/key-file.ts';
import { openWanted } from '../keys/key-ring.ts';
import type { PassphraseSource } from '../keys/passphrase.ts';
import { ceremonyTexts } from '../texts.ts';
import { isReached, type OpenedChange, quorumsOf, writeChange } from './change.ts';
import { describeSignatures } from './describe-change.ts';
import { signChange } from './sign-change.ts';

/** Where a change waits for signatures, unless the person names another place. */
export function changePath(dir: string, change: OpenedChange): string {
  const name =
    change.nextRoot === null ? `targets-${change.after.targets.version}` : `root-${change.after.root.version}`;
  return join(dir, `${name}.change.json`);
}

/** Signs what the keys here can, and asks for no more passphrases than signatures are needed. */
export async function signWithRing(
  change: OpenedChange,
  ring: readonly HeldKey[],
  passphrases: PassphraseSource,
): Promise<OpenedChange> {
  let signed = change;
  for (const index of quorumsOf(change).keys()) {
    // Counted again: a key that signs for the present root usually signs for the new one too.
    const quorum = quorumsOf(signed)[index];
    if (quorum === undefined || isReached(quorum)) continue;
    const count = quorum.threshold - quorum.signed.length;
    signed = signChange(signed, await openWanted(ring, quorum.unsigned, count, passphrases));
  }
  return signed;
}

/** A file may hold signatures that were carried far, so it is never overwritten. @throws ImageError `change-waiting` */
export function requireNoWaiting(path: string): void {
  if (!existsSync(path)) return;
  throw new ImageError('change-waiting', ceremonyTexts.changeWaits(path), ceremonyTexts.changeWaitsNext);
}

/**
 * Signs new targets with the keys that are here.
 * @returns the signed targets
 * @throws ImageError `signatures-missing`: the keys are elsewhere, and the change waits in a file
 */
export async function signHere(
  dir: string,
  change: OpenedChange,
  ring: readonly HeldKey[],
  passphrases: PassphraseSource,
): Promise<Buffer> {
  const signed = await signWithRing(change, ring, passphrases);
  if (quorumsOf(signed).every(isReached) && signed.nextTargets !== null) return signed.nextTargets;
  const path = changePath(dir, change);
  requireNoWaiting(path);
  await writeChange(path, signed);
  throw new ImageError(
    'signatures-missing',
    ceremonyTexts.signersElsewhere(describeSignatures(signed).join('\n  ')),
    ceremonyTexts.signersElsewhereNext(path),
  );
}
