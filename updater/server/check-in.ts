import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import {
  type Asking,
  asksUnder,
  authorityOfAddress,
  knownAfter,
  saidOf,
  unheardAfter,
} from '../../protocol/authority.ts';
import {
  type CheckInAnswer,
  type CheckInRequestInput,
  checkInAnswerShape,
  checkInBytesMax,
  clampDelayS,
  delayMaxS,
} from '../../protocol/check-in.ts';
import { signCheckIn } from '../../protocol/signed-exchange.ts';
import type { Clock } from '../effects/clock.ts';
import type { Http } from '../effects/http.ts';
import { HttpError } from '../effects/http-error.ts';
import { overPath } from '../effects/over-path.ts';
import type { Identity } from '../identity/identity.ts';
import { type TrustPlace, trustedTime, trustedTimeMaxS, trustedVersions, withinStep } from '../trust/trust-files.ts';
import { serverTexts } from '../words/texts.ts';
import { answerKeysNow } from './answer-keys.ts';
import { hostName } from './clone-notice.ts';
import type { Counter } from './counter.ts';
import type { EventQueue } from './events.ts';
import { keepKnownAuthority, knownAuthority } from './known-authority.ts';
import { loadRemembered, type Remembered, saveRemembered } from './remembered-answer.ts';
import { NotTrustedError, type Verified, verifiedByNewest } from './verified-answer.ts';

export const requestTotalMs = 20_000;
const answerBytesMax = 256 * 1024;
/** Orders are the agent's: an unreadable one must not hide the server's decision from the updater (S35, S60). */
const answerShape = checkInAnswerShape.omit({ orders: true });
/** Endless back-off after failures (S49): doubles from the first value to the last, or to the server's own pace. */
const backOffS = { first: 1, last: 300 } as const;
/** A counter conflict is answered with the right number; more in a row mean that two machines use the key in turn. */
const conflictRetries = 3;

export interface CheckInDependencies extends TrustPlace {
  readonly clock: Clock;
  readonly http: Http;
  readonly identity: Identity;
  readonly key: KeyObject;
  readonly counter: Counter;
  readonly events: EventQueue;
  log(line: string): void;
}

/** The parts of the request that the caller knows. */
export type Report = Pick<CheckInRequestInput, 'have' | 'health' | 'quarantine' | 'awaited'>;

export type CheckInOutcome =
  | { readonly outcome: 'answered'; readonly desired: Remembered['desired']; readonly seen: CheckInAnswer['seen'] }
  | { readonly outcome: 'unreachable' | 'not-trusted' | 'refused'; readonly remembered: Remembered };

/** What the request says about earlier answers. */
type Known = Pick<Remembered, 'etag' | 'last'>;

interface Outgoing {
  readonly bytes: Buffer;
  readonly sent: CheckInRequestInput['events'];
}

interface Round extends Known {
  readonly report: Report;
  readonly asking: Asking;
}

function requestBody(deps: CheckInDependencies, { report, etag, last, asking }: Round): Outgoing {
  const trusted = trustedVersions(deps);
  const { features, ...said } = saidOf(asking);
  const request: CheckInRequestInput = {
    ...report,
    ...(trusted === null ? {} : { trusted }),
    proto: 1,
    ...said,
    features: ['update', 'events', 'seen', ...features],
    boot: deps.clock.bootId(),
    seq: deps.counter.next(),
    clock: { wallS: deps.clock.wallS(), monoMs: deps.clock.monoMs() },
    machine: hostName(deps.files),
    ...(last === null ? {} : { last }),
    etag,
    events: deps.events.next(),
  };
  const bytes = Buffer.from(JSON.stringify(request));
  if (bytes.length <= checkInBytesMax) return { bytes, sent: request.events };
  // The lifeline is sent however large the events are; they follow one by one.
  const sent = request.events.slice(0, 1);
  return { bytes: Buffer.from(JSON.stringify({ ...request, events: sent })), sent };
}

async function roundTrip(
  deps: CheckInDependencies,
  asked: Round,
  signal: AbortSignal | undefined,
  totalMs: number,
): Promise<Verified & Pick<Outgoing, 'sent'>> {
  const keys = await answerKeysNow(deps);
  let round = asked;
  for (let attempt = 0; ; attempt += 1) {
    const { bytes: body, sent } = requestBody(deps, round);
    const signed = signCheckIn(deps.identity.url, body, round.asking, deps.key);
    const request = { method: 'POST', ...signed, totalMs } as const;
    const answer = await deps.http.fetch(signal === undefined ? request : { ...request, signal }, answerBytesMax);
    const trusted = await verifiedByNewest(answer, deps, keys, signed.asked);
    const { said } = trusted;
    if (attempt < conflictRetries && said.kind === 'authority-unknown') {
      deps.log(serverTexts.otherAuthority(round.asking.authority));
      keepKnownAuthority(deps, null);
      round = { ...round, asking: { ...round.asking, isKnown: false, signs: false } };
    } else if (attempt < conflictRetries && said.kind === 'counter-too-low') deps.counter.adopt(said.next);
    else return { ...trusted, sent };
  }
}

/** Over each entry of the network path in turn, each with its own request; together they share the time of one. */
function verifiedRoundTrip(
  deps: CheckInDependencies,
  round: Round,
  signal: AbortSignal | undefined,
): ReturnType<typeof roundTrip> {
  return overPath(deps.http, {
    totalMs: requestTotalMs,
    work: (http, totalMs) => roundTrip({ ...deps, http }, round, signal, totalMs),
    isUnverified: (error) => error instanceof HttpError || error instanceof NotTrustedError,
    by: 'answer',
    log: deps.log,
  });
}

function accept(
  deps: CheckInDependencies,
  before: Remembered,
  trusted: Awaited<ReturnType<typeof roundTrip>>,
  asking: Asking,
): CheckInOutcome {
  const answered = { boot: deps.clock.bootId(), monoMs: deps.clock.monoMs(), wallS: deps.clock.wallS() };
  const now = { boot: answered.boot, triedMs: answered.monoMs };
  const { said, mark: last } = trusted;
  if (said.kind === 'unchanged') {
    saveRemembered(deps, { ...before, ...now, nextInS: before.paceS, answered, failures: 0, last, error: null });
    return { outcome: 'answered', desired: before.desired, seen: {} };
  }
  if (said.kind !== 'answer') return refused(deps, before, trusted);
  const answer = answerShape.parse(said.json);
  for (const text of deps.events.settle(trusted.sent, answer)) deps.log(text);
  keepKnownAuthority(deps, knownAfter(asking, answer.features));
  const { etag, desired, clone = [], cloneKeys = [] } = answer;
  const paceS = clampDelayS(answer.nextInS);
  const time = timeTold(deps, before, answer.issuedAt);
  saveRemembered(deps, {
    ...now,
    etag,
    desired,
    nextInS: paceS,
    paceS,
    ...time,
    answered,
    failures: 0,
    unheard: before.unheard,
    clone,
    cloneKeys,
    last,
    error: null,
  });
  return { outcome: 'answered', desired, seen: answer.seen };
}

/**
 * The time according to answers: at most as far beyond what was known at this boot's first answer as the time passed
 * since, plus one step, however many answers there are. So their key alone can never make the server's metadata look
 * expired.
 */
function timeTold(
  deps: CheckInDependencies,
  before: Remembered,
  saidS: number,
): Pick<Remembered, 'issuedAtS' | 'timeBase'> {
  const [boot, monoMs] = [deps.clock.bootId(), deps.clock.monoMs()];
  const trusted = trustedTime(deps);
  const knownS = Math.floor((trusted?.getTime() ?? 0) / 1000);
  const first = { boot, monoMs, s: trusted === null ? withinStep(null, saidS) : Math.max(knownS, before.issuedAtS) };
  const base = before.timeBase?.boot === boot ? before.timeBase : first;
  const passedS = Math.floor(Math.max(0, monoMs - base.monoMs) / 1000);
  const reachedS = Math.min(base.s + passedS, trustedTimeMaxS);
  const issuedAtS = Math.min(saidS, Math.max(knownS, withinStep(new Date(reachedS * 1000), saidS)));
  return { issuedAtS, timeBase: base };
}

function refused(
  deps: CheckInDependencies,
  before: Remembered,
  { status, said, retryAfterS }: Verified,
): CheckInOutcome {
  if (said.kind === 'key-unknown') {
    // It keeps running and asks with the back-off of any failure: restoring the right backup of the server is enough.
    const error = {
      code: 'appliance-unknown',
      message: serverTexts.notKnown,
      next: serverTexts.notKnownNext,
    };
    return { outcome: 'refused', remembered: failed(deps, before, error, retryAfterS) };
  }
  if (said.kind === 'retired') {
    // Retired: what runs keeps running, and the updater asks once a day whether this is still so.
    const error = {
      code: 'retired',
      message: serverTexts.retired,
      next: serverTexts.retiredNext,
    };
    return { outcome: 'refused', remembered: failed(deps, before, error, delayMaxS) };
  }
  const error = {
    code: `http-${status}`,
    message: serverTexts.refused,
    next: serverTexts.refusedNext,
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
  return saveRemembered(deps, {
    ...before,
    boot: deps.clock.bootId(),
    triedMs: deps.clock.monoMs(),
    failures,
    error,
    nextInS,
  });
}

/**
 * One round trip; a `fresh` one wants the whole answer even when nothing changed. An answer that this server did not
 * sign for this request changes only the time of the next try; every failure is remembered with its reason and never
 * stops the caller.
 */
export async function checkIn(
  deps: CheckInDependencies,
  report: Report,
  fresh = false,
  signal?: AbortSignal,
): Promise<CheckInOutcome> {
  const remembered = loadRemembered(deps.files, deps.layout);
  const { last } = remembered;
  const asking = asksUnder(authorityOfAddress(deps.identity.url), knownAuthority(deps), remembered.unheard);
  const after = (isVerified: boolean) => ({
    ...remembered,
    unheard: unheardAfter(asking, remembered.unheard, isVerified),
  });
  // After an unanswered request, ask for the whole answer: it says what the server understands.
  const etag = fresh || asking.isKnown !== asking.signs ? null : remembered.etag;
  try {
    return accept(deps, after(true), await verifiedRoundTrip(deps, { report, etag, last, asking }, signal), asking);
  } catch (error) {
    const before = after(!(error instanceof HttpError || error instanceof NotTrustedError));
    if (error instanceof HttpError) {
      const next = serverTexts.unreachableNext;
      return {
        outcome: 'unreachable',
        remembered: failed(deps, before, { code: error.code, message: error.message, next }),
      };
    }
    if (error instanceof NotTrustedError || error instanceof z.ZodError) {
      const { code, message, retryAfterS } =
        error instanceof NotTrustedError ? error : new NotTrustedError('answer-malformed', 0, error);
      const next = serverTexts.impostorNext;
      return { outcome: 'not-trusted', remembered: failed(deps, before, { code, message, next }, retryAfterS) };
    }
    throw error;
  }
}
