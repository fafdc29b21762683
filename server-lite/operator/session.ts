import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { sha256 } from '../../protocol/digest.ts';
import type { Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import { isToken } from './token.ts';

/** Sessions at one time; the oldest goes first. */
const sessionsMax = 50;
const sessionMs = 12 * 3_600_000;
/** Wrong tokens in a row before each further try has to wait this long. */
const freeTries = 5;
const delayMs = 2_000;

export const cookieName = 'holdfast_session';

export interface Session {
  readonly csrf: string;
  readonly endsAtMs: number;
}

export interface Sessions {
  /** @throws Refusal `token-wrong`, `login-delayed` */
  open(token: string): { readonly cookie: string; readonly maxAgeS: number };
  find(request: FastifyRequest): Session | null;
  close(request: FastifyRequest): void;
}

function cookieOf(request: FastifyRequest): string | null {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([name]) => name === cookieName)?.[1] ?? null;
}

/** The dashboard's sessions: in memory, so a restart of the server ends them all. Cookies are kept as digests. */
export function sessionsOf(core: Core): Sessions {
  const sessions = new Map<string, Session>();
  let failures = 0;
  let waitUntilMs = 0;
  return {
    open: (token) => {
      const nowMs = core.nowMs();
      if (nowMs < waitUntilMs)
        throw new Refusal('login-delayed', 'too many wrong tokens', 'wait two seconds and try again');
      if (!isToken(core.settings, token)) {
        failures += 1;
        if (failures >= freeTries) waitUntilMs = nowMs + delayMs;
        throw new Refusal(
          'token-wrong',
          'this is not the operator token',
          'it was printed when the server first started',
        );
      }
      failures = 0;
      const cookie = randomBytes(24).toString('base64url');
      const csrf = randomBytes(24).toString('base64url');
      sessions.set(sha256(cookie), { csrf, endsAtMs: nowMs + sessionMs });
      for (const oldest of sessions.keys()) {
        if (sessions.size <= sessionsMax) break;
        sessions.delete(oldest);
      }
      return { cookie, maxAgeS: sessionMs / 1000 };
    },
    find: (request) => {
      const cookie = cookieOf(request);
      const session = cookie === null ? undefined : sessions.get(sha256(cookie));
      return session !== undefined && core.nowMs() < session.endsAtMs ? session : null;
    },
    close: (request) => {
      const cookie = cookieOf(request);
      if (cookie !== null) sessions.delete(sha256(cookie));
    },
  };
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Lets an operator in: by the token as Bearer, or by a session whose changes carry its CSRF token.
 * @throws Refusal `token-needed`, `token-wrong`, `csrf-missing`
 */
export function requireOperator(core: Core, sessions: Sessions, request: FastifyRequest): void {
  const bearer = /^Bearer (\S{1,200})$/.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) {
    if (isToken(core.settings, bearer)) return;
    throw new Refusal('token-wrong', 'this is not the operator token', 'it was printed when the server first started');
  }
  const session = sessions.find(request);
  if (session === null) {
    throw new Refusal(
      'token-needed',
      'only an operator may do this',
      'give the token that the server printed at its first start',
    );
  }
  if (safeMethods.has(request.method)) return;
  const offered = request.headers['x-csrf-token'];
  if (typeof offered === 'string' && isSame(offered, session.csrf)) return;
  throw new Refusal('csrf-missing', 'this change did not come from the dashboard itself', 'load the dashboard again');
}

function isSame(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(a)), Buffer.from(sha256(b)));
}
