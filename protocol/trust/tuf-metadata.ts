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
import { publicKeyShape, verifyBytes } from './ed25519.ts';
import { metadataLimits } from './metadata-limits.ts';
import { TrustError } from './trust-error.ts';

/** The bodies of the four roles, as `@tufjs/models` has them. */
export interface RoleBodies {
  root: Root;
  timestamp: Timestamp;
  snapshot: Snapshot;
  targets: Targets;
}
export type RoleName = keyof RoleBodies;

/** One role's metadata: parsed, and the bytes that it came in, which are what is stored and passed on. */
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

// What the models leave open: whole version numbers, one spelling of a signature (so that no changed byte passes), and
// counts, because the models build their maps in quadratic time.
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

/** The canonical JSON that signatures are made over (TUF 4.2.1), as the models produce it. */
function signedBytesOf(body: RoleBodies[RoleName]): Buffer {
  let signedBytes: Buffer = Buffer.alloc(0);
  new Metadata(body).sign((bytes) => {
    signedBytes = bytes;
    return new Signature({ keyID: '', sig: '' });
  });
  return signedBytes;
}

/**
 * Parses one role of at most its size; no signature is checked.
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
    // Also proves that it can be canonicalised (no fraction, no abyss of nesting) before anybody counts signatures.
    signedBytesOf(metadata.signed);
    return { metadata, bytes, version: metadata.signed.version };
  } catch (cause) {
    throw new TrustError('tuf-malformed', `${name} metadata can not be read: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof z.ZodError) return z.prettifyError(cause).slice(0, 200);
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

/** The public keys that a root names for a role, each once however many ids it has. Key types unknown here do not count. */
export function roleKeys(root: Root, role: RoleName): ReadonlyMap<string, readonly string[]> {
  const keys = new Map<string, readonly string[]>();
  for (const keyId of root.roles[role]?.keyIDs ?? []) {
    const key = Object.hasOwn(root.keys, keyId) ? root.keys[keyId] : undefined;
    if (key?.keyType !== 'ed25519' || key.scheme !== 'ed25519') continue;
    const publicKey = publicKeyShape.safeParse(key.keyVal.public);
    if (publicKey.success) keys.set(publicKey.data, [...(keys.get(publicKey.data) ?? []), keyId]);
  }
  return keys;
}

/**
 * TUF 4.3 and 5.3.4: enough distinct keys of the role, as `root` names them, signed this. Keys are counted by value, not
 * by id, so that one key under two ids is one.
 * @throws TrustError `tuf-threshold`
 */
export function requireSignatures(root: Root, role: RoleName, signed: SignedRole<RoleBodies[RoleName]>): void {
  requireSigners(root.keys, root.roles[role], role, signed);
}

/** The same, of a role that another one delegates to, with the keys that it names. @throws TrustError `tuf-threshold` */
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
    const key = Object.hasOwn(keys, keyId) ? keys[keyId] : undefined;
    const signature = Object.hasOwn(metadata.signatures, keyId) ? metadata.signatures[keyId] : undefined;
    if (key === undefined || signature === undefined || !isSignedBy(key, bytes, signature.sig, metadata)) continue;
    signers.add(`${key.keyType} ${key.keyVal.public}`);
  }
  if (!(Number.isInteger(threshold) && threshold >= 1 && signers.size >= threshold)) {
    throw new TrustError(
      'tuf-threshold',
      `${name} metadata is signed by ${signers.size} of ${threshold} keys that are needed`,
    );
  }
}

/** Ed25519 by our own strict check; the other kinds of the specification as the models have them. */
function isSignedBy(key: Key, bytes: Buffer, signature: string, metadata: Metadata<RoleBodies[RoleName]>): boolean {
  if (key.keyType === 'ed25519') {
    const publicKey = publicKeyShape.safeParse(key.keyVal.public);
    return (
      publicKey.success && key.scheme === 'ed25519' && verifyBytes(bytes, Buffer.from(signature, 'hex'), publicKey.data)
    );
  }
  try {
    key.verifySignature(metadata);
    return true;
  } catch (error) {
    // A kind of key that nobody here knows, or a signature that is not its own: either way it does not count.
    if (error instanceof Error) return false;
    throw error;
  }
}
