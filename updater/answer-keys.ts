import { type AnswerKeys, answerKeysBytesMax, answerKeysShape } from '../protocol/answer-keys.ts';
import { releasesPath } from '../protocol/check-in.ts';
import type { Digest } from '../protocol/digest.ts';
import type { PublicKey } from '../protocol/trust/ed25519.ts';
import { TrustError } from '../protocol/trust/trust-error.ts';
import { FileTooLargeError, readFile, replaceJson } from './effects/durable.ts';
import type { Http } from './effects/http.ts';
import type { Identity } from './identity.ts';
import { ReleaseError } from './release/release-error.ts';
import { type TrustPlace, trustDigest } from './release/trust-files.ts';

/**
 * Which keys sign the server's answers: those that the trusted targets name, else those of the claim. So a stolen or
 * worn-out key of the server is replaced by whoever signs releases. They also lie in answer-keys.json, which the agent
 * reads; that file names the metadata that it was taken from, so it is made again when that changes.
 */

export interface AnswerKeyDependencies extends TrustPlace {
  readonly identity: Pick<Identity, 'answerKeys' | 'url'>;
  log(line: string): void;
}

/** For all to read: nothing in it is secret, and only root can write it. */
const mode = 0o644;

/** The keys as of what is stored here. Nothing that is wrong with the stored trust or the disk stops the caller. */
export async function answerKeysNow(deps: AnswerKeyDependencies): Promise<readonly PublicKey[]> {
  const known = stored(deps);
  // Keys that were named once stay, where newer metadata can not be read: the claim's may have been stolen since.
  const fallback = known?.answerKeys ?? deps.identity.answerKeys;
  try {
    const of = trustDigest(deps);
    if (of === null || of === known?.of) return fallback;
    // Only metadata that is new here is worth loading what reads it.
    const [{ loadTrust }, { holdfastFields }] = await Promise.all([
      import('./release/trust-store.ts'),
      import('../protocol/trust/tuf-targets.ts'),
    ]);
    const trusted = loadTrust(deps);
    if (trusted.targets === null) return fallback;
    const { answerKeys } = holdfastFields(trusted);
    keep(deps, of, answerKeys);
    return answerKeys;
  } catch (error) {
    if (!isOfTheStore(error)) throw error;
    deps.log(`the keys of the server could not be taken from the stored metadata: ${error.message}`);
    return fallback;
  }
}

/**
 * Fetches metadata from the server that answered with a key that is not known here, and looks again. Whoever it really
 * is: only what the release keys signed counts.
 */
export async function refreshedAnswerKeys(
  deps: AnswerKeyDependencies & { readonly http: Http },
): Promise<readonly PublicKey[]> {
  const { refreshMetadata } = await import('./release/refresh-metadata.ts');
  try {
    await refreshMetadata(deps, deps.http, `${deps.identity.url.replace(/\/$/, '')}${releasesPath}`);
  } catch (error) {
    if (!(error instanceof ReleaseError)) throw error;
    deps.log(`no newer keys of the server: ${error.message}`);
  }
  return answerKeysNow(deps);
}

function stored({ files, layout }: TrustPlace): AnswerKeys | null {
  try {
    const bytes = readFile(files, layout.answerKeys, answerKeysBytesMax);
    const parsed = answerKeysShape.safeParse(bytes === null ? null : JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof SyntaxError || isOfTheStore(error)) return null; // made again from the metadata
    throw error;
  }
}

function keep({ files, layout, log }: AnswerKeyDependencies, of: Digest, answerKeys: readonly PublicKey[]): void {
  try {
    replaceJson(files, layout.answerKeys, answerKeysShape.parse({ v: 1, of, answerKeys }), mode);
  } catch (error) {
    if (!isOfTheStore(error)) throw error;
    log(`the keys of the server could not be written down for the agent: ${error.message}`);
  }
}

/** What the disk and the metadata on it can do wrong; the rest is a bug. */
function isOfTheStore(error: unknown): error is Error {
  if (error instanceof TrustError || error instanceof ReleaseError || error instanceof FileTooLargeError) return true;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code);
}
