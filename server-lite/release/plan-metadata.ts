import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import {
  loadTrusted,
  type Trusted,
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTargetsFromFile,
  updateTimestamp,
} from '../../protocol/trust/tuf.ts';
import { ed25519Keys, parseSnapshot, parseTimestamp } from '../../protocol/trust/tuf-metadata.ts';
import { makeSnapshot, makeTimestamp } from '../../protocol/trust/tuf-sign.ts';
import { findTarget, holdfastFields } from '../../protocol/trust/tuf-targets.ts';
import type { NamedKeys, OnlineKeys } from '../keys.ts';
import { Refusal } from '../refusal.ts';
import { publishTexts } from '../texts.ts';
import type { OnlineVersions } from './metadata-board.ts';
import type { ReleaseShelf } from './shelf.ts';

/** How long the online roles are valid: a fleet that is cut off for longer still takes files. */
const timestampDays = 7;
const snapshotDays = 90;

/** Metadata to write, in this order; the timestamp last, because it makes the rest current. */
export interface MetadataPlan {
  readonly files: readonly { readonly name: string; readonly bytes: Buffer }[];
  readonly trusted: Trusted;
  readonly versions: OnlineVersions;
}

export interface Carried {
  readonly roots: readonly Buffer[];
  readonly targets: Buffer;
}

/** The keys that sign, and the time. */
export interface Signing {
  readonly shelf: ReleaseShelf;
  readonly keys: OnlineKeys;
  readonly now: Date;
  /** The new versions are higher than these, whatever the files say. */
  readonly above: OnlineVersions;
  /**
   * Is expired metadata refused? For a release that no appliance would take, yes; but a renewal may come role by role,
   * and what is published stays available whatever the clock says.
   */
  readonly expiry: 'refused' | 'passed-over';
}

/** What is published now, as a client would trust it; null before the first publication. */
export function trustedNow(shelf: ReleaseShelf): Trusted | null {
  const root = shelf.root(shelf.rootVersion());
  if (root === null) return null;
  const online = shelf.online();
  const stored = { root, timestamp: online?.timestamp ?? null, snapshot: online?.snapshot ?? null };
  const trusted = loadTrusted({ ...stored, targets: online?.targets ?? null });
  if (trusted.targets !== null) return trusted;
  // A new root was written and the power failed before the timestamp, or the timestamp was damaged: the targets that
  // the root vouches for are there.
  return loadTrusted({ ...stored, targets: newestTargets(shelf, root) });
}

/** The newest targets on the shelf that a root vouches for, whether the snapshot names them or not. */
function newestTargets(shelf: ReleaseShelf, root: Buffer): Buffer | null {
  const versions = readdirSync(shelf.metadata).flatMap((name) => /^([1-9]\d*)\.targets\.json$/.exec(name)?.[1] ?? []);
  for (const version of versions.map(Number).sort((a, b) => b - a)) {
    const targets = readFileSync(join(shelf.metadata, `${version}.targets.json`));
    if (loadTrusted({ root, timestamp: null, snapshot: null, targets }).targets !== null) return targets;
  }
  return null;
}

/**
 * The metadata after publishing a bundle: its roots must continue the stored chain, and the higher version of stored
 * and carried targets decides. The result is walked as an appliance walks it, so what it would refuse is refused here.
 * @throws TrustError, Refusal `bundle-untrusted`
 */
export function planWithBundle(signing: Signing, carried: Carried): MetadataPlan {
  const { shelf } = signing;
  const before = trustedNow(shelf);
  const known = shelf.rootVersion();
  for (let version = 1; version <= Math.min(known, carried.roots.length); version += 1) {
    if (carried.roots[version - 1]?.equals(shelf.root(version) ?? Buffer.alloc(0))) continue;
    throw new Refusal('bundle-untrusted', publishTexts.otherRoot(version), publishTexts.otherRootNext);
  }
  let trusted = before ?? trustRoot(carried.roots[0] ?? Buffer.alloc(0));
  const newRoots = carried.roots.slice(known);
  for (const root of before === null ? newRoots.slice(1) : newRoots) trusted = updateRoot(trusted, root);
  trusted = updateTargetsFromFile(trusted, carried.targets);
  requireSameTargets(before, trusted, carried.targets);
  if (signing.expiry === 'refused') requireUnexpired(trusted, signing.now);
  const roots = newRoots.map((bytes, index) => ({ name: `${known + index + 1}.root.json`, bytes }));
  return planOnline(signing, trusted, roots);
}

/** No appliance takes a release from an expired list or root. The repository is then not wrong, only old. */
function requireUnexpired({ root, targets }: Trusted, now: Date): void {
  const refuse = (what: string, role: NonNullable<Trusted['targets']> | Trusted['root'], next: string): void => {
    if (!role.metadata.signed.isExpired(now)) return;
    const text = publishTexts.expired(what, role.version, role.metadata.signed.expires.slice(0, 10));
    throw new Refusal('bundle-untrusted', text, publishTexts.nothingPublished(next));
  };
  refuse(publishTexts.theRoot, root, publishTexts.theRootNext);
  if (targets === null) return;
  refuse(publishTexts.theList, targets, publishTexts.theListNext);
}

/** To a client that saw one of them, two different targets with one version would look like a rollback. */
function requireSameTargets(before: Trusted | null, after: Trusted, carried: Buffer): void {
  const version = after.targets?.version;
  if (before?.targets?.version !== version || after.targets?.bytes.equals(carried)) return;
  const carriedOnly = updateTargetsFromFile({ ...after, targets: null }, carried);
  if (carriedOnly.targets?.version !== version) return;
  throw new Refusal('bundle-untrusted', publishTexts.otherTargets(version));
}

/** New snapshot and timestamp for what is trusted, signed by the online keys, and a client's walk over them. */
export function planOnline(
  { shelf, keys, now, above, expiry }: Signing,
  trusted: Trusted,
  roots: MetadataPlan['files'] = [],
): MetadataPlan {
  const targets = trusted.targets;
  if (targets === null) throw new TrustError('tuf-incomplete', publishTexts.noTargets);
  const named = namedKeys(trusted);
  requireOwnKeys(named, keys);
  // Above all published versions, by any server: a file name is never used twice, because proxies keep what they
  // fetched.
  const online = shelf.online();
  const snapshotVersion = Math.max(online === null ? 0 : parseSnapshot(online.snapshot).version, above.snapshot) + 1;
  const timestampVersion =
    Math.max(online === null ? 0 : parseTimestamp(online.timestamp).version, above.timestamp) + 1;
  const snapshot = makeSnapshot(
    {
      version: snapshotVersion,
      expires: daysAfter(now, snapshotDays),
      targets: { version: targets.version, bytes: targets.bytes },
    },
    keys.named('snapshot', named.snapshot),
  );
  const timestamp = makeTimestamp(
    {
      version: timestampVersion,
      expires: daysAfter(now, timestampDays),
      issuedAt: Math.floor(now.getTime() / 1000),
      snapshot: { version: snapshotVersion, bytes: snapshot },
    },
    keys.named('timestamp', named.timestamp),
  );
  const judged = expiry === 'refused' ? now : null;
  const withTimestamp = updateTimestamp({ ...trusted, targets: null }, timestamp, judged);
  const walked = updateTargets(updateSnapshot(withTimestamp, snapshot, judged), targets.bytes, judged);
  return {
    versions: { snapshot: snapshotVersion, timestamp: timestampVersion },
    files: [
      // Before the root, which may be the one that no longer vouches for the previous targets.
      { name: `${targets.version}.targets.json`, bytes: targets.bytes },
      ...roots,
      { name: `${snapshotVersion}.snapshot.json`, bytes: snapshot },
      { name: 'timestamp.json', bytes: timestamp },
    ],
    trusted: walked,
  };
}

/** The server's keys that the trusted metadata names. */
export function namedKeys(trusted: Trusted): NamedKeys {
  const root = trusted.root.metadata.signed;
  return {
    answer: holdfastFields(trusted).answerKeys,
    snapshot: [...ed25519Keys(root, 'snapshot').keys()],
    timestamp: [...ed25519Keys(root, 'timestamp').keys()],
  };
}

function requireOwnKeys(named: NamedKeys, keys: OnlineKeys): void {
  const foreign = (['answer', 'snapshot', 'timestamp'] as const).filter((role) => {
    return keys.named(role, named[role]).length === 0;
  });
  if (foreign.length === 0) return;
  throw new Refusal('bundle-untrusted', publishTexts.otherServer(foreign.join(', ')), publishTexts.otherServerNext);
}

function daysAfter(date: Date, days: number): Date {
  return new Date(date.getTime() + days * 86_400_000);
}

/** Is a published target still listed? A target that is not listed any more is withdrawn. */
export function isListed(trusted: Trusted, name: string, manifest: string): boolean {
  try {
    return findTarget(trusted, name).sha256 === manifest;
  } catch (error) {
    if (error instanceof TrustError && error.code === 'tuf-target-unknown') return false;
    throw error;
  }
}
