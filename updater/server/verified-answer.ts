import type { KeyObject } from 'node:crypto';
import { retryAfterSOf } from '../../protocol/check-in.ts';
import { type Asked, type VerifiedAnswer, verifiedAnswer } from '../../protocol/signed-exchange.ts';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { SignatureError } from '../../protocol/trust/http-signature.ts';
import type { HttpAnswer } from '../effects/http.ts';
import { serverTexts } from '../words/texts.ts';
import { refreshedAnswerKeys } from './answer-keys.ts';

/** An answer to a check-in, believed because this appliance's server signed it for exactly this request. */

export interface Verified extends VerifiedAnswer {
  readonly status: number;
  readonly retryAfterS: number;
}

/** The answer is not trusted, but it may delay. */
export class NotTrustedError extends Error {
  readonly code: string;
  readonly retryAfterS: number;
  constructor(code: string, retryAfterS: number, cause: unknown) {
    super(serverTexts.notTheServer(code), { cause });
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

type Asking = Parameters<typeof refreshedAnswerKeys>[0] & { readonly key: KeyObject };

function verified(answer: HttpAnswer, deps: Asking, keys: readonly PublicKey[], asked: Asked): Verified {
  const delayS = (isSigned: boolean) => retryAfterSOf(answer.headers, isSigned);
  let found: VerifiedAnswer;
  try {
    found = verifiedAnswer(answer, asked, deps.key, keys);
  } catch (error) {
    if (error instanceof SignatureError) throw new NotTrustedError(error.code, delayS(false), error);
    throw error;
  }
  const { said } = found;
  if (said.kind === 'not-json') throw new NotTrustedError('answer-malformed', delayS(true), null);
  if (said.kind === 'key-unknown' && said.whose === 'other') throw new NotTrustedError('answer-for-another', 0, null);
  return { ...found, status: answer.status, retryAfterS: delayS(true) };
}

/** An unknown key may be one that the server's metadata names by now. */
export async function verifiedByNewest(
  answer: HttpAnswer,
  deps: Asking,
  keys: readonly PublicKey[],
  asked: Asked,
): Promise<Verified> {
  try {
    return verified(answer, deps, keys, asked);
  } catch (error) {
    if (!(error instanceof NotTrustedError) || error.code !== 'key-unknown') throw error;
    return verified(answer, deps, await refreshedAnswerKeys(deps), asked);
  }
}
