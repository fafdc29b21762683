import type { Root, Snapshot, Targets, Timestamp } from '@tufjs/models';
import { TrustError } from './trust-error.ts';
import {
  parseRoot,
  parseSnapshot,
  parseTargets,
  parseTimestamp,
  type RoleBodies,
  type RoleName,
  requireSignatures,
  roleKeyValues,
  type SignedRole,
} from './tuf-metadata.ts';

/**
 * The client workflow of The Update Framework (specification 1.0, section 5), over bytes: each function takes what is
 * trusted and returns what is trusted now, or throws and changes nothing. Time is a parameter; `null` means that no
 * time is trusted yet, and then expiry is not judged. The caller stores each role in the order of the calls; every
 * prefix of that order loads again with {@link loadTrusted}.
 */
export interface Trusted {
  readonly root: SignedRole<Root>;
  readonly timestamp: SignedRole<Timestamp> | null;
  readonly snapshot: SignedRole<Snapshot> | null;
  readonly targets: SignedRole<Targets> | null;
}

/** A metadata file to fetch: its name below `metadata/` (consistent snapshots, 5.3.12) and its largest size. */
export interface WantedFile {
  readonly name: string;
  readonly version: number;
  /** As signed by the role that names it; undefined: up to the limit of its role. */
  readonly length: number | undefined;
}

/**
 * 5.2: the root that came with the appliance or with its claim. It must be signed by itself; its expiry does not
 * matter.
 * @throws TrustError
 */
export function trustRoot(bytes: Buffer): Trusted {
  const root = parseRoot(bytes);
  requireSignatures(root.metadata.signed, 'root', root);
  return { root, timestamp: null, snapshot: null, targets: null };
}

/**
 * What earlier calls stored. A role that the stored root does not vouch for (any more) is not trusted and is fetched
 * again; this also repairs a power cut between storing a new root and deleting what it ended (5.3.11).
 * @throws TrustError when the root itself is not whole
 */
export function loadTrusted(
  stored: Readonly<Record<'root', Buffer> & Record<Exclude<RoleName, 'root'>, Buffer | null>>,
): Trusted {
  const { root } = trustRoot(stored.root);
  const timestamp = vouchedFor(root, 'timestamp', stored.timestamp, parseTimestamp);
  const snapshot = vouchedFor(root, 'snapshot', stored.snapshot, parseSnapshot);
  const targets = vouchedFor(root, 'targets', stored.targets, parseTargets);
  // The timestamp is stored before the snapshot. If both files exist and only one is vouched for, 5.3.11 ends both.
  const bothEnd = timestamp === null || (snapshot === null && stored.snapshot !== null);
  return { root, timestamp: bothEnd ? null : timestamp, snapshot: bothEnd ? null : snapshot, targets };
}

function vouchedFor<Body extends RoleBodies[RoleName]>(
  root: SignedRole<Root>,
  name: RoleName,
  bytes: Buffer | null,
  parse: (bytes: Buffer) => SignedRole<Body>,
): SignedRole<Body> | null {
  if (bytes === null) return null;
  try {
    const role = parse(bytes);
    requireSignatures(root.metadata.signed, name, role);
    return role;
  } catch (error) {
    if (error instanceof TrustError) return null;
    throw error;
  }
}

/**
 * 5.3: the next root. Call it for N+1, N+2, … until there is none, at most `metadataLimits.rootsPerWalkMax` times.
 * @throws TrustError
 */
export function updateRoot(trusted: Trusted, bytes: Buffer): Trusted {
  const root = parseRoot(bytes);
  const before = trusted.root.metadata.signed;
  const after = root.metadata.signed;
  // 5.3.4: signed by the keys of N and by its own.
  requireSignatures(before, 'root', root);
  requireSignatures(after, 'root', root);
  // 5.3.5: exactly N+1.
  if (root.version !== trusted.root.version + 1) {
    throw new TrustError('tuf-version', `root metadata ${root.version} does not follow ${trusted.root.version}`);
  }
  // 5.3.11: a replaced online key may have signed versions too high to exceed (fast-forward attack).
  const ended = keyWasRemoved(before, after, 'timestamp') || keyWasRemoved(before, after, 'snapshot');
  const targets = vouchedFor(root, 'targets', trusted.targets?.bytes ?? null, parseTargets);
  return { root, timestamp: ended ? null : trusted.timestamp, snapshot: ended ? null : trusted.snapshot, targets };
}

function keyWasRemoved(before: Root, after: Root, role: RoleName): boolean {
  const still = roleKeyValues(after, role);
  return [...roleKeyValues(before, role)].some((value) => !still.has(value));
}

/** True when two roots name different keys for the timestamp: trusted time starts again. */
export function timestampKeyWasReplaced(before: Trusted, after: Trusted): boolean {
  return keyWasRemoved(before.root.metadata.signed, after.root.metadata.signed, 'timestamp');
}

function requireFresh(name: RoleName, role: SignedRole<RoleBodies[RoleName]>, now: Date | null): void {
  if (now !== null && role.metadata.signed.isExpired(now)) {
    throw new TrustError('tuf-expired', `${name} metadata ${role.version} expired at ${role.metadata.signed.expires}`);
  }
}

/**
 * 5.4. The same version as the trusted one is not an error: the trusted one stays (5.4.3.1).
 * @throws TrustError
 */
export function updateTimestamp(trusted: Trusted, bytes: Buffer, now: Date | null): Trusted {
  // 5.3.10: freeze attack on the root.
  requireFresh('root', trusted.root, now);
  const timestamp = parseTimestamp(bytes);
  // 5.4.2
  requireSignatures(trusted.root.metadata.signed, 'timestamp', timestamp);
  const before = trusted.timestamp;
  if (before !== null) {
    if (timestamp.version < before.version) {
      throw new TrustError('tuf-version', `timestamp metadata ${timestamp.version} is older than ${before.version}`);
    }
    if (timestamp.version === before.version) {
      requireFresh('timestamp', before, now);
      return trusted;
    }
    // 5.4.3.2: the named snapshot must not be older either.
    const [named, known] = [timestamp, before].map(({ metadata }) => metadata.signed.snapshotMeta.version);
    if (named === undefined || known === undefined || named < known) {
      throw new TrustError('tuf-version', `timestamp metadata names snapshot ${named}, older than ${known}`);
    }
  }
  // 5.4.4
  requireFresh('timestamp', timestamp, now);
  return { ...trusted, timestamp };
}

/** 3.6: with consistent snapshots, a file's version is part of its name. */
export function fileName({ root }: Trusted, role: string, version: number): string {
  const name = `${encodeURIComponent(role)}.json`;
  return root.metadata.signed.consistentSnapshot ? `${version}.${name}` : name;
}

/** The snapshot to fetch next; null when the one that the timestamp names is already trusted. */
export function wantedSnapshot(trusted: Trusted): WantedFile | null {
  const timestamp = need(trusted.timestamp, 'timestamp');
  const { version, length } = timestamp.metadata.signed.snapshotMeta;
  return trusted.snapshot?.version === version
    ? null
    : { name: fileName(trusted, 'snapshot', version), version, length };
}

/**
 * 5.5
 * @throws TrustError
 */
export function updateSnapshot(trusted: Trusted, bytes: Buffer, now: Date | null): Trusted {
  const timestamp = need(trusted.timestamp, 'timestamp');
  requireFresh('timestamp', timestamp, now);
  const named = timestamp.metadata.signed.snapshotMeta;
  // 5.5.2, 5.5.4, 5.5.3
  const snapshot = parseNamed('snapshot', named, bytes, parseSnapshot);
  requireSignatures(trusted.root.metadata.signed, 'snapshot', snapshot);
  // 5.5.5: no listed file may be missing or older.
  for (const [name, before] of Object.entries(trusted.snapshot?.metadata.signed.meta ?? {})) {
    const { meta } = snapshot.metadata.signed;
    const after = Object.hasOwn(meta, name) ? meta[name] : undefined;
    if (after === undefined || after.version < before.version) {
      throw new TrustError(
        'tuf-version',
        `snapshot metadata names ${name} ${after?.version ?? 'no more'}, it was ${before.version}`,
      );
    }
  }
  // 5.5.6
  requireFresh('snapshot', snapshot, now);
  return { ...trusted, snapshot };
}

type Named = Timestamp['snapshotMeta'];

/** The bytes are compared before they are parsed, so that only what a trusted role named reaches the parser. */
function parseNamed<Body extends RoleBodies[RoleName]>(
  name: RoleName,
  named: Named,
  bytes: Buffer,
  parse: (bytes: Buffer) => SignedRole<Body>,
): SignedRole<Body> {
  try {
    named.verify(bytes);
  } catch (cause) {
    throw new TrustError('tuf-mismatch', `${name} metadata is not the file that was named`, { cause });
  }
  const role = parse(bytes);
  if (role.version !== named.version) {
    throw new TrustError('tuf-mismatch', `${name} metadata is version ${role.version}, ${named.version} was named`);
  }
  return role;
}

function namedTargets(trusted: Trusted): Named {
  const timestamp = need(trusted.timestamp, 'timestamp');
  const snapshot = need(trusted.snapshot, 'snapshot');
  // 5.5.4 again: after a power cut, the stored snapshot may be older than the one that the stored timestamp names.
  if (timestamp.metadata.signed.snapshotMeta.version !== snapshot.version) {
    throw new TrustError('tuf-incomplete', 'the snapshot that the timestamp names is not there yet');
  }
  const { meta } = snapshot.metadata.signed;
  const named = Object.hasOwn(meta, 'targets.json') ? meta['targets.json'] : undefined;
  if (named === undefined) throw new TrustError('tuf-malformed', 'snapshot metadata names no targets.json');
  return named;
}

/**
 * The targets to fetch next; null when the trusted ones are the named ones, or newer because a file brought them: lower
 * metadata never replaces higher.
 */
export function wantedTargets(trusted: Trusted): WantedFile | null {
  const { version, length } = namedTargets(trusted);
  return (trusted.targets?.version ?? 0) >= version
    ? null
    : { name: fileName(trusted, 'targets', version), version, length };
}

/**
 * 5.6, without delegations.
 * @throws TrustError
 */
export function updateTargets(trusted: Trusted, bytes: Buffer, now: Date | null): Trusted {
  const named = namedTargets(trusted);
  const timestamp = need(trusted.timestamp, 'timestamp');
  const snapshot = need(trusted.snapshot, 'snapshot');
  requireFresh('timestamp', timestamp, now);
  requireFresh('snapshot', snapshot, now);
  // 5.6.2, 5.6.4, 5.6.3
  const targets = parseNamed('targets', named, bytes, parseTargets);
  requireSignatures(trusted.root.metadata.signed, 'targets', targets);
  if (trusted.targets !== null && targets.version < trusted.targets.version) {
    throw new TrustError('tuf-version', `targets metadata ${targets.version} is older than ${trusted.targets.version}`);
  }
  // 5.6.5
  requireFresh('targets', targets, now);
  return { ...trusted, targets };
}

/**
 * Targets that a bundle carries, after its roots went through {@link updateRoot}. The higher version of the trusted and
 * the carried ones decides; expiry does not matter, because a person brought the bundle. The snapshot does not count:
 * the server's online key signs it, and could otherwise lock out every file.
 * @throws TrustError
 */
export function updateTargetsFromFile(trusted: Trusted, bytes: Buffer): Trusted {
  const targets = parseTargets(bytes);
  requireSignatures(trusted.root.metadata.signed, 'targets', targets);
  return trusted.targets !== null && trusted.targets.version >= targets.version ? trusted : { ...trusted, targets };
}

function need<Role>(role: Role | null, name: RoleName): Role {
  if (role === null) throw new TrustError('tuf-incomplete', `there is no trusted ${name} metadata`);
  return role;
}
