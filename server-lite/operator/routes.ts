import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { encodeClaim } from '../../protocol/claim.ts';
import { sha256 } from '../../protocol/digest.ts';
import { keyIdOf } from '../../protocol/ids.ts';
import { compareVersions } from '../../protocol/version.ts';
import { addServerEvent, type Core } from '../core.ts';
import { assignRelease, unassignRelease } from '../fleet/assign-release.ts';
import { expireOrders, requireOrder, sendOrder } from '../fleet/send-order.ts';
import { requireRollout, startRollout } from '../fleet/start-rollout.ts';
import { Refusal } from '../refusal.ts';
import type { Rollout } from '../store/rollouts.ts';
import { applianceView, applianceViews } from './appliance-view.ts';
import { findAppliance } from './find-appliance.ts';
import { requireOperator, type Sessions } from './session.ts';
import {
  assignmentShape,
  newClaimShape,
  newOrderShape,
  newRolloutShape,
  pauseShape,
  unassignmentShape,
} from './shapes.ts';
import { uploadRoute } from './upload-route.ts';
import { eventView, orderView, releaseView, rolloutView } from './views.ts';

/** A claim code that nobody redeemed in this time is worth nothing. */
const claimValidMs = 30 * 24 * 3_600_000;
/** Rows of one answer; records come in pages of this many. */
const rowsMax = { orders: 200, events: 500, records: 5_000 } as const;

const config = { access: 'operator' } as const;

/** The operator API: token or session on every route, denied by default (S52). */
export function operatorRoutes(core: Core, sessions: Sessions) {
  return (app: FastifyInstance, _options: object, done: () => void): void => {
    app.addHook('onRequest', async (request) => requireOperator(core, sessions, request));
    app.register(uploadRoute(core));
    applianceRoutes(core, app);
    orderRoutes(core, app);
    rolloutRoutes(core, app);
    app.post('/api/claims', { config }, (request, reply) => reply.code(201).send(createClaim(core, request.body)));
    app.get('/api/releases', { config }, () => {
      const rows = core.releases.list().sort((a, b) => compareVersions(b.version, a.version));
      return { releases: rows.map(releaseView) };
    });
    app.get('/api/events', { config }, (request) => {
      const query = read(eventQueryShape, request.query);
      const appliance = query.appliance === undefined ? {} : { appliance: findAppliance(core, query.appliance).id };
      const kind = query.kind === undefined ? {} : { kind: query.kind };
      return { events: core.events.list({ ...appliance, ...kind, limit: query.limit }).map(eventView) };
    });
    done();
  };
}

const idParams = z.object({ id: z.string().max(80) });
const rolloutParams = z.object({ id: z.coerce.number().int().min(1) });
const keyParams = z.object({ id: z.string().max(80), role: z.enum(['agent', 'updater']) });
const orderQueryShape = z.object({ appliance: z.string().max(80).optional() });
const recordQueryShape = z.object({ after: z.coerce.number().int().min(0).default(0) });
const eventQueryShape = z.object({
  appliance: z.string().max(80).optional(),
  kind: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(rowsMax.events).default(100),
});

/** @throws Refusal `request-malformed`, naming what is wrong */
function read<Shape extends z.ZodType>(shape: Shape, value: unknown): z.output<Shape> {
  const parsed = shape.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; ');
  throw new Refusal('request-malformed', issues, undefined, { cause: parsed.error });
}

function applianceRoutes(core: Core, app: FastifyInstance): void {
  const asked = (request: FastifyRequest) => findAppliance(core, read(idParams, request.params).id);
  app.get('/api/appliances', { config }, () => ({ appliances: applianceViews(core) }));
  app.get('/api/appliances/:id', { config }, (request) => applianceView(core, asked(request)));
  app.get('/api/appliances/:id/records', { config }, (request) => {
    const { after } = read(recordQueryShape, request.query);
    return { records: core.events.records(asked(request).id, after, rowsMax.records) };
  });
  app.post('/api/appliances/:id/retire', { config }, (request) => {
    const row = asked(request);
    core.appliances.retire(row.id, core.nowMs());
    addServerEvent(core, row.id, 'retired', `${row.name} was retired`);
    return applianceView(core, findAppliance(core, row.id));
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
    addServerEvent(core, row.id, 'key-revoked', `the ${role}'s key of ${row.name} was revoked`);
    return { revoked };
  });
}

function orderRoutes(core: Core, app: FastifyInstance): void {
  app.get('/api/orders', { config }, (request) => {
    expireOrders(core);
    const { appliance } = read(orderQueryShape, request.query);
    const id = appliance === undefined ? null : findAppliance(core, appliance).id;
    return { orders: core.orders.list(id, rowsMax.orders).map((row) => orderView(core, row)) };
  });
  app.get('/api/orders/:id', { config }, (request) => {
    expireOrders(core);
    return orderView(core, requireOrder(core, read(idParams, request.params).id));
  });
  app.post('/api/orders', { config }, (request, reply) => {
    const order = read(newOrderShape, request.body);
    const row = findAppliance(core, order.appliance);
    if (row.retired_at !== null) throw new Refusal('appliance-retired', `${row.name} is retired`);
    return reply.code(201).send(orderView(core, sendOrder(core, { ...order, appliance: row.id })));
  });
}

function rolloutRoutes(core: Core, app: FastifyInstance): void {
  const asked = (request: FastifyRequest) => requireRollout(core, read(rolloutParams, request.params).id);
  const set = (rollout: Rollout, state: Rollout['state'], reason: string) => {
    core.rollouts.setState(rollout.id, state, reason, core.nowMs());
    core.log.info({ rollout: rollout.id, state }, reason || `rollout ${state}`);
    return rolloutView(core, requireRollout(core, rollout.id));
  };
  app.get('/api/rollouts', { config }, () => ({ rollouts: core.rollouts.list().map((one) => rolloutView(core, one)) }));
  app.get('/api/rollouts/:id', { config }, (request) => rolloutView(core, asked(request)));
  app.post('/api/rollouts', { config }, (request, reply) => {
    const body = read(newRolloutShape, request.body);
    const canaries = body.canaries.map((typed) => findAppliance(core, typed).id);
    return reply.code(201).send(rolloutView(core, startRollout(core, { ...body, canaries })));
  });
  app.post('/api/rollouts/:id/pause', { config }, (request) => {
    const { reason } = read(pauseShape, request.body);
    return set(asked(request), 'paused', reason || 'by an operator');
  });
  app.post('/api/rollouts/:id/resume', { config }, (request) => set(asked(request), 'running', ''));
}

function createClaim(core: Core, body: unknown) {
  const { name, site } = read(newClaimShape, body);
  const rootVersion = core.shelf.rootVersion();
  const root = core.shelf.root(rootVersion);
  if (root === null) {
    throw new Refusal(
      'no-root-yet',
      'no release was published yet, so there is no root of trust to hand out',
      'holdfast release publish FILE, then make the claim',
    );
  }
  if (core.appliances.findByName(name) !== undefined) {
    throw new Refusal('name-taken', `an appliance is called ${name} already`, 'choose another name');
  }
  const secret = randomBytes(24).toString('base64url');
  const expiresAtMs = core.nowMs() + claimValidMs;
  core.claims.add({
    secret_hash: sha256(secret),
    name,
    site,
    root_version: rootVersion,
    created_at: core.nowMs(),
    expires_at: expiresAtMs,
  });
  const key = keyIdOf(Buffer.from(core.keys.answer.publicKey, 'hex'));
  const claim = encodeClaim({ v: 1, url: core.policy.publicUrl(), key, root: sha256(root), secret });
  return { claim, name, site, expiresAtMs };
}
