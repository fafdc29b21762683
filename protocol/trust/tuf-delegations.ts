import type { Targets } from '@tufjs/models';
import { metadataLimits } from './metadata-limits.ts';
import { TrustError } from './trust-error.ts';
import { fileName, type Trusted, type WantedFile } from './tuf.ts';
import { parseTargets, requireSigners, type SignedRole } from './tuf-metadata.ts';

/**
 * Delegated targets (TUF 4.5, 5.6.7). An appliance's releases are in the top-level targets; the walk serves other
 * clients.
 */

/** Roles that one search visits (5.6.7.1): limits what a signer can make a client do. */
const delegationLimits = { rolesMax: 32 } as const;

/** One step of the search: the role to search, and the role that vouches for it. */
export interface Delegation {
  readonly role: string;
  readonly delegator: SignedRole<Targets>;
}

/** Where the search begins: the top-level targets, which are already trusted. */
export const topLevel = 'targets';

/**
 * The file of a delegated role, as the trusted snapshot names it.
 * @throws TrustError `tuf-incomplete` when it does not
 */
export function wantedRole(trusted: Trusted, role: string): WantedFile {
  const meta = trusted.snapshot?.metadata.signed.meta ?? {};
  const named = Object.hasOwn(meta, `${role}.json`) ? meta[`${role}.json`] : undefined;
  if (named === undefined) throw new TrustError('tuf-incomplete', `snapshot metadata does not name ${role}`);
  return { name: fileName(trusted, role, named.version), version: named.version, length: named.length };
}

/**
 * 5.6.2 to 5.6.5 for a delegated role.
 * @throws TrustError
 */
export function verifyRole(
  trusted: Trusted,
  { role, delegator }: Delegation,
  bytes: Buffer,
  now: Date | null,
): SignedRole<Targets> {
  const named = trusted.snapshot?.metadata.signed.meta[`${role}.json`];
  if (named === undefined) throw new TrustError('tuf-incomplete', `snapshot metadata does not name ${role}`);
  try {
    named.verify(bytes);
  } catch (cause) {
    throw new TrustError('tuf-mismatch', `${role} metadata is not the file that was named`, { cause });
  }
  const targets = parseTargets(bytes);
  const { delegations } = delegator.metadata.signed;
  const keys = delegations?.keys ?? {};
  requireSigners(keys, delegations?.roles?.[role] ?? delegations?.succinctRoles, role, targets);
  if (targets.version !== named.version) {
    throw new TrustError('tuf-mismatch', `${role} metadata is version ${targets.version}, ${named.version} was named`);
  }
  if (now !== null && targets.metadata.signed.isExpired(now)) {
    throw new TrustError('tuf-expired', `${role} metadata ${targets.version} has expired`);
  }
  return targets;
}

/** A depth-first search (5.6.7.2): it visits the roles that a role delegates to before that role's siblings. */
export class TargetSearch {
  readonly #name: string;
  readonly #visited = new Set<string>();
  #open: Delegation[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  /** Takes what a role says. @returns the target, if the role has it */
  look(role: string, targets: SignedRole<Targets>) {
    this.#visited.add(role);
    const { targets: files, delegations } = targets.metadata.signed;
    if (Object.hasOwn(files, this.#name)) return files[this.#name];
    const children: Delegation[] = [];
    for (const { role: child, terminating } of delegations?.rolesForTarget(this.#name) ?? []) {
      children.push({ role: child, delegator: targets });
      if (!terminating) continue;
      // A terminating delegation: no other role may decide.
      this.#open = [];
      break;
    }
    this.#open = [...children, ...this.#open];
    return undefined;
  }

  /** The next role; null when there is none. */
  next(): Delegation | null {
    for (let next = this.#open.shift(); next !== undefined; next = this.#open.shift()) {
      if (this.#visited.has(next.role)) continue;
      return this.#visited.size >= delegationLimits.rolesMax ? null : next;
    }
    return null;
  }
}

export const roleBytesMax = metadataLimits.targetsBytesMax;
