import { dirname, join } from 'node:path';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { metadataLimits } from '../../protocol/trust/metadata-limits.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import { loadTrusted, type Trusted, timestampKeyWasReplaced, trustRoot, updateRoot } from '../../protocol/trust/tuf.ts';
import { targetsExpireAt } from '../../protocol/trust/tuf-targets.ts';
import { replaceFile } from '../effects/durable.ts';
import { trustTexts } from '../words/texts.ts';
import { ReleaseError } from './release-error.ts';
import {
  readRootFile,
  readTrustFile,
  type TrustPlace,
  trustedTime,
  trustedTimeMaxS,
  trustedTimeName,
} from './trust-files.ts';

/**
 * TUF metadata below updater/trust: root.json, timestamp.json, snapshot.json, targets.json and delegated roles, by the
 * name of the role; every root that this appliance has trusted, in roots/; the trusted time.
 */

const mode = 0o600;
const rootsName = 'roots';

/**
 * What setup trusts first: the root that the claim pinned. Repeating it changes nothing.
 * @throws ReleaseError `root-not-pinned`
 */
export function installFirstRoot(place: TrustPlace, bytes: Buffer, pinned: Digest): Trusted {
  if (sha256(bytes) !== pinned) {
    throw new ReleaseError('root-not-pinned', trustTexts.rootNotOfClaim);
  }
  // An invalid root is not worth keeping: a claim replaces it.
  if (hasRoot(place)) return loadTrust(place);
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

/** The bytes of a root that this appliance has trusted; null for one before its first, or after its current one. */
export function storedRoot(place: TrustPlace, version: number): Buffer | null {
  return readRootFile(place, join(rootsName, `${version}.json`));
}

/** The digests of all roots that this appliance has trusted and still has: the claim's is one of them. */
export function storedRoots(place: TrustPlace): Digest[] {
  return wholeRoots(place).map((bytes) => sha256(bytes));
}

function wholeRoots(place: TrustPlace): Buffer[] {
  const names = place.files.list(join(place.layout.trust, rootsName)).map((name) => join(rootsName, name));
  return ['root.json', ...names].flatMap((name) => {
    const bytes = readRootFile(place, name);
    return bytes === null || !isRoot(bytes) ? [] : [bytes];
  });
}

/** Is there a root that this appliance can continue from? */
export function hasRoot(place: TrustPlace): boolean {
  return wholeRoots(place).length > 0;
}

/**
 * The root that the claim pinned and each one that followed it here, up to the first gap; some may be in the copy only.
 * Empty if the pinned one is missing or unknown.
 */
export function rootsFrom(place: TrustPlace, pinned: Digest | null, copied: readonly Buffer[]): readonly Buffer[] {
  const known = [...wholeRoots(place), ...copied];
  const first = known.find((bytes) => sha256(bytes) === pinned);
  return first === undefined ? [] : followed(first, known).map(({ root }) => root.bytes);
}

/** Begins the trust from these roots, the first of which is believed; false: that one is not a valid root. */
export function beginAnew(place: TrustPlace, copied: readonly Buffer[]): boolean {
  const [first] = copied;
  if (first === undefined || !isRoot(first)) return false;
  place.files.makeDirectory(place.layout.trust, 0o700);
  place.files.syncDirectory(dirname(place.layout.trust));
  for (const trusted of followed(first, copied)) saveRoot(place, trusted);
  return true;
}

/** The first root, and each of these that its predecessor vouches for. */
function followed(first: Buffer, known: readonly Buffer[]): Trusted[] {
  const chain = [trustRoot(first)];
  for (;;) {
    const last = chain.at(-1);
    const next = last === undefined ? null : known.map((bytes) => nextRoot(last, bytes)).find((one) => one !== null);
    if (!next) return chain;
    chain.push(next);
  }
}

function nextRoot(trusted: Trusted, bytes: Buffer): Trusted | null {
  try {
    return updateRoot(trusted, bytes);
  } catch (error) {
    if (error instanceof TrustError) return null;
    throw error;
  }
}

/** root.json; if it is damaged, the newest of the roots that this appliance has trusted, which is the same one. */
function currentRoot(place: TrustPlace): Buffer {
  const stored = readRootFile(place, 'root.json');
  if (stored !== null && isRoot(stored)) return stored;
  const { files, layout } = place;
  const versions = files
    .list(join(layout.trust, rootsName))
    .flatMap((name) => /^([1-9]\d*)\.json$/.exec(name)?.[1] ?? []);
  for (const version of versions.map(Number).sort((a, b) => b - a)) {
    const root = storedRoot(place, version);
    if (root !== null && isRoot(root)) return root;
  }
  // Damage is reported as damage; a root that never existed is another matter.
  if (stored !== null) return stored;
  throw new ReleaseError('root-not-pinned', trustTexts.noRoot);
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
    // 5.3.11. The time is removed before the new root is stored, and what the replaced key signed after it: a power cut
    // in between leaves a root that does not vouch for them, and loading drops them.
    if (timestampKeyWasReplaced(before, after)) forget(place, [trustedTimeName]);
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
 * Raises the trusted time to what verified metadata or a signed answer says, never lowers it. An online key can move it
 * no further than the targets' expiry, which offline keys sign; {@link withinStep} limits how far one message does.
 */
export function raiseTrustedTime(place: TrustPlace, trusted: Trusted, issuedAtS: number): Date | null {
  const known = trustedTime(place);
  const boundMs = targetsExpireAt(trusted)?.getTime() ?? issuedAtS * 1000;
  const seconds = Math.floor(Math.min(issuedAtS, boundMs / 1000, trustedTimeMaxS));
  if (!(seconds > (known?.getTime() ?? 0) / 1000)) return known;
  replace(place, trustedTimeName, Buffer.from(`${JSON.stringify({ v: 1, seconds })}\n`));
  return new Date(seconds * 1000);
}

/** A delegated role's metadata, as it was verified when it was stored; null: never seen here. */
export function storedRole(place: TrustPlace, role: string): Buffer | null {
  return readTrustFile(place, roleFile(role), metadataLimits.targetsBytesMax);
}

export function storeRole(place: TrustPlace, role: string, bytes: Buffer): void {
  replace(place, roleFile(role), bytes);
}

/** Whatever a role is called, its file is in this directory. */
function roleFile(role: string): string {
  return `${encodeURIComponent(role)}.json`;
}
