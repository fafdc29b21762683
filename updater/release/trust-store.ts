import { dirname, join } from 'node:path';
import { z } from 'zod';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { loadTrusted, type Trusted, timestampKeyWasReplaced, trustRoot } from '../../protocol/trust/tuf.ts';
import { targetsExpireAt } from '../../protocol/trust/tuf-targets.ts';
import { replaceFile } from '../effects/durable.ts';
import { ReleaseError } from './release-error.ts';
import { readTrustFile, type TrustPlace } from './trust-files.ts';

/**
 * TUF metadata below updater/trust: root.json, timestamp.json, snapshot.json, targets.json and delegated roles, by the
 * name of the role; every root that this appliance went through in roots/; the trusted time.
 */

const mode = 0o600;
const rootsName = 'roots';
const timeName = 'trusted-time';
const timeBytesMax = 1024;
const timeShape = z.object({ v: z.literal(1), seconds: z.int().min(0) });

/**
 * What setup trusts first: the root that the claim pinned. Repeating it changes nothing.
 * @throws ReleaseError `root-not-pinned`
 */
export function installFirstRoot(place: TrustPlace, bytes: Buffer, pinned: Digest): Trusted {
  if (sha256(bytes) !== pinned) {
    throw new ReleaseError(
      'root-not-pinned',
      'the root of trust that the server sent is not the one of the claim code',
    );
  }
  if (place.files.stat(join(place.layout.trust, 'root.json')) !== null) return loadTrust(place);
  const trusted = trustRoot(bytes);
  place.files.makeDirectory(place.layout.trust, 0o700);
  place.files.syncDirectory(dirname(place.layout.trust));
  saveRoot(place, trusted);
  return trusted;
}

/** @throws ReleaseError `root-not-pinned` before setup; TrustError when the stored root is not whole */
export function loadTrust(place: TrustPlace): Trusted {
  return loadTrusted({
    root: currentRoot(place),
    timestamp: readTrustFile(place, 'timestamp.json', metadataLimits.timestampBytesMax),
    snapshot: readTrustFile(place, 'snapshot.json', metadataLimits.snapshotBytesMax),
    targets: readTrustFile(place, 'targets.json', metadataLimits.targetsBytesMax),
  });
}

/** The bytes of a root that this appliance went through; null for one before its first, or after its current one. */
export function storedRoot(place: TrustPlace, version: number): Buffer | null {
  return readTrustFile(place, join(rootsName, `${version}.json`), metadataLimits.rootBytesMax);
}

/** root.json; where that is damaged, the newest of the roots that this appliance went through, which is the same one. */
function currentRoot(place: TrustPlace): Buffer {
  const stored = readTrustFile(place, 'root.json', metadataLimits.rootBytesMax);
  if (stored !== null && isRoot(stored)) return stored;
  const { files, layout } = place;
  const versions = files
    .list(join(layout.trust, rootsName))
    .flatMap((name) => /^([1-9]\d*)\.json$/.exec(name)?.[1] ?? []);
  for (const version of versions.map(Number).sort((a, b) => b - a)) {
    const root = storedRoot(place, version);
    if (root !== null && isRoot(root)) return root;
  }
  // What is damaged is said to be so; what never was there is another matter.
  if (stored !== null) return stored;
  throw new ReleaseError('root-not-pinned', 'this appliance has no root of trust yet: run setup');
}

function isRoot(bytes: Buffer): boolean {
  try {
    trustRoot(bytes);
    return true;
  } catch (error) {
    if (error instanceof TrustError) return false;
    throw error;
  }
}

function replace({ files, layout }: TrustPlace, name: string, bytes: Buffer): void {
  const path = join(layout.trust, name);
  if (files.stat(path)?.kind === 'directory') files.removeTree(path);
  replaceFile(files, path, bytes, mode);
}

function saveRoot(place: TrustPlace, { root }: Trusted): void {
  const { files, layout } = place;
  const roots = join(layout.trust, rootsName);
  if (files.stat(roots)?.kind !== 'directory') files.removeTree(roots);
  files.makeDirectory(roots, 0o700);
  replace(place, join(rootsName, `${root.version}.json`), root.bytes);
  replace(place, 'root.json', root.bytes);
}

/**
 * Stores what one step of the workflow made trusted. Call it after each step, in the order of the steps, so that a
 * power cut leaves a prefix of that order, which is a legal set (TUF 5.3.8, 5.4.5, 5.5.7, 5.6.6).
 */
export function promote(place: TrustPlace, before: Trusted, after: Trusted): void {
  if (after.root !== before.root) {
    // 5.3.11. The time goes before the new root, what the replaced key signed goes after it: a power cut between leaves
    // a root that does not vouch for them, and loading drops them.
    if (timestampKeyWasReplaced(before, after)) forget(place, [timeName]);
    saveRoot(place, after);
    if (after.timestamp === null && before.timestamp !== null) forget(place, ['timestamp.json', 'snapshot.json']);
  }
  for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
    const { [role]: metadata } = after;
    if (metadata !== null && metadata !== before[role]) {
      replace(place, `${role}.json`, metadata.bytes);
    }
  }
}

function forget({ files, layout }: TrustPlace, names: readonly string[]): void {
  for (const name of names) files.removeTree(join(layout.trust, name));
  files.syncDirectory(layout.trust);
}

/**
 * The trusted time, in whole seconds since 1970: the greatest of the build's and of what verified words said; null: none
 * yet. On an appliance never the system's clock.
 */
export function trustedTime(place: TrustPlace): Date | null {
  const bytes = readTrustFile(place, timeName, timeBytesMax);
  const parsed = bytes === null ? null : timeShape.safeParse(parseJson(bytes));
  const known = parsed?.success === true ? parsed.data.seconds : 0;
  const seconds = Math.max(known, place.builtAtS ?? 0, place.clockS?.() ?? 0);
  return seconds > 0 ? new Date(seconds * 1000) : null;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null; // rotten: as if no time were known, and the next answer brings one
    throw error;
  }
}

/**
 * Raises the trusted time to what verified metadata or a signed answer says, never lowers it. The targets' expiry, which
 * offline keys sign, is as far as an online key can move it.
 */
export function raiseTrustedTime(place: TrustPlace, trusted: Trusted, issuedAtS: number): Date | null {
  const known = trustedTime(place);
  const boundMs = targetsExpireAt(trusted)?.getTime() ?? issuedAtS * 1000;
  const seconds = Math.floor(Math.min(issuedAtS, boundMs / 1000));
  if (!(seconds > (known?.getTime() ?? 0) / 1000)) return known;
  replace(place, timeName, Buffer.from(`${JSON.stringify({ v: 1, seconds })}\n`));
  return new Date(seconds * 1000);
}

/** A delegated role's metadata, as it was verified when it was stored; null: never seen here. */
export function storedRole(place: TrustPlace, role: string): Buffer | null {
  return readTrustFile(place, roleFile(role), metadataLimits.targetsBytesMax);
}

export function storeRole(place: TrustPlace, role: string, bytes: Buffer): void {
  replace(place, roleFile(role), bytes);
}

/** Whatever a role is called, its file lies in this directory. */
function roleFile(role: string): string {
  return `${encodeURIComponent(role)}.json`;
}
