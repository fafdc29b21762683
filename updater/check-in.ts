import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import {
  asTravelled,
  type CheckInAnswer,
  type CheckInRequestInput,
  checkInAnswerShape,
  checkInBytesMax,
  checkInPath,
  clampDelayS,
  counterConflictShape,
  delayMaxS,
  desiredShape,
} from '../protocol/check-in.ts';
import type { Layout } from '../protocol/layout.ts';
import type { PublicKey } from '../protocol/trust/ed25519.ts';
import { SignatureError, signRequest, verifyAnswer } from '../protocol/trust/http-signature.ts';
import { answerKeysNow, refreshedAnswerKeys } from './answer-keys.ts';
import type { Counter } from './counter.ts';
import type { Clock } from './effects/clock.ts';
import { readJson, replaceJson } from './effects/durable.ts';
import type { Files } from './effects/files.ts';
import type { Http, HttpAnswer } from './effects/http.ts';
import { HttpError } from './effects/http-error.ts';
import type { EventQueue } from './events.ts';
import type { Identity } from './identity.ts';

/** What the last check-in said, kept in run/ (a reboot forgets it): a 204 refers to it, and it sets the pace. */
const rememberedShape = z.object({
  etag: z.string().nullable(),
  desired: desiredShape.nullable(),
  nextInS: z.number(),
  /** What the server asked for last: nextInS is less while a failure is tried again. */
  paceS: z.number().default(60),
  /** The newest `issuedAt` of a verified answer, in seconds: raises trusted time when metadata is looked at. */
  issuedAtS: z.int().min(0).default(0),
  boot: z.string(),
  /** Monotonic time of the last try, and of the last verified answer. */
  triedMs: z.number(),
  answered: z.object({ boot: z.string(), monoMs: z.number(), wallS: z.int() }).nullable(),
  failures: z.int(),
  error: z.object({ code: z.string(), message: z.string(), next: z.string() }).nullable(),
});
export type Remembered = z.infer<typeof rememberedShape>;

const nothingRemembered: Remembered = {
  etag: null,
  desired: null,
  nextInS: 0,
  paceS: 60,
  issuedAtS: 0,
  boot: '',
  triedMs: 0,
  answered: null,
  failures: 0,
  error: null,
};

const rememberedBytesMax = 64 * 1024;
const requestTotalMs = 20_000;
const answerBytesMax = 256 * 1024;
/** Orders are the agent's: one that can not be read must not hide the decision from the updater (S35, S60). */
const answerShape = checkInAnswerShape.omit({ orders: true });
/** Endless back-off after failures (S49): doubles from the first value to the last, or to the server's own pace. */
const backOffS = { first: 1, last: 300 } as const;
/** A counter conflict is answered with the right number; a second one in a row means two are using the key. */
const conflictRetries = 1;

export interface CheckInDependencies {
  readonly files: Files;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly http: Http;
  readonly identity: Identity;
  readonly key: KeyObject;
  readonly counter: Counter;
  readonly events: EventQueue;
  log(line: string): void;
}

/** The parts of the request that the caller knows. */
export type Report = Pick<CheckInRequestInput, 'have' | 'health' | 'quarantine'>;

export type CheckInOutcome =
  | { readonly outcome: 'answered'; readonly desired: Remembered['desired']; readonly seen: CheckInAnswer['seen'] }
  | { readonly outcome: 'unreachable' | 'not-trusted' | 'refused'; readonly remembered: Remembered };

export function loadRemembered(files: Files, layout: Layout): Remembered {
  const parsed = rememberedShape.safeParse(readJson(files, `${layout.run}/last-answer.json`, rememberedBytesMax));
  return parsed.success ? parsed.data : nothingRemembered;
}

function save(deps: CheckInDependencies, remembered: Remembered): Remembered {
  const desired = remembered.desired === null ? null : asTravelled(remembered.desired);
  replaceJson(deps.files, `${deps.layout.run}/last-answer.json`, { ...remembered, desired }, 0o600);
  return remembered;
}

/** Is the next check-in due, by monotonic time of this boot? */
export function isDue(remembered: Remembered, clock: Clock): boolean {
  return remembered.boot !== clock.bootId() || clock.monoMs() - remembered.triedMs >= remembered.nextInS * 1000;
}

function requestBody(deps: CheckInDependencies, report: Report, etag: string | null): Buffer {
  const request: CheckInRequestInput = {
    ...report,
    proto: 1,
    features: ['update', 'events', 'seen'],
    boot: deps.clock.bootId(),
    seq: deps.counter.next(),
    clock: { wallS: deps.clock.wallS(), monoMs: deps.clock.monoMs() },
    etag,
    events: deps.events.next(),
  };
  const bytes = Buffer.from(JSON.stringify(request));
  if (bytes.length <= checkInBytesMax) return bytes;
  // The lifeline goes out whatever the events weigh; they follow one by one.
  return Buffer.from(JSON.stringify({ ...request, events: request.events.slice(0, 1) }));
}

interface Verified {
  readonly status: number;
  readonly body: unknown;
  readonly retryAfterS: number;
}

/** What came back is not believed, but it may delay. */
class NotTrustedError extends Error {
  readonly code: string;
  readonly retryAfterS: number;
  constructor(code: string, retryAfterS: number, cause: unknown) {
    super(`what answered is not the server of this appliance (${code})`, { cause });
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** RFC 9110 section 10.2.3, as seconds only: there is no clock here that a date could be compared with. */
function retryAfterOf({ headers }: HttpAnswer): number {
  const value = headers['retry-after'];
  return typeof value === 'string' && /^\d{1,9}$/.test(value) ? clampDelayS(Number(value)) : 0;
}

function verified(answer: HttpAnswer, keys: readonly PublicKey[], requestSignature: string): Verified {
  const request = { method: 'POST', path: checkInPath };
  const retryAfterS = retryAfterOf(answer);
  try {
    verifyAnswer(answer, answer.headers, request, requestSignature, keys);
    const body: unknown = answer.body.length === 0 ? null : JSON.parse(answer.body.toString('utf8'));
    return { status: answer.status, body, retryAfterS };
  } catch (error) {
    if (error instanceof SignatureError) throw new NotTrustedError(error.code, retryAfterS, error);
    if (error instanceof SyntaxError) throw new NotTrustedError('answer-malformed', retryAfterS, error);
    throw error;
  }
}

/** A key that is not known here may be one that the server's metadata names by now. */
async function verifiedByNewest(
  answer: HttpAnswer,
  deps: CheckInDependencies,
  keys: readonly PublicKey[],
  requestSignature: string,
): Promise<Verified> {
  try {
    return verified(answer, keys, requestSignature);
  } catch (error) {
    if (!(error instanceof NotTrustedError) || error.code !== 'key-unknown') throw error;
    return verified(answer, await refreshedAnswerKeys(deps), requestSignature);
  }
}

async function roundTrip(
  deps: CheckInDependencies,
  report: Report,
  etag: string | null,
  signal: AbortSignal | undefined,
): Promise<Verified> {
  const keys = await answerKeysNow(deps);
  for (let attempt = 0; ; attempt += 1) {
    const body = requestBody(deps, report, etag);
    const signed = signRequest({ method: 'POST', path: checkInPath, body }, deps.key);
    const url = new URL(checkInPath, deps.identity.url).href;
    const headers = { 'content-type': 'application/json', ...signed };
    const answer = await deps.http.fetch(
      { method: 'POST', url, headers, body, totalMs: requestTotalMs, ...(signal === undefined ? {} : { signal }) },
      answerBytesMax,
    );
    const trusted = await verifiedByNewest(answer, deps, keys, signed.signature);
    if (trusted.status !== 409 || attempt >= conflictRetries) return trusted;
    deps.counter.adopt(counterConflictShape.parse(trusted.body).next);
  }
}

function accept(deps: CheckInDependencies, before: Remembered, trusted: Verified): CheckInOutcome {
  const answered = { boot: deps.clock.bootId(), monoMs: deps.clock.monoMs(), wallS: deps.clock.wallS() };
  const now = { boot: answered.boot, triedMs: answered.monoMs };
  deps.http.verified?.();
  if (trusted.status === 204) {
    save(deps, { ...before, ...now, nextInS: before.paceS, answered, failures: 0, error: null });
    return { outcome: 'answered', desired: before.desired, seen: {} };
  }
  if (trusted.status !== 200) return refused(deps, before, trusted);
  const answer = answerShape.parse(trusted.body);
  deps.events.acknowledge(answer.ackUpto);
  const { etag, desired } = answer;
  const paceS = clampDelayS(answer.nextInS);
  const issuedAtS = Math.max(before.issuedAtS, answer.issuedAt);
  save(deps, { ...now, etag, desired, nextInS: paceS, paceS, issuedAtS, answered, failures: 0, error: null });
  return { outcome: 'answered', desired, seen: answer.seen };
}

function refused(deps: CheckInDependencies, before: Remembered, { status, retryAfterS }: Verified): CheckInOutcome {
  if (status === 410) {
    // Retired: what runs keeps running, and asks once a day whether that is still so.
    const error = {
      code: 'retired',
      message: 'the server has retired this appliance',
      next: 'it keeps running; claim it anew to bring it back',
    };
    return { outcome: 'refused', remembered: failed(deps, before, error, delayMaxS) };
  }
  const error = {
    code: `http-${status}`,
    message: 'the server refused the check-in',
    next: 'see its log, or holdfast fleet',
  };
  return { outcome: 'refused', remembered: failed(deps, before, error, retryAfterS) };
}

function failed(
  deps: CheckInDependencies,
  before: Remembered,
  error: NonNullable<Remembered['error']>,
  retryAfterS = 0,
): Remembered {
  const failures = before.failures + 1;
  const backOff = Math.min(backOffS.first * 2 ** Math.min(failures - 1, 20), backOffS.last);
  const nextInS = Math.max(retryAfterS, Math.min(backOff, Math.max(before.paceS, backOffS.first)));
  return save(deps, { ...before, boot: deps.clock.bootId(), triedMs: deps.clock.monoMs(), failures, error, nextInS });
}

/**
 * One round trip; a `fresh` one wants the whole answer even when nothing changed. An answer that is not signed by this
 * server for this request changes nothing but the time of the next try; whatever went wrong is remembered with its
 * reason and never stops the caller.
 */
export async function checkIn(
  deps: CheckInDependencies,
  report: Report,
  fresh = false,
  signal?: AbortSignal,
): Promise<CheckInOutcome> {
  const before = loadRemembered(deps.files, deps.layout);
  try {
    return accept(deps, before, await roundTrip(deps, report, fresh ? null : before.etag, signal));
  } catch (error) {
    if (error instanceof HttpError) {
      const next = 'check cable, name resolution and proxy; the appliance goes on trying';
      return {
        outcome: 'unreachable',
        remembered: failed(deps, before, { code: error.code, message: error.message, next }),
      };
    }
    if (error instanceof NotTrustedError || error instanceof z.ZodError) {
      const { code, message, retryAfterS } =
        error instanceof NotTrustedError ? error : new NotTrustedError('answer-malformed', 0, error);
      const next = 'a captive portal or proxy may be in between; nothing that it said was believed';
      return { outcome: 'not-trusted', remembered: failed(deps, before, { code, message, next }, retryAfterS) };
    }
    throw error;
  }
}
