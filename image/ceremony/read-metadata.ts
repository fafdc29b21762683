import { z } from 'zod';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { ed25519Keys, parseRoot, parseTargets, type RoleName } from '../../protocol/trust/tuf-metadata.ts';
import {
  makeRoot,
  makeTargets,
  type OfflineRole,
  type RoleKeys,
  type RootInput,
  signedPart,
  type TargetsInput,
} from '../../protocol/trust/tuf-sign.ts';
import { findTarget, holdfastFields, issuedAtField, type TargetFile } from '../../protocol/trust/tuf-targets.ts';
import { ImageError } from '../errors.ts';
import { ceremonyTexts } from '../texts.ts';

export type ReadRoot = RootInput;
export type ReadTargets = TargetsInput;

/**
 * Reads a root. It is written again from what was understood, and the bytes must be the same: so no field is signed
 * that nobody was told about.
 * @throws ImageError `change-unreadable`; TrustError
 */
export function readRoot(bytes: Buffer): ReadRoot {
  const { metadata, version } = parseRoot(bytes);
  const { signed } = metadata;
  const role = (name: RoleName): RoleKeys => ({
    keys: (signed.roles[name]?.keyIDs ?? []).flatMap((id) => publicKeyOf(ed25519Keys(signed, name), id)),
    threshold: signed.roles[name]?.threshold ?? 0,
  });
  const read: ReadRoot = {
    version,
    expires: new Date(signed.expires),
    roles: { root: role('root'), targets: role('targets'), snapshot: role('snapshot'), timestamp: role('timestamp') },
  };
  requireSame('root', makeRoot(read, []), bytes);
  return read;
}

function publicKeyOf(keys: ReturnType<typeof ed25519Keys>, id: string): PublicKey[] {
  return [...keys].flatMap(([key, ids]) => (ids.includes(id) ? [key] : []));
}

/**
 * Reads targets in the same way as {@link readRoot}.
 * @throws ImageError `change-unreadable`; TrustError
 */
export function readTargets(bytes: Buffer, root: Buffer): ReadTargets {
  const targets = parseTargets(bytes);
  const { signed } = targets.metadata;
  const asTrusted: Trusted = { root: parseRoot(root), timestamp: null, snapshot: null, targets };
  const read: ReadTargets = {
    version: targets.version,
    expires: new Date(signed.expires),
    issuedAt: z.int().min(0).catch(0).parse(signed.unrecognizedFields[issuedAtField]),
    targets: Object.keys(signed.targets).map((name): TargetFile => findTarget(asTrusted, name)),
    holdfast: holdfastFields(asTrusted),
  };
  requireSame('targets', makeTargets(read, []), bytes);
  return read;
}

function requireSame(role: OfflineRole, made: Buffer, found: Buffer): void {
  if (signedPart(role, made).equals(signedPart(role, found))) return;
  throw new ImageError('change-unreadable', ceremonyTexts.fieldUnknown(role), ceremonyTexts.fieldUnknownNext);
}
