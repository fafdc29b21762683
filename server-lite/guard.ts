import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authorityOf, hostNameOf } from '../protocol/address.ts';
import { Refusal } from './refusal.ts';
import { requestTexts } from './texts.ts';

/** Who may use a route. Every route declares it, and a test reads it back. */
export type Access = 'machine' | 'operator' | 'page' | 'public';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
}

export const loopbackHosts: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** @param names of this server, beside the loopback ones */
export function guardHostAndOrigin(app: FastifyInstance, names: ReadonlySet<string>): void {
  app.addHook('onRequest', async (request) => {
    requireHost(request, names);
    requireOrigin(request);
  });
}

/** A foreign name in the Host header means that somebody's DNS name points here (DNS rebinding). */
function requireHost(request: FastifyRequest, names: ReadonlySet<string>): void {
  const host = hostNameOf(request.headers.host ?? '');
  if (loopbackHosts.has(host) || names.has(host)) return;
  throw new Refusal('host-not-served', requestTexts.hostNotServed, requestTexts.hostNotServedNext);
}

/** Browsers name the page that sends a request; only our own pages may. */
function requireOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined) return;
  if (URL.canParse(origin)) {
    const { host: asking, protocol } = new URL(origin);
    if (authorityOf(asking, protocol) === authorityOf(host ?? '', protocol)) return;
  }
  throw new Refusal('origin-foreign', requestTexts.foreignOrigin, requestTexts.foreignOriginNext);
}
