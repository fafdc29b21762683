import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { type Core, makeCore } from './core.ts';
import { dashboardRoutes } from './dashboard/routes.ts';
import { expireOrders } from './fleet/send-order.ts';
import { type Access, guardHostAndOrigin } from './guard.ts';
import { keepHouse, scheduleHousekeeping } from './housekeeping.ts';
import { openKeys } from './keys.ts';
import type { Listen } from './listen-policy.ts';
import { type Counters, countersOf } from './machine/counter.ts';
import { machineRoutes } from './machine/routes.ts';
import { operatorRoutes } from './operator/routes.ts';
import { sessionsOf } from './operator/session.ts';
import { ensureToken } from './operator/token.ts';
import { Refusal, type RefusalCode } from './refusal.ts';
import { refreshOnlineMetadata } from './release/publish.ts';
import { releaseFileRoutes } from './release/serve-files.ts';
import { openDatabase } from './store/database.ts';

/** Last-seen and health reach the disk this often; they are read from memory. */
const flushMs = 5_000;
/** Orders are ended this long after their time at the latest, whether somebody looks or not. */
const expireMs = 10_000;
/** The timestamp's life is 7 days. */
const refreshMetadataMs = 12 * 3_600_000;
/** A machine that sends slower than this is cut off. */
const requestTimeoutMs = 120_000;

export interface ServerOptions {
  readonly data: string;
  readonly version: string;
  readonly paceS: number;
  readonly listen: Listen;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  readonly log: FastifyBaseLogger;
}

export interface RunningServer {
  readonly url: string;
  /** The operator's token, only when it was made just now. */
  readonly token: string | null;
  readonly routes: readonly { readonly method: string; readonly path: string; readonly access: Access | undefined }[];
  stop(): Promise<void>;
}

/** Starts the server: opens what is stored below `data`, and listens. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  mkdirSync(options.data, { recursive: true, mode: 0o700 });
  const { listen } = options;
  const app = fastify({
    loggerInstance: options.log,
    logController: new fastify.LogController({ disableRequestLogging: true }),
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: true,
    ...(listen.tls === null ? {} : { https: listen.tls }),
  });
  let url = listen.publicUrl ?? '';
  const policy = { paceS: options.paceS, publicUrl: () => url, openReading: listen.openReading };
  const db = openDatabase(join(options.data, 'server.db'));
  const core = makeCore({
    data: options.data,
    db,
    keys: openKeys(options.data),
    policy,
    nowMs: options.nowMs,
    log: app.log,
  });
  const token = ensureToken(core.settings);
  const counters = countersOf(core);
  const routes: { method: string; path: string; access: Access | undefined }[] = [];
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) routes.push({ method, path: route.url, access: route.config?.access });
  });
  addRoutes(
    app,
    core,
    counters,
    options.version,
    () => new Set(listen.publicUrl ? [new URL(listen.publicUrl).hostname] : []),
  );
  refreshOnlineMetadata(core);
  const timers = startTimers(core);
  const housekeeping = scheduleHousekeeping(() => logged(core, 'housekeeping', () => keepHouse(db, core.nowMs())));
  const address = await app.listen({ host: listen.host, port: listen.port });
  if (url === '') url = address;
  return {
    url: address,
    token,
    routes,
    stop: async () => {
      for (const timer of timers) clearInterval(timer);
      await housekeeping.stop();
      await app.close();
      core.presence.flush();
      counters.settle();
      db.close();
    },
  };
}

function addRoutes(
  app: FastifyInstance,
  core: Core,
  counters: Counters,
  version: string,
  hosts: () => ReadonlySet<string>,
): void {
  const sessions = sessionsOf(core);
  guardHostAndOrigin(app, hosts);
  app.setErrorHandler<FastifyError>(answerError);
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new Refusal('not-found', 'there is nothing here')));
  app.get('/health', { config: { access: 'public' } }, () => ({
    status: 'ok',
    version,
    epoch: core.epoch,
    appliances: core.appliances.list().length,
  }));
  app.register(machineRoutes(core, counters));
  app.register(releaseFileRoutes(core.shelf));
  app.register(operatorRoutes(core, sessions));
  app.register(dashboardRoutes(core, sessions));
}

function startTimers(core: Core): NodeJS.Timeout[] {
  return [
    setInterval(() => logged(core, 'flush', () => core.presence.flush()), flushMs),
    setInterval(() => logged(core, 'expire orders', () => expireOrders(core)), expireMs),
    setInterval(() => logged(core, 'refresh metadata', () => refreshOnlineMetadata(core)), refreshMetadataMs),
  ];
}

/** A full disk must not take check-ins down with it; the next interval tries again. */
function logged(core: Core, what: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    core.log.error(error, `${what} failed`);
  }
}

function sendProblem(reply: FastifyReply, refusal: Refusal): FastifyReply {
  return reply.code(refusal.status).header('cache-control', 'no-store').send(refusal.problem());
}

function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof Refusal) {
    request.log.info({ code: error.code, path: request.url.split('?')[0] }, error.message);
    return sendProblem(reply, error);
  }
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500) {
    const code: RefusalCode = status === 413 ? 'request-too-large' : 'request-malformed';
    return sendProblem(reply, new Refusal(code, error.message, undefined, { cause: error }));
  }
  request.log.error(error, 'a request failed');
  return sendProblem(reply, new Refusal('server-error', 'the server could not handle the request', 'see its log'));
}
