import { z } from 'zod';
import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { parseRoot, parseTargets, type RoleName, roleKeys } from '../../protocol/trust/tuf-metadata.ts';
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

export type ReadRoot = RootInput;
export type ReadTargets = TargetsInput;

/**
 * What a root says. It is made anew from what was understood, and must come out the same: so no field is signed that
 * nobody was told of.
 * @throws ImageError `change-unreadable`; TrustError
 */
export function readRoot(bytes: Buffer): ReadRoot {
  const { metadata, version } = parseRoot(bytes);
  const { signed } = metadata;
  const role = (name: RoleName): RoleKeys => ({
    keys: (signed.roles[name]?.keyIDs ?? []).flatMap((id) => publicKeyOf(roleKeys(signed, name), id)),
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

function publicKeyOf(keys: ReturnType<typeof roleKeys>, id: string): PublicKey[] {
  return [...keys].flatMap(([key, ids]) => (ids.includes(id) ? [key] : []));
}

/**
 * What targets say; else as {@link readRoot}.
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
  throw new ImageError(
    'change-unreadable',
    `the ${role} metadata says something that this program does not know`,
    'do not sign it; use the version of this program that it was made with',
  );
}
