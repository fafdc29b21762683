import type { PublicKey } from '../../protocol/trust/ed25519.ts';
import { makeRoot, makeTargets, type RoleKeys, tufKeyId } from '../../protocol/trust/tuf-sign.ts';
import { ImageError } from '../errors.ts';
import { expiryOf, type SignedRepository } from '../repository-metadata.ts';
import { ceremonyTexts } from '../texts.ts';
import { type OpenedChange, openChange } from './change.ts';
import { shortId } from './describe-change.ts';
import { type ReadTargets, readRoot, readTargets } from './read-metadata.ts';

export const rootRoles = ['root', 'targets', 'snapshot', 'timestamp'] as const;
/** Keys that the targets name. */
export const fieldRoles = ['answer', 'operator'] as const;
export type RotatedRole = (typeof rootRoles)[number] | (typeof fieldRoles)[number];

const fields = { answer: 'answerKeys', operator: 'operatorKeys' } as const;

/** The wanted change of one role's keys. */
export interface Rotation {
  readonly role: RotatedRole;
  readonly remove: readonly PublicKey[];
  readonly add: readonly PublicKey[];
  /** null: as it is. */
  readonly threshold: number | null;
}

function isFieldRole(role: RotatedRole): role is (typeof fieldRoles)[number] {
  return role === 'answer' || role === 'operator';
}

/** The keys that a role has now. */
export function keysOf({ trusted, targets }: SignedRepository, role: RotatedRole): RoleKeys {
  if (!isFieldRole(role)) return readRoot(trusted.root.bytes).roles[role];
  return { keys: readTargets(targets, trusted.root.bytes).holdfast[fields[role]], threshold: 1 };
}

/** Digits of an id that a person must type at least. */
const prefixMin = 8;

/** @throws ImageError `key-unknown` unless exactly one key of the role has an id that begins with this */
export function keyByPrefix(keys: readonly PublicKey[], prefix: string): PublicKey {
  const found = keys.filter((key) => tufKeyId(key).startsWith(prefix.toLowerCase()));
  const [key] = found;
  if (key !== undefined && found.length === 1 && prefix.length >= prefixMin) return key;
  const next = ceremonyTexts.noSuchKeyNext(keys.map(shortId).join(', '), prefixMin);
  throw new ImageError('key-unknown', ceremonyTexts.noSuchKey(prefix), next);
}

/**
 * The unsigned change for a rotation.
 * @throws ImageError `rotation-invalid`
 */
export function proposeRotation(repository: SignedRepository, rotation: Rotation, now: Date): OpenedChange {
  const { trusted, targets } = repository;
  const change = { root: trusted.root.bytes, targets };
  const keys = rotatedKeys(keysOf(repository, rotation.role), rotation);
  const listed = readTargets(targets, trusted.root.bytes);
  if (isFieldRole(rotation.role)) {
    const holdfast = { ...listed.holdfast, [fields[rotation.role]]: keys.keys };
    return openChange({ ...change, nextRoot: null, nextTargets: nextTargets({ ...listed, holdfast }, now) });
  }
  const root = readRoot(trusted.root.bytes);
  const nextRoot = makeRoot(
    { version: root.version + 1, expires: expiryOf('root', now), roles: { ...root.roles, [rotation.role]: keys } },
    [],
  );
  // The new root does not vouch for targets that a replaced key signed.
  return openChange({
    ...change,
    nextRoot,
    nextTargets: rotation.role === 'targets' ? nextTargets(listed, now) : null,
  });
}

/** The next targets, unsigned. */
export function nextTargets(listed: ReadTargets, now: Date): Buffer {
  return makeTargets(
    {
      ...listed,
      version: listed.version + 1,
      expires: expiryOf('targets', now),
      issuedAt: Math.floor(now.getTime() / 1000),
      targets: [...listed.targets].sort((a, b) => (a.name < b.name ? -1 : 1)),
    },
    [],
  );
}

function rotatedKeys(before: RoleKeys, { role, remove, add, threshold }: Rotation): RoleKeys {
  const rest = before.keys.filter((key) => !remove.includes(key));
  const keys = [...rest, ...add.filter((key) => !rest.includes(key))];
  const needed = threshold ?? before.threshold;
  if (keys.length === 0) throw invalid(ceremonyTexts.noKeyLeft(role), ceremonyTexts.noKeyLeftNext);
  if (needed < 1 || needed > keys.length) {
    throw invalid(ceremonyTexts.thresholdTooHigh(needed, keys.length, role), ceremonyTexts.thresholdTooHighNext);
  }
  if (isFieldRole(role) && threshold !== null) {
    throw invalid(ceremonyTexts.oneKeyIsEnough(role), ceremonyTexts.oneKeyIsEnoughNext);
  }
  return { keys, threshold: needed };
}

function invalid(message: string, next: string): ImageError {
  return new ImageError('rotation-invalid', message, next);
}
