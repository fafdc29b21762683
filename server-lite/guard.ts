import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Refusal } from './refusal.ts';

/** Who may use a route; every route says so, and a test reads it back. */
export type Access = 'machine' | 'operator' | 'page' | 'public';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
}

export const loopbackHosts: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** @param hosts names that this server is reached by, beside the loopback ones */
export function guardHostAndOrigin(app: FastifyInstance, hosts: () => ReadonlySet<string>): void {
  app.addHook('onRequest', async (request) => {
    requireHost(request, hosts());
    requireOrigin(request);
  });
}

/** A foreign name in the Host header means that somebody's DNS points here (DNS rebinding). */
function requireHost(request: FastifyRequest, hosts: ReadonlySet<string>): void {
  const host = (request.headers.host ?? '').toLowerCase().replace(/:\d+$/, '');
  if (loopbackHosts.has(host) || hosts.has(host)) return;
  throw new Refusal('host-not-served', 'this server does not go by that name', 'use the address that it printed');
}

/** Browsers name the page that asks; only our own may. */
function requireOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  if (origin === undefined) return;
  if (URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()) return;
  throw new Refusal('origin-foreign', 'another page asked in your name', 'use the dashboard itself');
}
