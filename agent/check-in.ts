import type { Asking } from '../protocol/authority.ts';
import {
  type CheckInAnswer,
  type CheckInRequestInput,
  checkInAnswerShape,
  checkInBytesMax,
  retryAfterSOf,
} from '../protocol/check-in.ts';
import { shapeProblem } from '../protocol/shape-problem.ts';
import { signCheckIn, type VerifiedAnswer, verifiedAnswer } from '../protocol/signed-exchange.ts';
import { cut } from '../protocol/text.ts';
import { SignatureError } from '../protocol/trust/http-signature.ts';
import type { Credentials } from './credentials.ts';
import type { Http, HttpAnswer, Over } from './effects/effects.ts';
import { checkInTexts } from './texts.ts';

/** A request; its events were written earlier and travel unchanged. */
export type CheckInBody = Omit<CheckInRequestInput, 'events'> & { readonly events: readonly unknown[] };

export type CheckInOutcome =
  /** `mark`: what the next request names as the last answer taken. */
  | { readonly outcome: 'answered'; readonly answer: CheckInAnswer; readonly mark: string }
  | { readonly outcome: 'unchanged'; readonly mark: string }
  | { readonly outcome: 'counter-too-low'; readonly next: number }
  /** The server does not go by the authority that the request was for. */
  | { readonly outcome: 'authority-unknown' }
  | { readonly outcome: 'retired' }
  /** Only the delay is used, clamped. */
  | {
      readonly outcome: 'refused';
      /** Did the server itself say so? If not, another entry of the network path may lead to the server. */
      readonly verified: boolean;
      readonly code: string;
      readonly message: string;
      readonly retryAfterS: number;
    };

/** Did the server itself answer this request? */
export function isVerified(outcome: CheckInOutcome): boolean {
  return outcome.outcome !== 'refused' || outcome.verified;
}

/**
 * One round trip: signed request, verified answer.
 * @throws HttpError when no answer came
 */
export async function checkIn(
  http: Http,
  credentials: Credentials,
  { asking, ...body }: CheckInBody & { readonly asking: Asking },
  over: Over,
  signal: AbortSignal,
): Promise<CheckInOutcome> {
  const bytes = Buffer.from(JSON.stringify(body));
  if (bytes.length > checkInBytesMax) throw new RangeError(`a check-in of ${bytes.length} bytes is beyond its bound`);
  const { url, key, answerKeys } = credentials;
  const signed = signCheckIn(url, bytes, asking, key);
  const answer = await http.send({ method: 'POST', ...signed, over, signal });
  try {
    return outcomeOf(answer, verifiedAnswer(answer, signed.asked, key, answerKeys));
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    const text = checkInTexts.otherAnswer(answer.status, error.message);
    return refused(
      answer,
      error.code,
      answer.status >= 400 ? checkInTexts.itSays(text, excerpt(answer.body)) : text,
      false,
    );
  }
}

function outcomeOf(answer: HttpAnswer, { said, mark }: VerifiedAnswer): CheckInOutcome {
  switch (said.kind) {
    case 'unchanged':
      return { outcome: 'unchanged', mark };
    case 'answer': {
      const parsed = checkInAnswerShape.safeParse(said.json);
      if (parsed.success) return { outcome: 'answered', answer: parsed.data, mark };
      return refused(answer, 'answer-malformed', checkInTexts.noKnownShape(shapeProblem(parsed.error)));
    }
    case 'retired':
      return { outcome: 'retired' };
    case 'counter-too-low':
      return { outcome: 'counter-too-low', next: said.next };
    case 'authority-unknown':
      return { outcome: 'authority-unknown' };
    case 'key-unknown':
      return said.whose === 'own'
        ? refused(answer, 'appliance-unknown', checkInTexts.workContinues(checkInTexts.applianceUnknown))
        : refused(answer, 'answer-for-another', checkInTexts.otherKey, false);
    case 'problem':
      return refused(answer, said.code, said.message);
    case 'not-json':
    case 'no-known-shape':
      return refused(answer, 'http-status', checkInTexts.status(answer.status, excerpt(answer.body)));
    default:
      return said satisfies never;
  }
}

function refused(answer: HttpAnswer, code: string, message: string, verified = true): CheckInOutcome {
  const mayDelay = answer.status === 429 || answer.status === 503;
  const retryAfterS = mayDelay ? retryAfterSOf(answer.headers, verified) : 0;
  return { outcome: 'refused', verified, code, message: cut(message, 600), retryAfterS };
}

function excerpt(body: Buffer): string {
  return body.toString('utf8', 0, 200).replaceAll(/\s+/g, ' ');
}
