import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { sha256 } from '../../protocol/digest.ts';
import type { Core } from '../core.ts';
import { peerOf } from '../peer.ts';
import { Refusal } from '../refusal.ts';
import { operatorTexts } from '../texts.ts';
import { LoginWaits } from './login-waits.ts';
import { isToken, tokenMark } from './token.ts';

/** Simultaneous sessions; the oldest is dropped first. */
const sessionsMax = 50;
const sessionMs = 12 * 3_600_000;

export const cookieName = 'holdfast_session';

export interface Session {
  readonly csrf: string;
  readonly endsAtMs: number;
  /** {@link tokenMark} of the token that opened it. */
  readonly tokenMark: string;
}

export interface Sessions {
  /**
   * Wrong tokens count, wherever they are given.
   * @param address of the client
   * @throws Refusal `token-wrong`, `login-delayed`
   */
  requireToken(token: string, address: string): void;
  /** @throws Refusal as {@link requireToken} does */
  open(token: string, address: string): { readonly cookie: string; readonly maxAgeS: number };
  find(request: FastifyRequest): Session | null;
  close(request: FastifyRequest): void;
}

function cookieOf(request: FastifyRequest): string | null {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([name]) => name === cookieName)?.[1] ?? null;
}

/** The dashboard's sessions: in memory, so a restart of the server ends all of them. Cookies are kept as digests. */
export function sessionsOf(core: Core): Sessions {
  const sessions = new Map<string, Session>();
  const waits = new LoginWaits();
  const requireToken: Sessions['requireToken'] = (token, address) => {
    const peer = peerOf(address);
    if (!isToken(core.settings, token)) throw refusedToken(waits, peer, core.nowMs());
    waits.right(peer);
  };
  return {
    requireToken,
    open: (token, address) => {
      requireToken(token, address);
      const nowMs = core.nowMs();
      const cookie = randomBytes(24).toString('base64url');
      const csrf = randomBytes(24).toString('base64url');
      sessions.set(sha256(cookie), { csrf, endsAtMs: nowMs + sessionMs, tokenMark: tokenMark(core.settings) });
      for (const oldest of sessions.keys()) {
        if (sessions.size <= sessionsMax) break;
        sessions.delete(oldest);
      }
      return { cookie, maxAgeS: sessionMs / 1000 };
    },
    find: (request) => {
      const cookie = cookieOf(request);
      const session = cookie === null ? undefined : sessions.get(sha256(cookie));
      if (session === undefined || core.nowMs() >= session.endsAtMs) return null;
      return session.tokenMark === tokenMark(core.settings) ? session : null;
    },
    close: (request) => {
      const cookie = cookieOf(request);
      if (cookie !== null) sessions.delete(sha256(cookie));
    },
  };
}

function refusedToken(waits: LoginWaits, peer: string, nowMs: number): Refusal {
  const leftS = Math.ceil(waits.leftMs(peer, nowMs) / 1000);
  if (leftS === 0) {
    waits.failed(peer, nowMs);
    return new Refusal('token-wrong', operatorTexts.tokenWrong, operatorTexts.whereTheTokenIs);
  }
  const next = operatorTexts.loginDelayedNext(operatorTexts.whereTheTokenIs, leftS);
  return new Refusal('login-delayed', operatorTexts.loginDelayed, next, { retryAfterS: leftS });
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Lets an operator in: with the token as Bearer, or with a session, whose changes carry its CSRF token.
 * @throws Refusal `token-needed`, `token-wrong`, `login-delayed`, `csrf-missing`
 */
export function requireOperator(sessions: Sessions, request: FastifyRequest): void {
  const bearer = /^Bearer (\S{1,200})$/.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) {
    sessions.requireToken(bearer, request.ip);
    return;
  }
  const session = sessions.find(request);
  if (session === null) {
    throw new Refusal(
      'token-needed',
      operatorTexts.tokenNeeded,
      operatorTexts.tokenNeededNext(operatorTexts.whereTheTokenIs),
    );
  }
  if (safeMethods.has(request.method)) return;
  const offered = request.headers['x-csrf-token'];
  if (typeof offered === 'string' && isSame(offered, session.csrf)) return;
  throw new Refusal('csrf-missing', operatorTexts.csrfMissing, operatorTexts.csrfMissingNext);
}

function isSame(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(a)), Buffer.from(sha256(b)));
}
