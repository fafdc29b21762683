import type { Targets } from '@tufjs/models';
import { z } from 'zod';
import { type Digest, digestShape, sha256 } from '../digest.ts';
import { type Sources, sourcesShape } from '../sources.ts';
import { type PublicKey, publicKeyShape } from './ed25519.ts';
import { metadataLimits } from './metadata-limits.ts';
import { TrustError } from './trust-error.ts';
import type { Trusted } from './tuf.ts';

/** Our own fields in the signed part of TUF metadata; TUF 4.2 lets a role carry fields that others ignore. */
export const holdfastField = 'x-holdfast';
export const issuedAtField = 'x-holdfast-issued-at';

const holdfastShape = z.object({
  /** These keys sign the server's answers. */
  answerKeys: z.array(publicKeyShape).min(1).max(metadataLimits.entriesMax),
  /** These keys sign the orders that the server's online key may not sign. */
  operatorKeys: z.array(publicKeyShape).max(metadataLimits.entriesMax),
  /** Where appliances may get releases from besides the server. */
  sources: sourcesShape.optional(),
});
export interface HoldfastFields {
  readonly answerKeys: readonly PublicKey[];
  readonly operatorKeys: readonly PublicKey[];
  readonly sources?: Sources | undefined;
}

/** A file that the trusted targets name. */
export interface TargetFile {
  readonly name: string;
  readonly length: number;
  readonly sha256: Digest;
}

function targetsOf(trusted: Trusted): Targets {
  if (trusted.targets === null) throw new TrustError('tuf-incomplete', 'there is no trusted targets metadata');
  return trusted.targets.metadata.signed;
}

/**
 * TUF 5.7.1.
 * @throws TrustError `tuf-target-unknown` when the deciding targets do not list it: it was never released, or is
 * revoked
 */
export function findTarget(trusted: Trusted, name: string): TargetFile {
  const { targets } = targetsOf(trusted);
  const target = Object.hasOwn(targets, name) ? targets[name] : undefined;
  if (target === undefined) {
    throw new TrustError('tuf-target-unknown', `targets metadata ${trusted.targets?.version} does not list ${name}`);
  }
  const digest = digestShape.safeParse(target.hashes.sha256);
  if (!digest.success || !Number.isInteger(target.length)) {
    throw new TrustError('tuf-malformed', `the target ${name} has no SHA-256 or no whole length`);
  }
  return { name, length: target.length, sha256: digest.data };
}

/** The path of a target below `targets/` (TUF 5.7.2: consistent snapshots put the digest in front). */
export function targetPath(target: TargetFile): string {
  return `${target.sha256}.${target.name}`;
}

/**
 * TUF 5.7.3.
 * @throws TrustError `tuf-target-mismatch`
 */
export function verifyTarget(target: TargetFile, bytes: Uint8Array): void {
  if (bytes.length !== target.length || sha256(bytes) !== target.sha256) {
    throw new TrustError('tuf-target-mismatch', `${target.name} is not the file that the targets metadata names`);
  }
}

/**
 * The keys that the trusted targets name for answers and orders.
 * @throws TrustError
 */
export function holdfastFields(trusted: Trusted): HoldfastFields {
  const fields = holdfastShape.safeParse(targetsOf(trusted).unrecognizedFields[holdfastField]);
  if (!fields.success) {
    throw new TrustError('tuf-malformed', 'targets metadata does not name the answer and operator keys', {
      cause: fields.error,
    });
  }
  return fields.data;
}

/**
 * Seconds since 1970 at which the newest of the trusted timestamp and targets was signed; null when neither says so.
 */
export function issuedAtOf(trusted: Trusted): number | null {
  const times = [trusted.timestamp, trusted.targets].map((role) =>
    z.int().min(0).safeParse(role?.metadata.signed.unrecognizedFields[issuedAtField]),
  );
  const known = times.flatMap((time) => (time.success ? [time.data] : []));
  return known.length === 0 ? null : Math.max(...known);
}

/** When the trusted targets expire, which bounds the trusted time; null without targets. */
export function targetsExpireAt(trusted: Trusted): Date | null {
  return trusted.targets === null ? null : new Date(trusted.targets.metadata.signed.expires);
}
