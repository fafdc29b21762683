import { Metadata, MetadataKind, Signature } from '@tufjs/models';
import { type Digest, sha256 } from '../digest.ts';
import { type KeyPair, type PublicKey, signBytes, verifyBytes } from './ed25519.ts';
import { parseRoot, parseTargets, type RoleBodies, type RoleName } from './tuf-metadata.ts';
import { type HoldfastFields, holdfastField, issuedAtField, type TargetFile } from './tuf-targets.ts';

/**
 * The other side of tuf.ts: makes signed metadata as bytes. The operator's repository makes root and targets; the
 * server makes snapshot and timestamp.
 */
const specVersion = '1.0.31';

/** TUF 4.2.1: the digest of the key's canonical JSON, as securesystemslib computes it. */
export function tufKeyId(publicKey: PublicKey): Digest {
  return sha256(`{"keytype":"ed25519","keyval":{"public":"${publicKey}"},"scheme":"ed25519"}`);
}

interface Common {
  readonly version: number;
  readonly expires: Date;
}

/** TUF 4.2: ISO 8601 in UTC, whole seconds. */
function dateText(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

function common({ version, expires }: Common) {
  return { spec_version: specVersion, version, expires: dateText(expires) };
}

function signAll(metadata: Metadata<RoleBodies[RoleName]>, signers: readonly KeyPair[]): Buffer {
  for (const signer of signers) {
    metadata.sign(
      (bytes) =>
        new Signature({
          keyID: tufKeyId(signer.publicKey),
          sig: signBytes(bytes, signer.privateKey).toString('hex'),
        }),
    );
  }
  return Buffer.from(JSON.stringify(metadata.toJSON()));
}

/** The roles that are signed offline, possibly by several people one after another. */
export type OfflineRole = 'root' | 'targets';

function parsed(role: OfflineRole, bytes: Buffer): Metadata<RoleBodies[OfflineRole]> {
  return role === 'root' ? parseRoot(bytes).metadata : parseTargets(bytes).metadata;
}

/** The bytes that signatures cover: two files with the same ones say the same. */
export function signedPart(role: OfflineRole, bytes: Buffer): Buffer {
  let part: Buffer = Buffer.alloc(0);
  const { signed } = parsed(role, bytes);
  new Metadata<RoleBodies[OfflineRole]>(signed).sign((canonical) => {
    part = canonical;
    return new Signature({ keyID: '', sig: '' });
  });
  return part;
}

/**
 * Adds signatures to existing metadata, made here or elsewhere; its content and its earlier signatures stay.
 * @throws TrustError when the bytes are not such metadata
 */
export function addSignatures(role: OfflineRole, bytes: Buffer, signers: readonly KeyPair[]): Buffer {
  return signAll(parsed(role, bytes), signers);
}

/** Those of `candidates` that have a valid signature on the metadata. */
export function signersOf(role: OfflineRole, bytes: Buffer, candidates: readonly PublicKey[]): PublicKey[] {
  const { signatures } = parsed(role, bytes);
  const part = signedPart(role, bytes);
  return candidates.filter((key) => {
    const signature = signatures[tufKeyId(key)];
    return signature !== undefined && verifyBytes(part, Buffer.from(signature.sig, 'hex'), key);
  });
}

export interface RoleKeys {
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
}

export interface RootInput extends Common {
  readonly roles: Readonly<Record<RoleName, RoleKeys>>;
}

/** @param signers keys of this root and, for all but the first root, of the previous one */
export function makeRoot(input: RootInput, signers: readonly KeyPair[]): Buffer {
  const names = ['root', 'targets', 'snapshot', 'timestamp'] as const;
  const publicKeys = [...new Set(names.flatMap((name) => input.roles[name].keys))];
  const keys = Object.fromEntries(
    publicKeys.map((key) => [tufKeyId(key), { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: key } }]),
  );
  const roles = Object.fromEntries(
    names.map((name) => [
      name,
      { keyids: input.roles[name].keys.map(tufKeyId), threshold: input.roles[name].threshold },
    ]),
  );
  const signed = { _type: 'root', ...common(input), consistent_snapshot: true, keys, roles };
  return signAll(Metadata.fromJSON(MetadataKind.Root, { signed, signatures: [] }), signers);
}

export interface TargetsInput extends Common {
  /** Seconds since 1970. */
  readonly issuedAt: number;
  readonly targets: readonly TargetFile[];
  readonly holdfast: HoldfastFields;
}

export function makeTargets(input: TargetsInput, signers: readonly KeyPair[]): Buffer {
  const targets = Object.fromEntries(
    input.targets.map((target) => [target.name, { length: target.length, hashes: { sha256: target.sha256 } }]),
  );
  const { answerKeys, operatorKeys, sources } = input.holdfast;
  const named = sources === undefined ? {} : { sources: { ...sources, releases: [...sources.releases] } };
  const holdfast = { answerKeys: [...answerKeys], operatorKeys: [...operatorKeys], ...named };
  const signed = {
    _type: 'targets',
    ...common(input),
    targets,
    [holdfastField]: holdfast,
    [issuedAtField]: input.issuedAt,
  };
  return signAll(Metadata.fromJSON(MetadataKind.Targets, { signed, signatures: [] }), signers);
}

/** A metadata file as the role above it names it. */
export interface NamedFile {
  readonly version: number;
  readonly bytes: Uint8Array;
}

function named({ version, bytes }: NamedFile) {
  return { version, length: bytes.length, hashes: { sha256: sha256(bytes) } };
}

export interface SnapshotInput extends Common {
  readonly targets: NamedFile;
}

export function makeSnapshot(input: SnapshotInput, signers: readonly KeyPair[]): Buffer {
  const signed = { _type: 'snapshot', ...common(input), meta: { 'targets.json': named(input.targets) } };
  return signAll(Metadata.fromJSON(MetadataKind.Snapshot, { signed, signatures: [] }), signers);
}

export interface TimestampInput extends Common {
  /** Seconds since 1970. */
  readonly issuedAt: number;
  readonly snapshot: NamedFile;
}

export function makeTimestamp(input: TimestampInput, signers: readonly KeyPair[]): Buffer {
  const signed = {
    _type: 'timestamp',
    ...common(input),
    meta: { 'snapshot.json': named(input.snapshot) },
    [issuedAtField]: input.issuedAt,
  };
  return signAll(Metadata.fromJSON(MetadataKind.Timestamp, { signed, signatures: [] }), signers);
}
