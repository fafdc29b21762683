import {
  type Key,
  Metadata,
  MetadataKind,
  type Root,
  Signature,
  type Snapshot,
  type Targets,
  type Timestamp,
} from '@tufjs/models';
import { z } from 'zod';
import { shapeProblem } from '../shape-problem.ts';
import { cut } from '../text.ts';
import type { PublicKey } from './ed25519.ts';
import { metadataLimits } from './metadata-limits.ts';
import { TrustError } from './trust-error.ts';
import { readKey, type TufKey } from './tuf-key.ts';

/** The bodies of the four roles, as `@tufjs/models` defines them. */
export interface RoleBodies {
  root: Root;
  timestamp: Timestamp;
  snapshot: Snapshot;
  targets: Targets;
}
export type RoleName = keyof RoleBodies;

/** One role's metadata: parsed, and the original bytes, which are what is stored and passed on. */
export interface SignedRole<Body extends RoleBodies[RoleName]> {
  readonly metadata: Metadata<Body>;
  readonly bytes: Buffer;
  readonly version: number;
}

const bytesMax: Readonly<Record<RoleName, number>> = {
  root: metadataLimits.rootBytesMax,
  timestamp: metadataLimits.timestampBytesMax,
  snapshot: metadataLimits.snapshotBytesMax,
  targets: metadataLimits.targetsBytesMax,
};

function entriesAtMost(limit: number) {
  return z
    .record(z.string(), z.unknown())
    .refine((entries) => Object.keys(entries).length <= limit, `at most ${limit} entries`);
}

// What the models leave open: whole version numbers; one spelling of a signature, so that a changed byte is refused;
// and counts, because the models build their maps in quadratic time.
const rawShape = z.object({
  signatures: z
    .array(z.object({ keyid: z.string().max(128), sig: z.string().regex(/^[0-9a-f]*$/) }))
    .max(metadataLimits.entriesMax),
  signed: z.looseObject({
    _type: z.string(),
    version: z.int().min(1),
    expires: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    keys: entriesAtMost(metadataLimits.entriesMax).optional(),
    roles: entriesAtMost(metadataLimits.entriesMax).optional(),
    meta: entriesAtMost(metadataLimits.entriesMax).optional(),
    targets: entriesAtMost(metadataLimits.targetsMax).optional(),
  }),
});

/** The canonical JSON that signatures cover (TUF 4.2.1), as the models produce it. */
function signedBytesOf(body: RoleBodies[RoleName]): Buffer {
  let signedBytes: Buffer = Buffer.alloc(0);
  new Metadata(body).sign((bytes) => {
    signedBytes = bytes;
    return new Signature({ keyID: '', sig: '' });
  });
  return signedBytes;
}

/**
 * Parses one role within its size limit; no signature is checked.
 * @throws TrustError `tuf-too-large`, `tuf-malformed`
 */
function parseRole<Name extends RoleName>(
  name: Name,
  bytes: Buffer,
  modelOf: (json: Parameters<typeof Metadata.fromJSON>[1]) => Metadata<RoleBodies[Name]>,
): SignedRole<RoleBodies[Name]> {
  if (bytes.length > bytesMax[name]) {
    throw new TrustError(
      'tuf-too-large',
      `${name} metadata of ${bytes.length} bytes; at most ${bytesMax[name]} are read`,
    );
  }
  try {
    const json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    rawShape.parse(json);
    const metadata = modelOf(json);
    // Also proves that it can be canonicalised (no fractions, no extreme nesting) before any signature is counted.
    signedBytesOf(metadata.signed);
    return { metadata, bytes, version: metadata.signed.version };
  } catch (cause) {
    throw new TrustError('tuf-malformed', `${name} metadata cannot be read: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof z.ZodError) return cut(shapeProblem(cause), 200);
  return cause instanceof Error ? cause.message.slice(0, 200) : 'unknown';
}

export function parseRoot(bytes: Buffer): SignedRole<Root> {
  return parseRole('root', bytes, (json) => Metadata.fromJSON(MetadataKind.Root, json));
}
export function parseTimestamp(bytes: Buffer): SignedRole<Timestamp> {
  return parseRole('timestamp', bytes, (json) => Metadata.fromJSON(MetadataKind.Timestamp, json));
}
export function parseSnapshot(bytes: Buffer): SignedRole<Snapshot> {
  return parseRole('snapshot', bytes, (json) => Metadata.fromJSON(MetadataKind.Snapshot, json));
}
export function parseTargets(bytes: Buffer): SignedRole<Targets> {
  return parseRole('targets', bytes, (json) => Metadata.fromJSON(MetadataKind.Targets, json));
}

/** The values of the keys that a root names for a role. An unsupported key never signed anything that was trusted. */
export function roleKeyValues(root: Root, role: RoleName): ReadonlySet<string> {
  const values = new Set<string>();
  for (const keyId of root.roles[role]?.keyIDs ?? []) {
    const key = keyNamed(root.keys, keyId);
    if (key !== null) values.add(key.value);
  }
  return values;
}

/** For signers of metadata: the keys of a role that they may hold, each once, with its ids. */
export function ed25519Keys(root: Root, role: RoleName): ReadonlyMap<PublicKey, readonly string[]> {
  const keys = new Map<PublicKey, readonly string[]>();
  for (const keyId of root.roles[role]?.keyIDs ?? []) {
    const publicKey = keyNamed(root.keys, keyId)?.ed25519 ?? null;
    if (publicKey !== null) keys.set(publicKey, [...(keys.get(publicKey) ?? []), keyId]);
  }
  return keys;
}

function keyNamed(keys: Readonly<Record<string, Key>>, keyId: string): TufKey | null {
  const key = Object.hasOwn(keys, keyId) ? keys[keyId] : undefined;
  return key === undefined ? null : readKey(key);
}

/**
 * TUF 4.3 and 5.3.4: enough distinct keys of the role, as `root` names them, signed this. Keys are counted by value,
 * not by id, so that one key under two ids counts once.
 * @throws TrustError `tuf-threshold`
 */
export function requireSignatures(root: Root, role: RoleName, signed: SignedRole<RoleBodies[RoleName]>): void {
  requireSigners(root.keys, root.roles[role], role, signed);
}

/** The same for a delegated role, with the keys that its delegator names. @throws TrustError `tuf-threshold` */
export function requireSigners(
  keys: Readonly<Record<string, Key>>,
  role: { readonly keyIDs: readonly string[]; readonly threshold: number } | undefined,
  name: string,
  { metadata }: SignedRole<RoleBodies[RoleName]>,
): void {
  const threshold = role?.threshold ?? Number.POSITIVE_INFINITY;
  const bytes = signedBytesOf(metadata.signed);
  const signers = new Set<string>();
  for (const keyId of role?.keyIDs ?? []) {
    const signature = Object.hasOwn(metadata.signatures, keyId) ? metadata.signatures[keyId] : undefined;
    if (signature === undefined) continue;
    const key = keyNamed(keys, keyId);
    if (key?.isSignatureOf(bytes, Buffer.from(signature.sig, 'hex')) === true) signers.add(key.value);
  }
  if (!(Number.isInteger(threshold) && threshold >= 1 && signers.size >= threshold)) {
    throw new TrustError(
      'tuf-threshold',
      `${name} metadata is signed by ${signers.size} of ${threshold} keys that are needed`,
    );
  }
}
