import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { restoringName } from './backup/restore.ts';
import { makePrivate } from './closed-directory.ts';
import { httpServerOf, reportTo } from './connections/http-server.ts';
import { type ConnectionLimits, descriptorsIn, usualLimits, withinDescriptors } from './connections/limits.ts';
import { ConnectionTable } from './connections/table.ts';
import { type Core, makeCore, type Policy } from './core.ts';
import { dashboardRoutes } from './dashboard/routes.ts';
import { type DiskSpace, diskSpaceOf, type FreeSpace, isDiskFull } from './disk-space.ts';
import { type Access, guardHostAndOrigin } from './guard.ts';
import { keepHouse, scheduleHousekeeping } from './housekeeping.ts';
import { openKeys } from './keys.ts';
import { listenAt } from './listen-at.ts';
import { basePathsOf, belowBase, isReachedByTls, type Listen, namesOf } from './listen-policy.ts';
import { machineRoutes } from './machine/routes.ts';
import { looksOf } from './operator/looks.ts';
import { operatorRoutes } from './operator/routes.ts';
import { sessionsOf } from './operator/session.ts';
import { ensureToken, isToken, tokenWasShown } from './operator/token.ts';
import { ownAuthorities } from './own-authorities.ts';
import { requireOwnFiles } from './own-files.ts';
import { proxyTest } from './peer.ts';
import { diskFullRefusal, Refusal, type RefusalCode } from './refusal.ts';
import { renewMetadata } from './release/publish.ts';
import { releaseFileRoutes } from './release/serve-files.ts';
import { signingClockOf } from './signing-clock.ts';
import { diskFullError, StartError } from './start-error.ts';
import { type Db, isBusy, isDamaged, openDatabase, setServing } from './store/database.ts';
import { lockData } from './store/directory-lock.ts';
import { settingsOf } from './store/settings.ts';
import { busyRefusal } from './store/write-turn.ts';
import { takeRenewed } from './take-renewed.ts';
import { logTexts, requestTexts, startTexts } from './texts.ts';
import { inTurn, logged, remind, startTimers } from './timers.ts';

/** A renewed certificate is served at most this much later. */
const lookAtCertificateMs = 60_000;

export interface ServerOptions {
  readonly data: string;
  readonly paceS: number;
  readonly listen: Listen;
  /** The machine's clock, in milliseconds since 1970. It may be wrong. */
  readonly nowMs: () => number;
  readonly monoMs: () => number;
  /** Monotonic, and never ahead by itself: a jump means that this process was stopped. */
  readonly processMs: () => number;
  /** How long a request waits for another process that holds the database, if not the default. */
  readonly lockWaitMs?: number;
  /** From how long on a look at the fleet counts as expensive, if not the default. */
  readonly dearLookMs?: number | undefined;
  /** Bounds of connections, where they are not the defaults. */
  readonly connections?: Partial<ConnectionLimits>;
  /** When this program was built, in milliseconds since 1970. */
  readonly builtAtMs: number;
  /** What the file system of a path has free. */
  readonly freeAt: (path: string) => FreeSpace;
  readonly log: FastifyBaseLogger;
}

export interface RunningServer {
  readonly url: string;
  /** The operator's token, if it was made just now. Until {@link tokenWasShown} each start makes another one. */
  readonly token: string | null;
  tokenWasShown(): void;
  /** Is this the operator's token? Only its digest is kept. */
  isToken(offered: string): boolean;
  readonly routes: readonly { readonly method: string; readonly path: string; readonly access: Access | undefined }[];
  /** Takes a renewed certificate now; a timer looks for one as well. */
  reload(): void;
  stop(): Promise<void>;
}

/**
 * Starts the server: opens what is stored below `data`, and listens.
 * @throws StartError for what the server needs and cannot make anew
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  let unlock = (): void => undefined;
  try {
    makePrivate(options.data);
    requireOwnFiles(options.data);
    const lock = lockData(options.data);
    unlock = () => lock.release();
    if (existsSync(join(options.data, restoringName))) {
      throw new StartError(
        'restore-unfinished',
        startTexts.restoreUnfinished(options.data),
        startTexts.restoreUnfinishedNext,
      );
    }
    return await startLocked(options, unlock);
  } catch (error) {
    unlock();
    throw startErrorOf(error, options);
  }
}

const deniedCodes: ReadonlySet<string> = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'SQLITE_CANTOPEN',
  'SQLITE_READONLY',
]);

/** An error that stops a start, in a form that a person can act on; any other error is returned unchanged. */
function startErrorOf(error: unknown, { data, freeAt }: ServerOptions): unknown {
  if (isDamaged(error)) {
    const message = startTexts.dataDamaged(
      join(data, 'server.db'),
      error instanceof Error ? error.message : String(error),
    );
    return new StartError('database-damaged', message, startTexts.restoreNext, { cause: error });
  }
  if (isBusy(error)) {
    const message = startTexts.databaseHeld(join(data, 'server.db'));
    return new StartError('database-busy', message, startTexts.databaseHeldNext, {
      cause: error,
    });
  }
  if (isDiskFull(error, () => freeAt(data))) return diskFullError(error, data);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!deniedCodes.has(code)) return error;
  const message = startTexts.dataNotUsable(data, error instanceof Error ? error.message : code);
  return new StartError('data-not-accessible', message, startTexts.dataNotUsableNext, { cause: error });
}

async function startLocked(options: ServerOptions, unlock: () => void): Promise<RunningServer> {
  const { listen } = options;
  const basePaths = basePathsOf(listen);
  const limits = withinDescriptors({ ...usualLimits, ...options.connections }, descriptorsHere());
  const isProxy = proxyTest(listen.trustedProxies);
  const table = new ConnectionTable({ limits, isProxy, monoMs: options.monoMs, log: options.log });
  const app = fastify({
    loggerInstance: options.log,
    logController: new fastify.LogController({ disableRequestLogging: true }),
    serverFactory: (handler) => httpServerOf(handler, listen.tls, limits, table),
    forceCloseConnections: true,
    rewriteUrl: ({ url = '/' }) => belowBase(url, basePaths),
    trustProxy: isProxy,
  });
  reportTo(table, app);
  let url = listen.publicUrls[0] ?? '';
  let authorities: ReadonlySet<string> = new Set();
  const policy = {
    paceS: options.paceS,
    publicUrl: () => url,
    ownAuthorities: () => authorities,
    basePaths,
    openReading: listen.openReading,
    isReachedByTls: (host: string) => isReachedByTls(listen, host),
    certificateTrouble: (nowMs: number) => listen.tls?.trouble?.(nowMs) ?? null,
  };
  const db = openDatabase(join(options.data, 'server.db'));
  try {
    const core = openCore(options, db, policy, app.log);
    const routes: { method: string; path: string; access: Access | undefined }[] = [];
    app.addHook('onRoute', ({ method, url: path, config }) => {
      for (const each of [method].flat()) routes.push({ method: each, path, access: config?.access });
    });
    addRoutes(app, core, options);
    renewMetadata(core);
    remind(core);
    const address = await listenAt(app, core.settings, listen);
    core.hearing.begin();
    authorities = ownAuthorities(listen, address);
    if (url === '') url = address;
    // Only now: a start that cannot listen shows the token to nobody.
    const token = ensureToken(core.settings);
    setServing(db, true);
    const look = (isAsked: boolean) => takeRenewed(core, app, listen.tls, isAsked);
    const stop = running(core, app, unlock, setInterval(look, lookAtCertificateMs, false));
    return {
      url: address,
      token,
      tokenWasShown: () => noteShownToken(core),
      isToken: (offered) => isToken(core.settings, offered),
      routes,
      reload: () => look(true),
      stop,
    };
  } catch (error) {
    await app.close();
    db.close();
    throw error;
  }
}

function descriptorsHere(): number | null {
  const path = '/proc/self/limits';
  return existsSync(path) ? descriptorsIn(readFileSync(path, 'utf8')) : null;
}

/** Starts the background work. @returns what ends it, and the server */
function running(
  core: Core,
  app: FastifyInstance,
  unlock: () => void,
  certificateTimer: NodeJS.Timeout,
): () => Promise<void> {
  const { db } = core;
  const timers = [...startTimers(core), certificateTimer];
  const housekeeping = scheduleHousekeeping(inTurn(core, 'housekeeping', () => keepHouse(db, core.nowMs())));
  return async () => {
    for (const timer of timers) clearInterval(timer);
    await housekeeping.stop();
    await app.close();
    setServing(db, false);
    // A full disk must not prevent the other writes, nor the closing of the database.
    logged(core, 'flush', () => core.presence.flush());
    logged(core, logTexts.settleCounters, () => core.counters.settle());
    core.clock.settle();
    db.close();
    unlock();
  };
}

function openCore(options: ServerOptions, db: Db, policy: Policy, log: FastifyBaseLogger): Core {
  const { data, nowMs: machineMs, monoMs, processMs, builtAtMs, freeAt, lockWaitMs } = options;
  const clock = signingClockOf({ machineMs, monoMs, builtAtMs, settings: settingsOf(db), log });
  const disk = diskSpaceOf({ data, freeAt, monoMs, log });
  return makeCore({ data, db, keys: openKeys(data), policy, clock, disk, monoMs, processMs, log, lockWaitMs });
}

function addRoutes(app: FastifyInstance, core: Core, { listen, dearLookMs }: ServerOptions): void {
  const sessions = sessionsOf(core);
  guardHostAndOrigin(app, namesOf(listen));
  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(core.disk, error, request, reply));
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new Refusal('not-found', requestTexts.nothingHere)));
  app.addHook('preHandler', async (request) => {
    if (writes(request)) await core.turn.take();
  });
  // Strangers learn only that the server lives; everything else is for operators.
  app.get('/health', { config: { access: 'public' } }, () => ({ status: 'ok' }));
  app.register(machineRoutes(core));
  app.register(releaseFileRoutes(core.shelf));
  const looks = looksOf(core, dearLookMs);
  app.register(operatorRoutes(core, sessions, looks));
  app.register(dashboardRoutes(core, sessions, looks));
}

/** Every check-in writes; so does an operator's request, unless it only looks. */
function writes({ method, routeOptions }: FastifyRequest): boolean {
  const { access } = routeOptions.config;
  return access === 'machine' || (access === 'operator' && method !== 'GET' && method !== 'HEAD');
}

function noteShownToken(core: Core): void {
  const note = () => tokenWasShown(core.settings);
  if (core.turn.isFree()) note();
  else core.turn.take().then(note, (error: unknown) => core.log.warn(error, logTexts.nextTokenShown));
}

function sendProblem(reply: FastifyReply, refusal: Refusal): FastifyReply {
  if (refusal.retryAfterS !== undefined) reply.header('retry-after', refusal.retryAfterS);
  return reply.code(refusal.status).header('cache-control', 'no-store').send(refusal.problem());
}

function answerError(disk: DiskSpace, error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof Refusal) {
    request.log.info({ code: error.code, path: request.url.split('?')[0] }, error.message);
    return sendProblem(reply, error);
  }
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500) {
    const code: RefusalCode = status === 413 ? 'request-too-large' : 'request-malformed';
    return sendProblem(reply, new Refusal(code, error.message, undefined, { cause: error }));
  }
  if (isBusy(error)) return sendProblem(reply, busyRefusal(error));
  request.log.error(error, logTexts.requestFailed);
  if (disk.isFullError(error)) return sendProblem(reply, diskFullRefusal(error));
  return sendProblem(reply, new Refusal('server-error', requestTexts.failed, requestTexts.failedNext));
}
