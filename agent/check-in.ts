import {
  type CheckInAnswer,
  type CheckInRequestInput,
  checkInAnswerShape,
  checkInBytesMax,
  checkInPath,
  clampDelayS,
  counterConflictShape,
  problemShape,
} from '../protocol/check-in.ts';
import { SignatureError, signRequest, verifyAnswer } from '../protocol/trust/http-signature.ts';
import type { Credentials } from './credentials.ts';
import type { Http, HttpAnswer } from './effects/effects.ts';

/** A request; its events were written before, and travel as they are. */
export type CheckInBody = Omit<CheckInRequestInput, 'events'> & { readonly events: readonly unknown[] };

export type CheckInOutcome =
  | { readonly outcome: 'answered'; readonly answer: CheckInAnswer }
  | { readonly outcome: 'unchanged' }
  | { readonly outcome: 'counter-too-low'; readonly next: number }
  | { readonly outcome: 'retired' }
  /** Nothing in it is acted on but the delay, which is clamped. */
  | { readonly outcome: 'refused'; readonly code: string; readonly message: string; readonly retryAfterS: number };

/** Under the server's URL, which may itself have a path. */
export function urlBelow(base: string, path: string): string {
  return `${base.replace(/\/+$/, '')}${path}`;
}

/**
 * One round trip: signed request, verified answer.
 * @throws HttpError when no answer came
 */
export async function checkIn(
  http: Http,
  credentials: Credentials,
  body: CheckInBody,
  signal: AbortSignal,
): Promise<CheckInOutcome> {
  const bytes = Buffer.from(JSON.stringify(body));
  if (bytes.length > checkInBytesMax) throw new RangeError(`a check-in of ${bytes.length} bytes is beyond its bound`);
  const url = urlBelow(credentials.url, checkInPath);
  const request = { method: 'POST', path: new URL(url).pathname, body: bytes } as const;
  const signed = signRequest(request, credentials.key);
  const headers = { 'content-type': 'application/json', ...signed };
  const answer = await http.send({ method: 'POST', url, headers, body: bytes, signal });
  try {
    verifyAnswer(answer, answer.headers, request, signed.signature, credentials.answerKeys);
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    const text = `the answer (status ${answer.status}) is not the server's: ${error.message}`;
    return refused(answer, error.code, answer.status >= 400 ? `${text}; it says: ${excerpt(answer.body)}` : text);
  }
  return readVerified(answer);
}

/** What is said here was signed by the server, for this request. */
function readVerified(answer: HttpAnswer): CheckInOutcome {
  if (answer.status === 204) return { outcome: 'unchanged' };
  if (answer.status === 410) return { outcome: 'retired' };
  const json = parseJson(answer.body);
  if (answer.status === 200) {
    const parsed = checkInAnswerShape.safeParse(json);
    if (parsed.success) return { outcome: 'answered', answer: parsed.data };
    return refused(answer, 'answer-malformed', `the server's answer has no known shape: ${parsed.error.message}`);
  }
  if (answer.status === 409) {
    const parsed = counterConflictShape.safeParse(json);
    if (parsed.success) return { outcome: 'counter-too-low', next: parsed.data.next };
  }
  const problem = problemShape.safeParse(json);
  if (problem.success) return refused(answer, problem.data.code, problem.data.message);
  return refused(answer, 'http-status', `the server answered with status ${answer.status}: ${excerpt(answer.body)}`);
}

function refused(answer: HttpAnswer, code: string, message: string): CheckInOutcome {
  const asked = answer.headers['retry-after'];
  const delayS = typeof asked === 'string' && /^\d{1,9}$/.test(asked) ? clampDelayS(Number(asked)) : 0;
  const mayDelay = answer.status === 429 || answer.status === 503;
  return { outcome: 'refused', code, message: message.slice(0, 600), retryAfterS: mayDelay ? delayS : 0 };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function excerpt(body: Buffer): string {
  return body.toString('utf8', 0, 200).replaceAll(/\s+/g, ' ');
}
