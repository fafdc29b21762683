import { isDeepStrictEqual } from 'node:util';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  agentProofPayloadType,
  claimKeyOf,
  claimProofPayloadType,
  copyPayloadType,
  copyShape,
  type EnrolAnswer,
  type EnrolRequest,
  enrolProofShape,
  enrolRequestShape,
  vouchPayloadType,
  vouchShape,
} from '../../protocol/claim.ts';
import { sha256 } from '../../protocol/digest.ts';
import { applianceIdOf } from '../../protocol/ids.ts';
import { type PublicKey, publicKeyOf } from '../../protocol/trust/ed25519.ts';
import { type Envelope, EnvelopeError, openEnvelope } from '../../protocol/trust/envelope.ts';
import { addServerEvent, type Core } from '../core.ts';
import { requireFreeName } from '../fleet/appliance-life.ts';
import { Refusal } from '../refusal.ts';
import type { ApplianceRow } from '../store/appliances.ts';
import { type ClaimRow, markOfKey } from '../store/claims.ts';
import { cloneTexts, enrolTexts } from '../texts.ts';
import { requireOwnAuthority } from './asked-authority.ts';
import { addKey, newClaim } from './enrolled-keys.ts';
import { answerSigned, requireSignature } from './signed-exchange.ts';

/** POST /v1/enrol: the updater redeems a claim, and vouches for the agent's key. Repeating it changes nothing. */
export function handleEnrol(core: Core, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const asked = parseEnrol(request.body);
  // This key alone identifies the sender; the claim's secret allows it to enrol.
  const signed = requireSignature(core, request, asked.updaterKey);
  return answerSigned(core, request, signed, reply, () => {
    const { authority = asked.authority } = signed.target ?? {};
    requireOwnAuthority(core, { authority, isSigned: signed.target !== undefined, features: [] }, null);
    const stampedMs = core.clock.stampMs();
    return { status: 200, body: core.db.transaction(() => enrol(core, asked, stampedMs))() };
  });
}

function parseEnrol(body: unknown): EnrolRequest {
  try {
    return enrolRequestShape.parse(JSON.parse(Buffer.isBuffer(body) ? body.toString('utf8') : ''));
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof z.ZodError)) throw cause;
    throw new Refusal('enrol-malformed', enrolTexts.malformed, undefined, { cause });
  }
}

function enrol(core: Core, asked: EnrolRequest, nowMs: number): EnrolAnswer {
  const id = applianceIdOf(Buffer.from(asked.updaterKey, 'hex'));
  const agentKey = vouchedKey(asked, id);
  const proven = { appliance: id, updaterKey: asked.updaterKey, agentKey };
  const claim = redeemable(core, asked, proven);
  const isAgentProven = provesAgentKey(asked, proven);
  const known = core.appliances.find(id);
  if (claim.for_appliance !== null && claim.for_appliance !== id) {
    throw new Refusal('claim-for-another', enrolTexts.claimForAnother(claim.name), newClaim);
  }
  // An old code of a retired appliance does not bring it back; a new one is an operator's word.
  if (known?.retired_at && claim.used_by !== null)
    throw new Refusal('appliance-retired', enrolTexts.isRetired(known.name), newClaim);
  if (claim.used_by === null) {
    if (!keepsName(known, claim)) requireFreeName(core, claim.name, id);
    refuseCopy(core, known, claim);
  }
  if (known === undefined) {
    const { name, site } = claim;
    core.appliances.add({ id, name, site, hardware: asked.hardware ?? null, enrolled_at: nowMs });
  } else if (claim.used_by === null) claimAgain(core, known, claim);
  // The updater's key signed the request itself.
  addKey(core, claim, { appliance: id, role: 'updater', publicKey: asked.updaterKey, isProven: true }, nowMs);
  addKey(core, claim, { appliance: id, role: 'agent', publicKey: agentKey, isProven: isAgentProven }, nowMs);
  core.claims.use(claim.id, id);
  // Only once: anybody who recorded the enrolment can send it again.
  if (claim.used_by === null) noteCopy(core, asked, id);
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

/**
 * The copy would take over the original's name. A person who gives a new name means the copy, which needs its own keys.
 */
function refuseCopy(core: Core, known: ApplianceRow | undefined, claim: ClaimRow): void {
  if (known === undefined || claim.for_appliance === known.id || core.clones.of(known.id) === null) return;
  throw new Refusal('appliance-cloned', cloneTexts.claimRenamesBoth(known.name), cloneTexts.claimRenamesBothNext);
}

/** A copy with a new identity says, signed with the key that it had, whose copy it was. */
function noteCopy(core: Core, { copyOf }: EnrolRequest, id: string): void {
  if (copyOf === undefined) return;
  const keys = (appliance: string) =>
    core.appliances
      .keysOf(appliance)
      .flatMap(({ role, public_key, revoked_at }) => (role === 'updater' && revoked_at === null ? [public_key] : []));
  try {
    const named = copyShape.parse(JSON.parse(Buffer.from(copyOf.payload, 'base64').toString('utf8')));
    const said = copyShape.parse(openEnvelope(copyOf, copyPayloadType, keys(named.appliance)));
    if (said.copy !== id || said.appliance === id) return;
    core.clones.noteCopy(said.appliance, id);
    addServerEvent(core, said.appliance, 'copy-enrolled', cloneTexts.copyIs(id));
  } catch (error) {
    // It does not affect the enrolment.
    if (!(error instanceof EnvelopeError || error instanceof z.ZodError || error instanceof SyntaxError)) throw error;
    core.log.warn({ appliance: id }, cloneTexts.copyOfUnknown);
  }
}

/** A claim with --again is about an appliance's keys: its name and site may have changed since the claim was made. */
function keepsName(known: ApplianceRow | undefined, claim: ClaimRow): boolean {
  return known !== undefined && claim.for_appliance === known.id && known.retired_at === null;
}

function claimAgain(core: Core, known: ApplianceRow, claim: ClaimRow): void {
  if (keepsName(known, claim)) return;
  core.appliances.rename(known.id, claim.name, claim.site);
  if (known.retired_at === null) return;
  core.appliances.bringBack(known.id);
  addServerEvent(core, known.id, 'brought-back', enrolTexts.claimedAgain(known.name, claim.name));
}

function redeemable(core: Core, asked: EnrolRequest, proven: Proven): ClaimRow {
  const claim = claimOf(core, asked, proven);
  if (claim === undefined) throw new Refusal('claim-unknown', enrolTexts.claimUnknown, newClaim);
  if (claim.used_by !== null) {
    if (claim.used_by !== proven.appliance) throw new Refusal('claim-used', enrolTexts.claimUsed, newClaim);
  } else if (claim.expires_at <= core.nowMs()) {
    throw new Refusal('claim-expired', enrolTexts.claimExpired, newClaim);
  }
  return claim;
}

type Proven = Omit<z.infer<typeof enrolProofShape>, 'v'>;

/** Found by the key whose seed is the claim's secret, or by the secret itself if an older updater sends it. */
function claimOf(core: Core, asked: EnrolRequest, proven: Proven): ClaimRow | undefined {
  const { secret, claimKey, claimProof } = asked;
  if (claimKey !== undefined) {
    requireProof(claimProof, claimProofPayloadType, claimKey, proven, 'claim-not-proven');
    return core.claims.findBySecretHash(markOfKey(claimKey));
  }
  if (secret === undefined) throw new Refusal('enrol-malformed', enrolTexts.claimMissing, newClaim);
  const key = claimKeyOf(secret);
  const byKey = key === null ? undefined : core.claims.findBySecretHash(markOfKey(publicKeyOf(key)));
  return byKey ?? core.claims.findBySecretHash(sha256(secret));
}

/**
 * Did the agent's key sign? Released updaters, which send the secret itself, do not show that.
 * @throws Refusal `agent-key-not-proven` if a signature is required and missing, or does not hold
 */
function provesAgentKey({ claimKey, agentProof }: EnrolRequest, proven: Proven): boolean {
  if (claimKey === undefined && agentProof === undefined) return false;
  requireProof(agentProof, agentProofPayloadType, proven.agentKey, proven, 'agent-key-not-proven');
  return true;
}

function requireProof(
  envelope: Envelope | undefined,
  payloadType: string,
  key: PublicKey,
  proven: Proven,
  code: 'claim-not-proven' | 'agent-key-not-proven',
): void {
  try {
    const proof = envelope && enrolProofShape.parse(openEnvelope(envelope, payloadType, [key]));
    if (proof && isDeepStrictEqual(proof, { v: 1, ...proven })) return;
  } catch (error) {
    if (!(error instanceof EnvelopeError || error instanceof z.ZodError)) throw error;
  }
  const what = code === 'claim-not-proven' ? enrolTexts.keyOfClaim : enrolTexts.keyOfAgent;
  throw new Refusal(code, enrolTexts.notProven(what), enrolTexts.notProvenNext);
}

/** The agent's key, vouched for by the updater's. */
function vouchedKey(asked: EnrolRequest, id: string): PublicKey {
  try {
    const vouch = vouchShape.parse(openEnvelope(asked.vouch, vouchPayloadType, [asked.updaterKey]));
    if (vouch.appliance === id && vouch.agentKey !== asked.updaterKey) return vouch.agentKey;
  } catch (error) {
    if (!(error instanceof EnvelopeError || error instanceof z.ZodError)) throw error;
  }
  throw new Refusal('vouch-not-trusted', enrolTexts.vouchNotTrusted, newClaim);
}
