import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { hostNameOf } from '../../protocol/address.ts';
import { type Html, html } from '../../protocol/html.ts';
import type { Core } from '../core.ts';
import { expireOrders } from '../fleet/send-order.ts';
import { noticesOf } from '../notices.ts';
import type { Looks } from '../operator/looks.ts';
import { rolloutViews } from '../operator/rollout-view.ts';
import { cookieName, type Session, type Sessions } from '../operator/session.ts';
import { orderViews } from '../operator/views.ts';
import { Refusal } from '../refusal.ts';
import { dashboardTexts, logTexts } from '../texts.ts';
import { dashboardPage, loginPage } from './page.ts';
import { type DashboardState, fleetSections, noticeList } from './sections.ts';

/** Rows that the page shows; the API has the rest. */
const shownMax = { orders: 20, rollouts: 10 } as const;
const loginBytesMax = 1_024;

const config = { access: 'page' } as const;
const loginShape = z.object({ token: z.string().max(200) });

const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  // Not no-referrer: browsers would then send "Origin: null" with the login form.
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** Most proxies name themselves in one of these headers: then the request is not from this host alone. */
const forwardingHeader =
  /^(?:x-forwarded.*|forwarded|via|x-real-ip|(?:x-|true-|x-cluster-|fastly-)client-ip|cf-connecting-ip|cdn-loop)$/;

/**
 * The dashboard: read without a token if `--open-to-this-host` allows it; changes go to the API, with a session and its
 * CSRF token.
 */
export function dashboardRoutes(core: Core, sessions: Sessions, looks: Looks) {
  const asset = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8');
  const style = asset('dashboard.css');
  const script = asset('dashboard.js');
  const state = looks.shared(() => stateOf(core, looks));
  // One version for readers, one for operators: each is made once for everybody.
  const toRead = looks.shared(() => fleetSections(state(), false));
  const toChange = looks.shared(() => fleetSections(state(), true));
  const sections = (session: Session | null): Html => {
    expireOrders(core);
    return html`${noticeList(noticesOf(core))}${(session === null ? toRead : toChange)()}`;
  };
  return (app: FastifyInstance, _options: object, done: () => void): void => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: loginBytesMax },
      (_request, body, parsed) => parsed(null, Object.fromEntries(new URLSearchParams(String(body)))),
    );
    app.addHook('onSend', async (_request, reply) => {
      reply.headers(headers);
    });
    app.get('/dashboard.css', { config }, (_request, reply) => reply.type('text/css; charset=utf-8').send(style));
    app.get('/dashboard.js', { config }, (_request, reply) =>
      reply.type('text/javascript; charset=utf-8').send(script),
    );
    app.get('/', { config }, (request, reply) => {
      // All addresses in the page are relative, so its own ends in a slash.
      const asked = request.originalUrl.split('?')[0] ?? '';
      if (core.policy.basePaths.includes(asked)) return reply.redirect(`${asked}/`, 308);
      const session = sessions.find(request);
      const text = mayRead(core, session, request)
        ? dashboardPage(state(), sections(session), session)
        : loginPage(dashboardTexts.giveToken);
      return reply.type('text/html; charset=utf-8').send(text);
    });
    app.get('/fragment', { config }, (request, reply) => {
      const session = sessions.find(request);
      if (!mayRead(core, session, request))
        throw new Refusal('token-needed', dashboardTexts.operatorsOnly, dashboardTexts.operatorsOnlyNext);
      return reply.type('text/html; charset=utf-8').send(sections(session).markup);
    });
    app.post('/login', { config }, (request, reply) => logIn(core, sessions, request, reply));
    app.post('/logout', { config }, (request, reply) => {
      sessions.close(request);
      return reply.header('set-cookie', cookie(core, '', 0, request)).redirect('./', 303);
    });
    done();
  };
}

function mayRead(core: Core, session: Session | null, { headers }: FastifyRequest): boolean {
  if (session !== null) return true;
  return core.policy.openReading && !Object.keys(headers).some((name) => forwardingHeader.test(name));
}

/**
 * Without a path the cookie belongs to where it was set: to this server, not to its neighbours below other paths of the
 * site.
 */
function cookie(core: Core, value: string, maxAgeS: number, request: FastifyRequest): string {
  const secure = core.policy.isReachedByTls(hostNameOf(request.headers.host ?? '')) ? '; Secure' : '';
  return `${cookieName}=${value}; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict${secure}`;
}

function logIn(core: Core, sessions: Sessions, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const form = loginShape.safeParse(request.body);
  try {
    const opened = sessions.open(form.success ? form.data.token.trim() : '', request.ip);
    return reply.header('set-cookie', cookie(core, opened.cookie, opened.maxAgeS, request)).redirect('./', 303);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const text = loginPage(dashboardTexts.didNotWork(error.message, error.next ?? dashboardTexts.tryAgain));
    if (error.retryAfterS !== undefined) reply.header('retry-after', error.retryAfterS);
    return reply.code(error.status).type('text/html; charset=utf-8').send(text);
  }
}

function stateOf(core: Core, looks: Looks): DashboardState {
  return {
    appliances: looks.appliances(),
    orders: orderViews(core, core.orders.list(null, shownMax.orders)),
    rollouts: rolloutViews(core, shownMax.rollouts),
    nowMs: core.nowMs(),
    rowFailed: (what, error) => core.log.error(error, logTexts.notShown(what)),
  };
}
