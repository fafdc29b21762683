import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  type EnrolAnswer,
  type EnrolRequest,
  enrolRequestShape,
  vouchPayloadType,
  vouchShape,
} from '../../protocol/claim.ts';
import { sha256 } from '../../protocol/digest.ts';
import { applianceIdOf, keyIdOf } from '../../protocol/ids.ts';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { EnvelopeError, openEnvelope } from '../../protocol/trust/envelope.ts';
import type { Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import type { Role } from '../store/appliances.ts';
import type { ClaimRow } from '../store/claims.ts';
import { answerSigned, requireSignature } from './signed-exchange.ts';

const newClaim = 'make a new claim on the server: holdfast claim create --name NAME --site SITE';

/** POST /v1/enrol: the updater redeems a claim, and vouches for the agent's key. Repeating it changes nothing. */
export function handleEnrol(core: Core, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const asked = parseEnrol(request.body);
  // Whoever enrols is known by nothing but this key; the claim's secret says that it may.
  requireSignature(request, asked.updaterKey);
  return answerSigned(core, request, reply, () => ({
    status: 200,
    body: core.db.transaction(() => enrol(core, asked))(),
  }));
}

function parseEnrol(body: unknown): EnrolRequest {
  try {
    return enrolRequestShape.parse(JSON.parse(Buffer.isBuffer(body) ? body.toString('utf8') : ''));
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof z.ZodError)) throw cause;
    throw new Refusal('enrol-malformed', 'the enrolment is not one that this server understands', undefined, { cause });
  }
}

function enrol(core: Core, asked: EnrolRequest): EnrolAnswer {
  const id = applianceIdOf(Buffer.from(asked.updaterKey, 'hex'));
  const claim = redeemable(core, asked, id);
  const agentKey = vouchedKey(asked, id);
  const known = core.appliances.find(id);
  if (known?.retired_at) throw new Refusal('appliance-retired', `${known.name} is retired`, newClaim);
  const taken = core.appliances.findByName(claim.name);
  if (taken !== undefined && taken.id !== id) {
    throw new Refusal('name-taken', `another appliance is called ${claim.name}`, newClaim);
  }
  const nowMs = core.nowMs();
  if (known === undefined) {
    const { name, site } = claim;
    core.appliances.add({ id, name, site, hardware: asked.hardware ?? null, enrolled_at: nowMs });
  } else if (claim.used_by === null) core.appliances.rename(id, claim.name, claim.site);
  addKey(core, id, 'updater', asked.updaterKey, nowMs);
  addKey(core, id, 'agent', agentKey, nowMs);
  core.claims.use(claim.id, id);
  core.log.info({ appliance: id, name: claim.name }, 'enrolled');
  const row = core.appliances.find(id);
  return {
    appliance: id,
    name: row?.name ?? claim.name,
    site: row?.site ?? claim.site,
    answerKeys: [core.keys.answer.publicKey],
    root: core.shelf.root(claim.root_version)?.toString('base64') ?? '',
    issuedAt: Math.floor(nowMs / 1000),
  };
}

function redeemable(core: Core, asked: EnrolRequest, id: string): ClaimRow {
  const claim = core.claims.findBySecretHash(sha256(asked.secret));
  if (claim === undefined)
    throw new Refusal('claim-unknown', 'this claim code is not known here, or was replaced', newClaim);
  if (claim.used_by !== null) {
    if (claim.used_by !== id)
      throw new Refusal('claim-used', 'this claim code was used by another appliance', newClaim);
  } else if (claim.expires_at <= core.nowMs()) {
    throw new Refusal('claim-expired', 'this claim code is too old', newClaim);
  }
  return claim;
}

/** The agent's key, by the word of the updater's. */
function vouchedKey(asked: EnrolRequest, id: string): PublicKey {
  try {
    const vouch = vouchShape.parse(openEnvelope(asked.vouch, vouchPayloadType, [asked.updaterKey]));
    if (vouch.appliance === id && vouch.agentKey !== asked.updaterKey) return vouch.agentKey;
  } catch (error) {
    if (!(error instanceof EnvelopeError || error instanceof z.ZodError)) throw error;
  }
  throw new Refusal('vouch-not-trusted', "the updater's word for the agent's key does not hold", newClaim);
}

/** A key belongs to one appliance and one role for ever, and a revoked one never comes back (S38). */
function addKey(core: Core, appliance: string, role: Role, publicKey: PublicKey, nowMs: number): void {
  const keyId = keyIdOf(Buffer.from(publicKey, 'hex'));
  const known = core.appliances.key(keyId);
  if (known === undefined) {
    core.appliances.revokeKeys(appliance, role, nowMs);
    core.appliances.addKey({ key_id: keyId, appliance, role, public_key: publicKey, added_at: nowMs });
    return;
  }
  if (known.appliance !== appliance || known.role !== role) {
    throw new Refusal('already-enrolled', `the ${role}'s key is in use by another program or appliance`, newClaim);
  }
  if (known.revoked_at !== null) throw new Refusal('key-revoked', `the ${role}'s key was revoked`, newClaim);
}
