import Sqlite from 'better-sqlite3';
import { type Asking, authorityOfAddress, knownAfter, saidOf } from '../protocol/authority.ts';
import { type CheckInAnswer, clampDelayS, delayMaxS, trialPaceS } from '../protocol/check-in.ts';
import { slotShape } from '../protocol/component.ts';
import { sha256 } from '../protocol/digest.ts';
import { eventsPerCheckInMax } from '../protocol/event.ts';
import type { CheckStatus, Start } from '../protocol/health.ts';
import { harmlessOrderKinds } from '../protocol/order.ts';
import type { Bell } from './bell.ts';
import { type CheckInBody, type CheckInOutcome, checkIn, isVerified } from './check-in.ts';
import { CheckInCounter } from './check-in-counter.ts';
import { worst } from './checks.ts';
import type { ClockJudge } from './clock-judge.ts';
import { type Credentials, CredentialsError, readAnswerKeys, readCredentials } from './credentials.ts';
import type { Effects, Over } from './effects/effects.ts';
import { HttpError } from './effects/http.ts';
import { KnownAuthority } from './known-authority.ts';
import type { NetworkPath } from './network-path.ts';
import type { OrderQueue } from './orders.ts';
import type { Batch, Outbox } from './outbox.ts';
import { giveUpDamaged, isUnusable } from './set-aside.ts';
import { checkInTexts } from './texts.ts';

/** Two check-ins are never closer than this, whatever the server or an order asks for. */
const pauseSMin = 0.2;
/**
 * The pause while more events wait than one check-in holds, or an order has news: short, but no flood after an outage.
 */
const drainPauseSMax = 1;
/**
 * After a failure the pause doubles from the first value to the last: a dead server is asked once a minute (S33, S49).
 */
const backOffS = { first: 0.5, last: 60 } as const;
/** Spreads out appliances that one event woke at the same time. */
const jitter = 0.1;
/** Counter conflicts in a row that are retried at once. */
const conflictRetries = 3;
/** Answers that a start needs soon: a trial passes when the server has seen the new version this often. */
const answersSoon = 2;
/** How often a long pause checks whether set-up has rewritten the credentials, which ends the pause. */
const lookForSetUpMs = 10_000;
/** Before the first answer, the server has not set a pace. */
const paceSAtStart = 60;

interface Trust {
  readonly appliance: string;
  readonly answerKeys: readonly string[];
  readonly asking: Asking;
}

export interface CheckInParts {
  readonly effects: Effects;
  readonly outbox: Outbox;
  readonly orders: OrderQueue;
  readonly start: Start;
  readonly version: string;
  readonly credentialsPath: string;
  readonly answerKeysPath: string;
  readonly networkPath: NetworkPath;
  readonly checks: () => Record<string, CheckStatus>;
  readonly clockJudge: ClockJudge;
}

/** The agent's conversation with the server: one check-in after another, for as long as the agent runs. */
export class CheckInLoop {
  /** Did the last check-in reach the server? */
  server: CheckStatus = 'unknown';
  readonly #parts: CheckInParts;
  readonly #counter: CheckInCounter;
  readonly #authority: KnownAuthority;
  #etag: string | null = null;
  /** In memory only: each start begins without one. */
  #last: string | null = null;
  #paceS = paceSAtStart;
  #answers = 0;
  #failures = 0;
  #conflicts = 0;
  #lastFailure: string | null = null;

  constructor(parts: CheckInParts) {
    this.#parts = parts;
    this.#counter = new CheckInCounter(parts.outbox);
    this.#authority = new KnownAuthority(parts.outbox, parts.effects.log);
  }

  async run(bell: Bell, signal: AbortSignal): Promise<void> {
    try {
      await this.#rounds(bell, signal);
    } finally {
      this.#counter.giveBack();
    }
  }

  async #rounds(bell: Bell, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const mark = await this.#credentialsMark();
      const pauseS = await this.#round(signal);
      if (signal.aborted) return;
      const spread = 1 + jitter * (2 * this.#parts.effects.random() - 1);
      const startMs = this.#parts.effects.clock.monoMs();
      await this.#waitFor(pauseS * spread * 1_000, mark, bell, signal);
      const waitedMs = this.#parts.effects.clock.monoMs() - startMs;
      if (waitedMs < pauseSMin * 1_000) await pause(pauseSMin * 1_000 - waitedMs, signal);
    }
  }

  #credentialsMark(): Promise<string | null> {
    return this.#parts.effects.files.mark(this.#parts.credentialsPath);
  }

  /** A new enrolment is a new start: an agent that was told to ask once a day asks at once. */
  async #waitFor(ms: number, mark: string | null, bell: Bell, signal: AbortSignal): Promise<void> {
    for (let leftMs = ms; !signal.aborted; leftMs -= lookForSetUpMs) {
      const isOver = await bell.wait(Math.min(leftMs, lookForSetUpMs), signal);
      if (isOver || leftMs <= lookForSetUpMs || (await this.#credentialsMark()) !== mark) return;
    }
  }

  /** @returns the pause until the next round, in seconds */
  async #round(signal: AbortSignal): Promise<number> {
    const { effects, credentialsPath, answerKeysPath } = this.#parts;
    try {
      const enrolled = await readCredentials(effects.files, credentialsPath);
      const answerKeys = await readAnswerKeys(effects.files, answerKeysPath, enrolled.answerKeys);
      const credentials = { ...enrolled, answerKeys };
      const batch = this.#parts.outbox.batch();
      const asking = this.#authority.asks(authorityOfAddress(credentials.url));
      const outcome = await this.#ask(credentials, batch, asking, signal);
      return this.#settle(outcome, batch, { ...credentials, asking });
    } catch (error) {
      if (signal.aborted) return 0;
      // A full disk: nothing was noted, so nothing is lost; the checks of the reading duty report it.
      // Damage further in, which the opening did not meet: no other try reads past it.
      if (error instanceof Sqlite.SqliteError && isUnusable(error))
        giveUpDamaged(this.#parts.outbox.database.name, error);
      if (error instanceof Sqlite.SqliteError) return this.#failed('store-refused', error.message, 0);
      if (!(error instanceof HttpError || error instanceof CredentialsError)) throw error;
      return this.#failed(error.code, error.message, 0);
    }
  }

  async #ask(credentials: Credentials, batch: Batch, asking: Asking, signal: AbortSignal): Promise<CheckInOutcome> {
    const { effects, networkPath } = this.#parts;
    const ask = (over: Over) =>
      checkIn(effects.http, credentials, { ...this.#request(batch, asking), asking }, over, signal);
    let isHeard = false;
    try {
      const outcome = await networkPath.over(ask, isVerified);
      isHeard = isVerified(outcome);
      return outcome;
    } finally {
      if (!signal.aborted) this.#authority.heard(asking, isHeard);
    }
  }

  #request({ events }: Batch, asking: Asking): CheckInBody {
    const { effects, start, version, checks } = this.#parts;
    const found = checks();
    const slot = slotShape.safeParse(start.slot);
    const { features, ...said } = saidOf(asking);
    return {
      proto: 1,
      ...said,
      features: ['records', ...harmlessOrderKinds.map((kind) => `order:${kind}`), ...features],
      boot: effects.boot,
      seq: this.#counter.take(),
      clock: { wallS: effects.clock.wallS(), monoMs: effects.clock.monoMs() },
      have: slot.success ? { app: { version, slot: slot.data, manifest: start.manifest } } : {},
      // After an unanswered request, ask for the whole answer: it says what the server understands.
      etag: asking.isKnown === asking.signs ? this.#etag : null,
      health: { status: worst(found), checks: found },
      start: sha256(start.nonce),
      ...(this.#last === null ? {} : { last: this.#last }),
      events,
    };
  }

  #settle(outcome: CheckInOutcome, batch: Batch, credentials: Trust): number {
    switch (outcome.outcome) {
      case 'answered':
        this.#last = outcome.mark;
        this.#reached();
        return this.#accept(outcome.answer, batch, credentials);
      case 'unchanged':
        this.#last = outcome.mark;
        this.#reached();
        return this.#pauseS();
      case 'counter-too-low':
        this.#counter.adopt(outcome.next);
        return this.#conflicted(this.#failed('counter-too-low', checkInTexts.counterExpected(outcome.next), 0));
      case 'authority-unknown':
        this.#authority.keep(null);
        return this.#failed('authority-unknown', checkInTexts.authorityUnknown, 0);
      case 'retired':
        return this.#failed('retired', checkInTexts.retired, delayMaxS);
      case 'refused':
        // The server answers and wants fewer events: the network path has not failed.
        if (outcome.verified && outcome.code === 'events-over-quota') {
          this.#reached();
          return Math.max(this.#pauseS(), outcome.retryAfterS);
        }
        return this.#failed(outcome.code, outcome.message, outcome.retryAfterS);
      default:
        return outcome satisfies never;
    }
  }

  #accept(answer: CheckInAnswer, { sent }: Batch, credentials: Trust): number {
    const { effects, outbox, orders } = this.#parts;
    const issuedAtS = answer.issuedAt;
    this.#parts.clockJudge.heard(issuedAtS);
    for (const text of outbox.settle(sent, { ...answer, issuedAtS })) {
      effects.log.warn({ code: 'server-memory', ackUpto: answer.ackUpto, epoch: answer.epoch }, text);
    }
    this.#authority.keep(knownAfter(credentials.asking, answer.features));
    this.#etag = answer.etag;
    this.#paceS = clampDelayS(answer.nextInS);
    orders.accept(answer.orders, { ...credentials, issuedAtS });
    return this.#pauseS();
  }

  #pauseS(): number {
    const more = this.#parts.outbox.waiting() >= eventsPerCheckInMax;
    const most = more ? drainPauseSMax : this.#answers < answersSoon ? trialPaceS : Number.POSITIVE_INFINITY;
    return Math.max(pauseSMin, Math.min(this.#paceS, most));
  }

  /**
   * Retries at once with the number that the server named; when two machines use the key, this ends in the back-off,
   * and the server says `clone`.
   */
  #conflicted(backOffS: number): number {
    this.#conflicts += 1;
    return this.#conflicts <= conflictRetries ? pauseSMin : backOffS;
  }

  #reached(): void {
    if (this.server !== 'ok') this.#parts.effects.log.info({ code: 'server-reached' }, checkInTexts.answers);
    this.server = 'ok';
    this.#answers += 1;
    this.#failures = 0;
    this.#conflicts = 0;
    this.#lastFailure = null;
  }

  #failed(code: string, message: string, askedS: number): number {
    this.server = 'fail';
    const pauseS = Math.max(Math.min(backOffS.first * 2 ** Math.min(this.#failures, 10), backOffS.last), askedS);
    this.#failures += 1;
    // Logged when it changes, not at each try (S48).
    if (this.#lastFailure !== code) {
      this.#parts.effects.log.warn({ code, error: message }, checkInTexts.none);
    }
    this.#lastFailure = code;
    return pauseS;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    }
    signal.addEventListener('abort', end, { once: true });
  });
}
