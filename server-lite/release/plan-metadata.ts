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
import { parseSnapshot, parseTimestamp, roleKeys } from '../../protocol/trust/tuf-metadata.ts';
import { makeSnapshot, makeTimestamp } from '../../protocol/trust/tuf-sign.ts';
import { findTarget, holdfastFields } from '../../protocol/trust/tuf-targets.ts';
import type { NamedKeys, OnlineKeys } from '../keys.ts';
import { Refusal } from '../refusal.ts';
import type { ReleaseShelf } from './shelf.ts';

/** How long the online roles are good for: a fleet that is cut off longer still takes files. */
const timestampDays = 7;
const snapshotDays = 90;

/** Metadata to be written, in this order; the timestamp last, because it is what makes the rest current. */
export interface MetadataPlan {
  readonly files: readonly { readonly name: string; readonly bytes: Buffer }[];
  readonly trusted: Trusted;
}

export interface Carried {
  readonly roots: readonly Buffer[];
  readonly targets: Buffer;
}

/** What is published now, as its client would trust it; null before the first publication. */
export function trustedNow(shelf: ReleaseShelf): Trusted | null {
  const root = shelf.root(shelf.rootVersion());
  if (root === null) return null;
  const online = shelf.online();
  const stored = { root, timestamp: online?.timestamp ?? null, snapshot: online?.snapshot ?? null };
  const trusted = loadTrusted({ ...stored, targets: online?.targets ?? null });
  if (trusted.targets !== null || online === null) return trusted;
  // A new root was written, and the power failed before the timestamp: the targets that it vouches for are there.
  return loadTrusted({ ...stored, targets: newestTargets(shelf, root) });
}

/** The newest targets on the shelf, whether the snapshot names them or not, that a root vouches for. */
function newestTargets(shelf: ReleaseShelf, root: Buffer): Buffer | null {
  const versions = readdirSync(shelf.metadata).flatMap((name) => /^([1-9]\d*)\.targets\.json$/.exec(name)?.[1] ?? []);
  for (const version of versions.map(Number).sort((a, b) => b - a)) {
    const targets = readFileSync(join(shelf.metadata, `${version}.targets.json`));
    if (loadTrusted({ root, timestamp: null, snapshot: null, targets }).targets !== null) return targets;
  }
  return null;
}

/**
 * What the metadata becomes with a bundle's: its roots must continue the stored chain, and the higher of stored and
 * carried targets decides. The result was walked as an appliance will walk it, so what it would refuse is refused here.
 * @throws TrustError, Refusal `bundle-untrusted`
 */
export function planWithBundle(shelf: ReleaseShelf, carried: Carried, keys: OnlineKeys, now: Date): MetadataPlan {
  const before = trustedNow(shelf);
  const known = shelf.rootVersion();
  for (let version = 1; version <= Math.min(known, carried.roots.length); version += 1) {
    if (carried.roots[version - 1]?.equals(shelf.root(version) ?? Buffer.alloc(0))) continue;
    throw new Refusal(
      'bundle-untrusted',
      `root ${version} of the bundle is not the one that this fleet trusts`,
      'build the bundle with the repository that this server was set up with',
    );
  }
  let trusted = before ?? trustRoot(carried.roots[0] ?? Buffer.alloc(0));
  const newRoots = carried.roots.slice(known);
  for (const root of before === null ? newRoots.slice(1) : newRoots) trusted = updateRoot(trusted, root);
  trusted = updateTargetsFromFile(trusted, carried.targets);
  requireSameTargets(before, trusted, carried.targets);
  const roots = newRoots.map((bytes, index) => ({ name: `${known + index + 1}.root.json`, bytes }));
  return planOnline(shelf, trusted, keys, now, roots);
}

/** Two different targets under one version would look like a rollback to whoever saw the other one. */
function requireSameTargets(before: Trusted | null, after: Trusted, carried: Buffer): void {
  const version = after.targets?.version;
  if (before?.targets?.version !== version || after.targets?.bytes.equals(carried)) return;
  const carriedOnly = updateTargetsFromFile({ ...after, targets: null }, carried);
  if (carriedOnly.targets?.version !== version) return;
  throw new Refusal('bundle-untrusted', `the bundle carries other targets under the version ${version}`);
}

/** New snapshot and timestamp for what is trusted, signed by the online keys, and the walk of a client over them. */
export function planOnline(
  shelf: ReleaseShelf,
  trusted: Trusted,
  keys: OnlineKeys,
  now: Date,
  roots: MetadataPlan['files'] = [],
): MetadataPlan {
  const targets = trusted.targets;
  if (targets === null) throw new TrustError('tuf-incomplete', 'there are no targets to publish');
  const named = namedKeys(trusted);
  requireOwnKeys(named, keys);
  // Whoever signed them: a file's name is never used twice, because proxies keep what they fetched.
  const online = shelf.online();
  const snapshotVersion = (online === null ? 0 : parseSnapshot(online.snapshot).version) + 1;
  const timestampVersion = (online === null ? 0 : parseTimestamp(online.timestamp).version) + 1;
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
  const withTimestamp = updateTimestamp({ ...trusted, targets: null }, timestamp, now);
  const walked = updateTargets(updateSnapshot(withTimestamp, snapshot, now), targets.bytes, now);
  return {
    files: [
      // Before the root: it may be the one that no longer vouches for the targets before these.
      { name: `${targets.version}.targets.json`, bytes: targets.bytes },
      ...roots,
      { name: `${snapshotVersion}.snapshot.json`, bytes: snapshot },
      { name: 'timestamp.json', bytes: timestamp },
    ],
    trusted: walked,
  };
}

/** The server's keys, as what is trusted names them. */
export function namedKeys(trusted: Trusted): NamedKeys {
  const root = trusted.root.metadata.signed;
  return {
    answer: holdfastFields(trusted).answerKeys,
    snapshot: [...roleKeys(root, 'snapshot').keys()],
    timestamp: [...roleKeys(root, 'timestamp').keys()],
  };
}

function requireOwnKeys(named: NamedKeys, keys: OnlineKeys): void {
  const foreign = (['answer', 'snapshot', 'timestamp'] as const).filter((role) => {
    return keys.named(role, named[role]).length === 0;
  });
  if (foreign.length === 0) return;
  throw new Refusal(
    'bundle-untrusted',
    `the bundle was made for another server: it does not name this server's ${foreign.join(', ')} key`,
    "build it with this server's newest public-keys.json",
  );
}

function daysAfter(date: Date, days: number): Date {
  return new Date(date.getTime() + days * 86_400_000);
}

/** Is a published target still listed? What the targets do not list any more is withdrawn. */
export function isListed(trusted: Trusted, name: string, manifest: string): boolean {
  try {
    return findTarget(trusted, name).sha256 === manifest;
  } catch (error) {
    if (error instanceof TrustError && error.code === 'tuf-target-unknown') return false;
    throw error;
  }
}
