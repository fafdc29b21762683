import Sqlite from 'better-sqlite3';
import { type CheckInAnswer, clampDelayS, delayMaxS } from '../protocol/check-in.ts';
import { slotShape } from '../protocol/component.ts';
import { sha256 } from '../protocol/digest.ts';
import { eventsPerCheckInMax } from '../protocol/event.ts';
import type { CheckStatus, Start } from '../protocol/health.ts';
import { harmlessOrderKinds } from '../protocol/order.ts';
import type { Bell } from './bell.ts';
import { type CheckInBody, type CheckInOutcome, checkIn } from './check-in.ts';
import type { CheckInCounter } from './check-in-counter.ts';
import { worst } from './checks.ts';
import { CredentialsError, readAnswerKeys, readCredentials } from './credentials.ts';
import type { Effects } from './effects/effects.ts';
import { HttpError } from './effects/http.ts';
import type { OrderQueue } from './orders.ts';
import type { Outbox } from './outbox.ts';

/** Two check-ins are never closer than this, whatever the server or an order asks for. */
const pauseSMin = 0.2;
/** While more events wait than one check-in holds, or an order has news: soon, but no flood after an outage. */
const drainPauseSMax = 1;
/** After a failure the pause doubles from here to there: a dead server is asked once a minute (S33, S49). */
const backOffS = { first: 0.5, last: 60 } as const;
/** Spreads the appliances that one event woke at the same time. */
const jitter = 0.1;
/** Before the first answer the server has not set a pace. */
const paceSAtStart = 60;

export interface CheckInParts {
  readonly effects: Effects;
  readonly outbox: Outbox;
  readonly counter: CheckInCounter;
  readonly orders: OrderQueue;
  readonly start: Start;
  readonly version: string;
  readonly credentialsPath: string;
  readonly answerKeysPath: string;
  readonly checks: () => Record<string, CheckStatus>;
}

/** The agent's conversation with the server: one check-in after the other, for as long as the agent runs. */
export class CheckInLoop {
  /** Did the last check-in reach the server? */
  server: CheckStatus = 'unknown';
  readonly #parts: CheckInParts;
  #etag: string | null = null;
  #paceS = paceSAtStart;
  #failures = 0;
  #lastFailure: string | null = null;

  constructor(parts: CheckInParts) {
    this.#parts = parts;
  }

  async run(bell: Bell, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const pauseS = await this.#round(signal);
      if (signal.aborted) return;
      const spread = 1 + jitter * (2 * this.#parts.effects.random() - 1);
      const startMs = this.#parts.effects.clock.monoMs();
      await bell.wait(pauseS * spread * 1_000, signal);
      const waitedMs = this.#parts.effects.clock.monoMs() - startMs;
      if (waitedMs < pauseSMin * 1_000) await pause(pauseSMin * 1_000 - waitedMs, signal);
    }
  }

  /** @returns the pause until the next one, in seconds */
  async #round(signal: AbortSignal): Promise<number> {
    const { effects, credentialsPath, answerKeysPath } = this.#parts;
    try {
      const enrolled = await readCredentials(effects.files, credentialsPath);
      const answerKeys = await readAnswerKeys(effects.files, answerKeysPath, enrolled.answerKeys);
      const credentials = { ...enrolled, answerKeys };
      const outcome = await checkIn(effects.http, credentials, this.#request(), signal);
      return this.#settle(outcome, credentials);
    } catch (error) {
      if (signal.aborted) return 0;
      // A full disk: nothing was noted, so nothing is lost; the reading duty says it in its checks.
      if (error instanceof Sqlite.SqliteError) return this.#failed('store-refused', error.message, 0);
      if (!(error instanceof HttpError || error instanceof CredentialsError)) throw error;
      return this.#failed(error.code, error.message, 0);
    }
  }

  #request(): CheckInBody {
    const { effects, outbox, counter, start, version, checks } = this.#parts;
    const found = checks();
    const slot = slotShape.safeParse(start.slot);
    return {
      proto: 1,
      features: ['records', ...harmlessOrderKinds.map((kind) => `order:${kind}`)],
      boot: effects.boot,
      seq: counter.take(),
      clock: { wallS: effects.clock.wallS(), monoMs: effects.clock.monoMs() },
      have: slot.success ? { app: { version, slot: slot.data, manifest: start.manifest } } : {},
      etag: this.#etag,
      health: { status: worst(found), checks: found },
      start: sha256(start.nonce),
      events: outbox.batch(),
    };
  }

  #settle(outcome: CheckInOutcome, credentials: { appliance: string; answerKeys: readonly string[] }): number {
    switch (outcome.outcome) {
      case 'answered':
        this.#reached();
        return this.#accept(outcome.answer, credentials);
      case 'unchanged':
        this.#reached();
        return this.#pauseS();
      case 'counter-too-low':
        // The next try follows soon; a key that is in use twice ends in the back-off, and the server says `clone`.
        this.#parts.counter.adopt(outcome.next);
        return this.#failed('counter-too-low', `the server expects counter ${outcome.next} or above`, 0);
      case 'retired':
        return this.#failed('retired', 'the server retired this appliance; asking once a day, work goes on', delayMaxS);
      case 'refused':
        return this.#failed(outcome.code, outcome.message, outcome.retryAfterS);
      default:
        return outcome satisfies never;
    }
  }

  #accept(answer: CheckInAnswer, credentials: { appliance: string; answerKeys: readonly string[] }): number {
    const { effects, outbox, orders } = this.#parts;
    const settled = outbox.settle({ ackUpto: answer.ackUpto, epoch: answer.epoch, issuedAtS: answer.issuedAt });
    if (!settled) {
      effects.log.warn(
        { code: 'outbox-younger-than-server', ackUpto: answer.ackUpto },
        'the server has more events of this appliance than its outbox ever held; nothing is forgotten',
      );
    }
    this.#etag = answer.etag;
    this.#paceS = clampDelayS(answer.nextInS);
    orders.accept(answer.orders, credentials);
    return this.#pauseS();
  }

  #pauseS(): number {
    const more = this.#parts.outbox.waiting() >= eventsPerCheckInMax;
    return Math.max(pauseSMin, more ? Math.min(this.#paceS, drainPauseSMax) : this.#paceS);
  }

  #reached(): void {
    if (this.server !== 'ok') this.#parts.effects.log.info({ code: 'server-reached' }, 'the server answers');
    this.server = 'ok';
    this.#failures = 0;
    this.#lastFailure = null;
  }

  #failed(code: string, message: string, askedS: number): number {
    this.server = 'fail';
    const pauseS = Math.max(Math.min(backOffS.first * 2 ** Math.min(this.#failures, 10), backOffS.last), askedS);
    this.#failures += 1;
    // Said when it changes, not at each try (S48).
    if (this.#lastFailure !== code) {
      this.#parts.effects.log.warn({ code, error: message }, 'no check-in; trying again with growing pauses');
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
