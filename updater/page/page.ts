import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Layout } from '../../protocol/layout.ts';
import { type Request, requestKinds } from '../../protocol/request.ts';
import { pageTexts } from '../words/texts.ts';
import { type ActionContext, act } from './actions.ts';
import type { PageEffects } from './effects.ts';
import { type Guard, type Refusal, refusalOf } from './guard.ts';
import type { PasswordWaits } from './password-waits.ts';
import { type Reading, readStatus, statusOf } from './read-status.ts';
import { isWaiting } from './requests.ts';
import { type Notice, renderPage } from './view.ts';

export interface PageContext extends ActionContext {
  readonly guard: Guard;
  readonly passwordWaits: PasswordWaits;
}

/** The answer to the request that the address names. */
function noticeOn(effects: PageEffects, layout: Layout, reading: Reading, asked: string): Notice | null {
  if (!/^[0-9a-f-]{36}$/.test(asked)) return null;
  const answered = statusOf(reading)?.lastRequest;
  if (answered?.id === asked) {
    const isBad = answered.outcome === 'refused' || answered.outcome === 'failed';
    const kind = answered.open === true ? 'waiting' : isBad ? 'refused' : 'done';
    const code = answered.code === undefined || !isBad ? '' : ` (${answered.code})`;
    return { kind, sentence: pageTexts.answered(answered.text, code) };
  }
  return isWaiting(effects, layout, asked)
    ? { kind: 'waiting', sentence: pageTexts.requestWaits }
    : { kind: 'waiting', sentence: pageTexts.requestTaken };
}

function send(response: ServerResponse, status: number, type: string, body: string, csp: string): void {
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'content-security-policy': csp,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    // Not `no-referrer`: with that, browsers hide the Origin that guards the forms.
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  });
  response.end(body);
}

function sendText(response: ServerResponse, status: number, sentence: string): void {
  send(response, status, 'text/plain', `${sentence}\n`, "default-src 'none'; frame-ancestors 'none'");
}

function sendPage(
  context: PageContext,
  response: ServerResponse,
  status: number,
  reading: Reading,
  notice: Notice | null,
): void {
  const { clock } = context.effects;
  const nonce = randomBytes(16).toString('base64');
  const present = { boot: clock.bootId(), monoMs: clock.monoMs() };
  const body = renderPage({ reading, present, notice, nonce, hasPin: context.attempts.hasPin() });
  const csp = `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;
  send(response, status, 'text/html', body, csp);
}

function get(context: PageContext, response: ServerResponse, url: URL): void {
  const { effects, layout } = context;
  const reading = readStatus(effects, layout);
  if (url.pathname === '/') {
    const asked = url.searchParams.get('asked') ?? '';
    sendPage(context, response, 200, reading, noticeOn(effects, layout, reading, asked));
  } else if (url.pathname === '/status.json') {
    const facts =
      reading.kind === 'known'
        ? { known: true, why: null, ageMs: reading.ageMs }
        : { known: false, why: reading.why, ageMs: null };
    const body = `${JSON.stringify({ ...facts, status: statusOf(reading) })}\n`;
    send(response, 200, 'application/json', body, "default-src 'none'; frame-ancestors 'none'");
  } else sendText(response, 404, pageTexts.nothingHere);
}

async function post(
  context: PageContext,
  request: IncomingMessage,
  response: ServerResponse,
  kind: Request['kind'],
): Promise<void> {
  const result = await act(context, kind, request);
  if (result.outcome === 'asked') {
    // 303: loading the page again does not ask again.
    response.writeHead(303, { location: `/?asked=${result.id}`, 'cache-control': 'no-store' }).end();
    return;
  }
  if (result.retryAfterS !== undefined) response.setHeader('retry-after', result.retryAfterS);
  const reading = readStatus(context.effects, context.layout);
  sendPage(context, response, result.status, reading, { kind: 'refused', sentence: result.sentence });
}

/**
 * The guard's answer, if this peer may try a password now. A browser that has not asked for a password yet tries none.
 */
function guarded(
  { guard, passwordWaits, connections, effects }: PageContext,
  request: IncomingMessage,
): Refusal | null {
  const method = request.method ?? '';
  const peer = connections.peerOf(request);
  if (guard.password === null || peer === null || request.headers.authorization === undefined)
    return refusalOf(guard, method, request.headers);
  const nowMs = effects.clock.monoMs();
  const leftS = passwordWaits.leftS(peer, nowMs);
  if (leftS > 0) return { status: 429, sentence: pageTexts.tooManyPasswords(leftS) };
  const refusal = refusalOf(guard, method, request.headers);
  if (refusal?.status === 401) passwordWaits.wrong(peer, nowMs);
  // Refused before the password was checked: that says nothing about the password.
  else if (refusal?.status !== 400) passwordWaits.right(peer);
  return refusal;
}

/** Answers one request of a browser or a program. */
export async function answer(context: PageContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const method = request.method ?? '';
  const refusal = guarded(context, request);
  if (refusal !== null) {
    if (refusal.status === 401) response.setHeader('www-authenticate', 'Basic realm="Holdfast", charset="UTF-8"');
    response.setHeader('connection', 'close');
    return sendText(response, refusal.status, refusal.sentence);
  }
  const target = request.url ?? '/';
  if (!target.startsWith('/')) return sendText(response, 400, pageTexts.notAnAddress);
  const url = new URL(`http://page${target.replace(/^\/+/, '/')}`);
  if (method === 'GET' || method === 'HEAD') return get(context, response, url);
  const kind = requestKinds.find((candidate) => url.pathname === `/${candidate}`);
  if (method !== 'POST' || kind === undefined) return sendText(response, 405, pageTexts.nothingTakesThat);
  return await post(context, request, response, kind);
}
