import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { authorityFeature } from '../../protocol/authority.ts';
import { claimKeyOf, encodeClaim } from '../../protocol/claim.ts';
import { sha256 } from '../../protocol/digest.ts';
import { keyIdOf } from '../../protocol/ids.ts';
import { nameShape, typedNameShape } from '../../protocol/names.ts';
import { shapeProblem } from '../../protocol/shape-problem.ts';
import { publicKeyOf } from '../../protocol/trust/ed25519.ts';
import { addServerEvent, type Core } from '../core.ts';
import {
  formerName,
  renameAppliance,
  requireFreeName,
  requireInService,
  retireAppliance,
  solveClone,
} from '../fleet/appliance-life.ts';
import { assignRelease, unassignRelease } from '../fleet/assign-release.ts';
import { cancelOrder } from '../fleet/cancel-order.ts';
import { changeRollout } from '../fleet/change-rollout.ts';
import { expireOrders, requireOrder, sendOrder } from '../fleet/send-order.ts';
import { requireRollout, startRollout } from '../fleet/start-rollout.ts';
import { Refusal } from '../refusal.ts';
import type { ApplianceRow } from '../store/appliances.ts';
import { markOfKey, type OpenClaim } from '../store/claims.ts';
import { enrolTexts, operatorTexts } from '../texts.ts';
import { applianceView } from './appliance-view.ts';
import { findAppliance } from './find-appliance.ts';
import type { Looks } from './looks.ts';
import { rolloutView, rolloutViews, stillStanding } from './rollout-view.ts';
import { serverRoutes } from './server-routes.ts';
import { requireOperator, type Sessions } from './session.ts';
import {
  assignmentShape,
  newClaimShape,
  newOrderShape,
  newRolloutShape,
  pauseShape,
  renameShape,
  unassignmentShape,
} from './shapes.ts';
import { uploadRoute } from './upload-route.ts';
import { eventViews, orderView, orderViews, releaseViews } from './views.ts';

/** How long an unused claim code is valid. */
const claimValidMs = 30 * 24 * 3_600_000;
/** Rows of one answer; records come in pages of this many. */
const rowsMax = { orders: 200, events: 500, records: 5_000 } as const;

const config = { access: 'operator' } as const;

/** The operator API: token or session on every route, denied by default (S52). */
export function operatorRoutes(core: Core, sessions: Sessions, looks: Looks) {
  return (app: FastifyInstance, _options: object, done: () => void): void => {
    app.addHook('onRequest', async (request) => requireOperator(sessions, request));
    // Again when the body has arrived, which may take long: the token may have been replaced by then.
    app.addHook('preHandler', async (request) => requireOperator(sessions, request));
    app.addHook('onSend', async ({ method }) => {
      if (method !== 'GET' && method !== 'HEAD') looks.changed();
    });
    app.register(uploadRoute(core, sessions));
    applianceRoutes(core, app, looks);
    orderRoutes(core, app);
    rolloutRoutes(core, app, looks);
    serverRoutes(core, app);
    app.post('/api/claims', { config }, (request, reply) => reply.code(201).send(createClaim(core, request.body)));
    app.get('/api/claims', { config }, () => {
      const nowMs = core.nowMs();
      return { claims: core.claims.open(nowMs).map((claim) => openClaimView(claim, nowMs)) };
    });
    app.get('/api/releases', { config }, () => ({ releases: releaseViews(core) }));
    app.get('/api/events', { config }, (request) => {
      const query = read(eventQueryShape, request.query);
      const appliance = query.appliance === undefined ? {} : { appliance: findAppliance(core, query.appliance).id };
      const kind = query.kind === undefined ? {} : { kind: query.kind };
      const before = query.before === undefined ? {} : { before: query.before };
      const rows = core.events.list({ ...appliance, ...kind, ...before, limit: query.limit });
      return { events: eventViews(core, rows) };
    });
    done();
  };
}

const idParams = z.object({ id: typedNameShape });
const rolloutParams = z.object({ id: z.coerce.number().int().min(1) });
const newNameShape = z.object({ name: nameShape });
const keyParams = z.object({ id: typedNameShape, role: z.enum(['agent', 'updater']) });
const orderQueryShape = z.object({ appliance: typedNameShape.optional() });
/** `after`: a number, or what an answer named as `next`. */
const recordQueryShape = z.object({
  after: z
    .string()
    .regex(/^\d{1,15}(-\d{1,15})?$/)
    .default('0')
    .transform((word) => {
      const [n = 0, serial = Number.MAX_SAFE_INTEGER] = word.split('-').map(Number);
      return { n, serial };
    }),
});
const eventQueryShape = z.object({
  appliance: typedNameShape.optional(),
  kind: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(rowsMax.events).default(100),
  /** Only events before this serial. */
  before: z.coerce.number().int().min(0).optional(),
});

/** @throws Refusal `request-malformed`, naming what is wrong */
function read<Shape extends z.ZodType>(shape: Shape, value: unknown): z.output<Shape> {
  const parsed = shape.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  throw new Refusal('request-malformed', shapeProblem(parsed.error), operatorTexts.malformedNext, {
    cause: parsed.error,
  });
}

function applianceRoutes(core: Core, app: FastifyInstance, looks: Looks): void {
  const asked = (request: FastifyRequest) => findAppliance(core, read(idParams, request.params).id);
  const all = looks.shared(() => JSON.stringify({ appliances: looks.appliances() }));
  app.get('/api/appliances', { config }, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(all()),
  );
  app.get('/api/appliances/:id', { config }, (request) => applianceView(core, asked(request)));
  app.get('/api/appliances/:id/records', { config }, (request) => {
    const { after } = read(recordQueryShape, request.query);
    const records = core.events.records(asked(request).id, after, rowsMax.records);
    const last = records.length < rowsMax.records ? undefined : records.at(-1);
    return {
      records: records.map(({ n, name, sha256 }) => ({ n, name, sha256 })),
      next: last === undefined ? null : `${last.n}-${last.serial}`,
    };
  });
  app.post('/api/appliances/:id/retire', { config }, (request) => {
    const row = asked(request);
    retireAppliance(core, row);
    return { ...applianceView(core, findAppliance(core, row.id)), already: row.retired_at !== null };
  });
  app.post('/api/appliances/:id/rename', { config }, (request) => {
    const row = asked(request);
    const { name, site = row.site } = read(renameShape, request.body);
    renameAppliance(core, row, name, site);
    return applianceView(core, findAppliance(core, row.id));
  });
  app.post('/api/appliances/:id/clone-solved', { config }, (request) => {
    const row = asked(request);
    solveClone(core, row);
    return applianceView(core, row);
  });
  app.post('/api/appliances/:id/assign', { config }, (request) => {
    const row = asked(request);
    assignRelease(core, row, read(assignmentShape, request.body));
    return applianceView(core, row);
  });
  app.post('/api/appliances/:id/unassign', { config }, (request) => {
    const row = asked(request);
    unassignRelease(core, row, read(unassignmentShape, request.body).component);
    return applianceView(core, row);
  });
  app.post('/api/appliances/:id/keys/:role/revoke', { config }, (request) => {
    const { role } = read(keyParams, request.params);
    const row = asked(request);
    const revoked = core.appliances.revokeKeys(row.id, role, core.nowMs());
    addServerEvent(core, row.id, 'key-revoked', operatorTexts.keyWasRevoked(role, row.name));
    return { revoked };
  });
  app.post('/api/appliances/:id/reset-counter', { config }, (request) => resetCounter(core, asked(request)));
}

/**
 * Undoes what a copied key did to a counter. Until the next check-in, an older one could be sent again: with the boots and
 * the chains forgotten, it is evidence of nothing.
 */
function resetCounter(core: Core, row: ApplianceRow) {
  const keys = core.appliances.keysOf(row.id).filter((key) => key.revoked_at === null);
  for (const key of keys) {
    core.counters.reset(key.key_id);
    core.chains.forget(key.key_id);
  }
  core.clones.forgetBoots(row.id);
  const text = operatorTexts.countersReset(row.name);
  addServerEvent(core, row.id, 'counter-reset', text);
  return { reset: keys.length, text };
}

function orderRoutes(core: Core, app: FastifyInstance): void {
  app.get('/api/orders', { config }, (request) => {
    expireOrders(core);
    const { appliance } = read(orderQueryShape, request.query);
    const id = appliance === undefined ? null : findAppliance(core, appliance).id;
    return { orders: orderViews(core, core.orders.list(id, rowsMax.orders)) };
  });
  app.get('/api/orders/:id', { config }, (request) => {
    expireOrders(core);
    return orderView(core, requireOrder(core, read(idParams, request.params).id));
  });
  app.post('/api/orders/:id/cancel', { config }, (request) => {
    expireOrders(core);
    return orderView(core, cancelOrder(core, read(idParams, request.params).id));
  });
  app.post('/api/orders', { config }, (request, reply) => {
    const order = read(newOrderShape, request.body);
    const row = findAppliance(core, order.appliance);
    requireInService(row);
    return reply.code(201).send(orderView(core, sendOrder(core, { ...order, appliance: row.id })));
  });
}

function rolloutRoutes(core: Core, app: FastifyInstance, looks: Looks): void {
  const asked = (request: FastifyRequest) => requireRollout(core, read(rolloutParams, request.params).id);
  const all = looks.shared(() => ({ rollouts: rolloutViews(core) }));
  app.get('/api/rollouts', { config }, all);
  app.get('/api/rollouts/:id', { config }, (request) => rolloutView(core, asked(request)));
  app.post('/api/rollouts', { config }, (request, reply) => {
    const body = read(newRolloutShape, request.body);
    const canaries = body.canaries.map((typed) => findAppliance(core, typed).id);
    return reply.code(201).send(rolloutView(core, startRollout(core, { ...body, canaries })));
  });
  for (const verb of ['pause', 'resume', 'cancel'] as const) {
    app.post(`/api/rollouts/:id/${verb}`, { config }, (request) => {
      const { reason } = read(pauseShape, request.body);
      const before = asked(request);
      const changed = changeRollout(core, before.id, verb, reason);
      const already = before.state === changed.state;
      return { ...rolloutView(core, changed), stands: stillStanding(core, changed), already };
    });
  }
}

function createClaim(core: Core, body: unknown) {
  const asked = read(newClaimShape, body);
  const rootVersion = core.shelf.rootVersion();
  const root = core.shelf.root(rootVersion);
  if (root === null) {
    throw new Refusal('no-root-yet', enrolTexts.noRoot, enrolTexts.noRootNext);
  }
  const { name, site, appliance } = whoseClaim(core, asked);
  // Only the public half stays here: a reader of the database, or of the enrolment on its way, cannot enrol.
  const secret = randomBytes(32).toString('base64url');
  const claimKey = claimKeyOf(secret);
  if (claimKey === null) throw new TypeError('32 bytes are the seed of a key');
  const expiresAtMs = core.nowMs() + claimValidMs;
  const replaced = core.claims.add({
    secret_hash: markOfKey(publicKeyOf(claimKey)),
    name,
    site,
    root_version: rootVersion,
    created_at: core.nowMs(),
    expires_at: expiresAtMs,
    for_appliance: appliance,
  });
  const key = keyIdOf(Buffer.from(core.keys.answer.publicKey, 'hex'));
  const url = core.policy.publicUrl();
  const features = [authorityFeature];
  const claim = encodeClaim({ v: 1, url, key, root: sha256(root), secret, proof: 'ed25519', features });
  return { claim, name, site, expiresAtMs, replaced };
}

function openClaimView({ name, site, created_at, expires_at, for_appliance }: OpenClaim, nowMs: number) {
  const times = { createdAtMs: created_at, expiresAtMs: expires_at, ageMs: nowMs - created_at };
  return { name, site, ...times, validForMs: expires_at - nowMs, again: for_appliance !== null };
}

/** The name of a retired appliance that is claimed again. @throws Refusal `name-taken` */
function freeFormerName(core: Core, retired: ApplianceRow): string {
  const former = formerName(retired.name);
  requireFreeName(core, former, retired.id);
  return former;
}

/** @returns its name and site, and the only appliance that may use it; null: any unknown one */
function whoseClaim(core: Core, { name, site, again }: z.output<typeof newClaimShape>) {
  if (again) {
    const known = findAppliance(core, name);
    if (known.retired_at === null) return { name: known.name, site: known.site, appliance: known.id };
    return { name: freeFormerName(core, known), site: site ?? known.site, appliance: known.id };
  }
  const free = read(newNameShape, { name }).name;
  requireFreeName(core, free, null);
  if (site === undefined) throw new Refusal('request-malformed', enrolTexts.noSite, enrolTexts.noSiteNext);
  return { name: free, site, appliance: null };
}
