import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Core } from '../core.ts';
import { expireOrders } from '../fleet/send-order.ts';
import { applianceViews } from '../operator/appliance-view.ts';
import { cookieName, type Session, type Sessions } from '../operator/session.ts';
import { orderView, rolloutView } from '../operator/views.ts';
import { Refusal } from '../refusal.ts';
import { dashboardPage, loginPage } from './page.ts';
import { type DashboardState, liveSections } from './sections.ts';

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

/** The dashboard: read on loopback without a token; changes go to the API, with a session and its CSRF token. */
export function dashboardRoutes(core: Core, sessions: Sessions) {
  const asset = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8');
  const style = asset('dashboard.css');
  const script = asset('dashboard.js');
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
      const session = sessions.find(request);
      const text = mayRead(core, session)
        ? dashboardPage(stateOf(core, session), session)
        : loginPage('Give the operator token to see the fleet.');
      return reply.type('text/html; charset=utf-8').send(text);
    });
    app.get('/fragment', { config }, (request, reply) => {
      const session = sessions.find(request);
      if (!mayRead(core, session)) throw new Refusal('token-needed', 'the fleet is shown to operators only', 'log in');
      return reply.type('text/html; charset=utf-8').send(liveSections(stateOf(core, session)).text);
    });
    app.post('/login', { config }, (request, reply) => logIn(sessions, request, reply));
    app.post('/logout', { config }, (request, reply) => {
      sessions.close(request);
      return reply.header('set-cookie', cookie('', 0, request)).redirect('/', 303);
    });
    done();
  };
}

function mayRead(core: Core, session: Session | null): boolean {
  return core.policy.openReading || session !== null;
}

function cookie(value: string, maxAgeS: number, request: FastifyRequest): string {
  const secure = request.protocol === 'https' ? '; Secure' : '';
  return `${cookieName}=${value}; Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict${secure}`;
}

function logIn(sessions: Sessions, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const form = loginShape.safeParse(request.body);
  try {
    const opened = sessions.open(form.success ? form.data.token.trim() : '');
    return reply.header('set-cookie', cookie(opened.cookie, opened.maxAgeS, request)).redirect('/', 303);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const text = loginPage(`That did not work: ${error.message}. Next: ${error.next ?? 'try again'}.`);
    return reply.code(error.status).type('text/html; charset=utf-8').send(text);
  }
}

function stateOf(core: Core, session: Session | null): DashboardState {
  expireOrders(core);
  return {
    appliances: applianceViews(core),
    orders: core.orders.list(null, shownMax.orders).map((row) => orderView(core, row)),
    rollouts: core.rollouts
      .list()
      .slice(0, shownMax.rollouts)
      .map((one) => rolloutView(core, one)),
    nowMs: core.nowMs(),
    mayChange: session !== null,
  };
}
