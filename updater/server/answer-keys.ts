import { addressBelow } from '../../protocol/address.ts';
import { type AnswerKeys, answerKeysBytesMax, answerKeysShape } from '../../protocol/answer-keys.ts';
import { releasesPath } from '../../protocol/check-in.ts';
import type { Digest } from '../../protocol/digest.ts';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { FileTooLargeError, replaceJson } from '../effects/durable.ts';
import type { Http } from '../effects/http.ts';
import { readKept } from '../effects/kept-file.ts';
import type { Identity } from '../identity/identity.ts';
import { ReleaseError } from '../trust/release-error.ts';
import { type TrustPlace, trustDigest } from '../trust/trust-files.ts';
import { serverTexts } from '../words/texts.ts';

/**
 * The keys that sign the server's answers: those that the trusted targets name, else those of the claim. So the signers
 * of releases can replace a stolen or old server key. The keys are also in answer-keys.json, which the agent reads;
 * that file names the metadata that it was taken from, so it is written again when that changes.
 */

export interface AnswerKeyDependencies extends TrustPlace {
  readonly identity: Pick<Identity, 'answerKeys' | 'url'>;
  log(line: string): void;
}

/** Readable for all: nothing in it is secret, and only root can write it. */
const mode = 0o644;

/** The keys according to what is stored here. No fault of the stored trust or the disk stops the caller. */
export async function answerKeysNow(deps: AnswerKeyDependencies): Promise<readonly PublicKey[]> {
  const known = stored(deps);
  // If newer metadata cannot be read, keys that were named before stay: the claim's keys may have been stolen since.
  const fallback = known?.answerKeys ?? deps.identity.answerKeys;
  try {
    const of = trustDigest(deps);
    if (of === null || of === known?.of) return fallback;
    // The code that reads metadata is loaded only for new metadata.
    const [{ loadTrust }, { holdfastFields }] = await Promise.all([
      import('../trust/trust-store.ts'),
      import('../../protocol/trust/tuf-targets.ts'),
    ]);
    const trusted = loadTrust(deps);
    if (trusted.targets === null) return fallback;
    const { answerKeys } = holdfastFields(trusted);
    keep(deps, of, answerKeys);
    return answerKeys;
  } catch (error) {
    if (!isOfTheStore(error)) throw error;
    deps.log(serverTexts.keysNotTaken(error.message));
    return fallback;
  }
}

/**
 * Fetches metadata from the server that answered with an unknown key, and looks again. It does not matter which server
 * it really is: only what the release keys signed counts.
 */
export async function refreshedAnswerKeys(
  deps: AnswerKeyDependencies & { readonly http: Http },
): Promise<readonly PublicKey[]> {
  const { refreshMetadata } = await import('../release/refresh-metadata.ts');
  try {
    await refreshMetadata(deps, deps.http, addressBelow(deps.identity.url, releasesPath));
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    deps.log(serverTexts.noNewerKeys(error.message));
  }
  return answerKeysNow(deps);
}

function stored({ files, layout }: TrustPlace): AnswerKeys | null {
  return readKept(files, layout.answerKeys, answerKeysBytesMax, answerKeysShape);
}

function keep({ files, layout, log }: AnswerKeyDependencies, of: Digest, answerKeys: readonly PublicKey[]): void {
  try {
    replaceJson(files, layout.answerKeys, answerKeysShape.parse({ v: 1, of, answerKeys }), mode);
  } catch (error) {
    if (!isOfTheStore(error)) throw error;
    log(serverTexts.keysNotWritten(error.message));
  }
}

/** Faults of the disk and of the metadata on it; anything else is a bug. */
function isOfTheStore(error: unknown): error is Error {
  if (error instanceof TrustError || error instanceof ReleaseError || error instanceof FileTooLargeError) return true;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code);
}
