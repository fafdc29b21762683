import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { FastifyInstance } from 'fastify';
import { checkInPath } from '../../protocol/check-in.ts';
import { claimedKeyId } from '../../protocol/trust/http-signature.ts';
import type { Listen } from '../listen-policy.ts';
import { type ConnectionLimits, uploadMs } from './limits.ts';
import type { ConnectionTable } from './table.ts';

/** How often slow heads are looked for. */
const lookEveryMs = 1_000;

/**
 * Node's HTTP server within the limits; each of its connections is in the table, and has one request in work: a client
 * that does not wait for its answer has a thousand of them in one packet.
 */
export function httpServerOf(
  answer: RequestListener,
  tls: Listen['tls'],
  limits: ConnectionLimits,
  table: ConnectionTable,
): Server {
  const times = {
    headersTimeout: limits.headersMs,
    requestTimeout: uploadMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(lookEveryMs, limits.headersMs),
  };
  const handler: RequestListener = (request, response) => {
    if (table.begin(request, response)) answer(request, response);
    else request.socket.destroy();
  };
  const server: Server =
    tls === null
      ? createServer(times, handler)
      : createTlsServer({ ...times, handshakeTimeout: limits.headersMs, cert: tls.cert, key: tls.key }, handler);
  table.watch(server);
  return server;
}

/** Answers to a check-in whose counter was taken. A recorded check-in gets neither. */
const countedStatuses: ReadonlySet<number> = new Set([200, 204]);

/** Tells the table who sends each request, and who proved itself: by a fresh check-in, or by the operator's token. */
export function reportTo(table: ConnectionTable, app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => table.ask(request.raw, request.ip));
  // After every onRequest hook: a request that comes this far on an operator's route has shown the token.
  app.addHook('preParsing', async (request) => {
    if (request.routeOptions.config.access === 'operator') table.prove(request.raw, { by: 'operator' });
  });
  app.addHook('onResponse', async (request, reply) => {
    // An enrolment has no counter: a recorded one is answered again and again.
    if (request.routeOptions.url !== checkInPath || !countedStatuses.has(reply.statusCode)) return;
    const keyId = claimedKeyId(request.headers);
    if (keyId !== null) table.prove(request.raw, { by: 'machine', keyId });
  });
}
