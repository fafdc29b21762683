import type { KeyPair } from '../../protocol/trust/ed25519.ts';
import { addSignatures, type OfflineRole } from '../../protocol/trust/tuf-sign.ts';
import { ImageError } from '../errors.ts';
import { ceremonyTexts } from '../texts.ts';
import { type Change, type OpenedChange, openChange, quorumsOf } from './change.ts';
import { shortId } from './describe-change.ts';

/** The parts of a change that a key may sign. */
export function partsFor(change: OpenedChange, key: Pick<KeyPair, 'publicKey'>): OfflineRole[] {
  const asked = quorumsOf(change).filter(({ signed, unsigned }) => [...signed, ...unsigned].includes(key.publicKey));
  return [...new Set(asked.map(({ role }) => role))];
}

/**
 * Adds every signature that these keys can make. Signing twice changes nothing: Ed25519 signs the same bytes the same
 * way.
 * @throws ImageError `key-unknown` for a key whose signature is not needed
 */
export function signChange(change: OpenedChange, keys: readonly KeyPair[]): OpenedChange {
  let signed: Change = change;
  for (const key of keys) {
    const parts = partsFor(change, key);
    if (parts.length === 0) {
      throw new ImageError('key-unknown', ceremonyTexts.noPart(shortId(key.publicKey)), ceremonyTexts.noPartNext);
    }
    for (const part of parts) signed = withSignature(signed, part, key);
  }
  return openChange(signed);
}

function withSignature(change: Change, part: OfflineRole, key: KeyPair): Change {
  const field = part === 'root' ? 'nextRoot' : 'nextTargets';
  const bytes = change[field];
  return bytes === null ? change : { ...change, [field]: addSignatures(part, bytes, [key]) };
}
