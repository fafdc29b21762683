import { keyIdOf } from '../../protocol/ids.ts';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { addServerEvent, type Core } from '../core.ts';
import { Refusal } from '../refusal.ts';
import type { KeyRow, Role } from '../store/appliances.ts';
import type { ClaimRow } from '../store/claims.ts';
import { enrolTexts } from '../texts.ts';

export const newClaim = enrolTexts.newClaimNext;

/** The way on after a revoked key: the appliance has no other, and a thief of it can use every claim for it. */
export function newIdentityOf(name: string): string {
  return enrolTexts.newIdentityNext(name);
}

/** Changes of the agent's key that one used claim allows an appliance; a repetition after a lost answer needs none. */
const keyChangesMax = 8;

interface Enrolled {
  readonly appliance: string;
  readonly role: Role;
  readonly publicKey: PublicKey;
  /** The key itself signed this enrolment. */
  readonly isProven: boolean;
}

/**
 * A key belongs to one appliance and one role for ever, and a revoked one never comes back (S38). A key that was only
 * named, not proven, goes to the appliance that proves it: naming a public key takes no more than having read it.
 * @throws Refusal `already-enrolled`, `key-revoked`, `claim-used`
 */
export function addKey(core: Core, claim: ClaimRow, enrolled: Enrolled, nowMs: number): void {
  const { appliance, role, publicKey, isProven } = enrolled;
  const keyId = keyIdOf(Buffer.from(publicKey, 'hex'));
  const known = core.appliances.key(keyId);
  core.unknownKeys.forget(keyId);
  if (known === undefined) {
    takePlace(core, claim, enrolled, nowMs);
    const proven = isProven ? 1 : 0;
    core.appliances.addKey({ key_id: keyId, appliance, role, public_key: publicKey, added_at: nowMs, proven });
    return;
  }
  if (known.appliance !== appliance || known.role !== role) {
    if (!isProven || known.proven === 1) throw new Refusal('already-enrolled', enrolTexts.keyInUse(role), newClaim);
    takePlace(core, claim, enrolled, nowMs);
    takeOver(core, known, enrolled);
    return;
  }
  if (known.revoked_at !== null) {
    const name = core.appliances.find(appliance)?.name ?? appliance;
    throw new Refusal('key-revoked', enrolTexts.keyRevoked(role), newIdentityOf(name));
  }
  if (isProven && known.proven === 0) core.appliances.proveKey(known);
}

/** Revokes the previous key of the role. */
function takePlace(core: Core, { id, used_by, key_changes }: ClaimRow, { appliance, role }: Enrolled, nowMs: number) {
  if (used_by !== null) {
    if (key_changes >= keyChangesMax) {
      const text = enrolTexts.keyChangedTooOften(role, keyChangesMax);
      throw new Refusal('claim-used', text, enrolTexts.keyChangedTooOftenNext);
    }
    core.claims.noteKeyChange(id);
  }
  core.appliances.revokeKeys(appliance, role, nowMs);
}

function takeOver(core: Core, known: KeyRow, { appliance, role }: Enrolled): void {
  core.appliances.proveKey({ key_id: known.key_id, appliance, role });
  core.presence.forgetCounters(known.key_id);
  addServerEvent(core, known.appliance, 'key-taken-over', enrolTexts.unprovenKey(known.role, role, appliance));
}
