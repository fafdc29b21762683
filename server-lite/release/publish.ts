import { readdirSync, renameSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { metadataVersionStepMax } from '../../protocol/bounded-step.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { bundleName, type Manifest, manifestTargetName } from '../../protocol/manifest.ts';
import { whyNotStartable } from '../../protocol/startable.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { findTarget, targetPath, verifyTarget } from '../../protocol/trust/tuf-targets.ts';
import { addRareEvent, type Core } from '../core.ts';
import { writeDurably } from '../keys.ts';
import { Refusal } from '../refusal.ts';
import { isWithin } from '../rules/window.ts';
import type { ReleaseRow } from '../store/releases.ts';
import { eventTexts, publishTexts } from '../texts.ts';
import type { MetadataEnd, OnlineVersions } from './metadata-board.ts';
import { type OpenedBundle, type OpenedMetadata, openBundle } from './open-bundle.ts';
import {
  isListed,
  type MetadataPlan,
  namedKeys,
  planOnline,
  planWithBundle,
  type Signing,
  trustedNow,
} from './plan-metadata.ts';
import { digestOf, holds, isWhole, removeDirectory } from './shelf-files.ts';
import { verifyChunks } from './verify-chunks.ts';

/** The timestamp's life is 7 days. */
const renewEveryMs = 12 * 3_600_000;
const retryMs = 10 * 60_000;
/**
 * Snapshots that are kept: a timestamp lives for a week and names one of them, and each publication, half a day and restored
 * appliance makes another.
 */
const snapshotsKept = 500;
/** An appliance's word moves the versions so often at the most. */
const raiseEveryMs = 60_000;

/** A dry run verifies everything and writes nothing. */
export type Run = 'real' | 'dry';

export interface Publication {
  /** `restored`: it was published before, and its file or its manifest here was missing or damaged. */
  readonly outcome: 'published' | 'restored' | 'unchanged';
  readonly run: Run;
  /** null: the upload was metadata alone. */
  readonly release: ReleaseRow | null;
  /** Versions that are (or would be) trusted now. */
  readonly metadata: { readonly root: number; readonly targets: number };
  /** Releases that are no longer offered, as `app 1.0.53`. */
  readonly withdrawn: readonly string[];
}

/**
 * Publishes an uploaded bundle, or metadata alone. All of it is verified before anything is written, and it is written
 * in an order in which every prefix is a legal repository. One at a time; the caller serialises.
 * @param requireLeave throws if the caller may not do this any more: called before the work, and before anything is
 * written
 * @throws Refusal
 */
export async function publishBundle(
  core: Core,
  upload: string,
  run: Run,
  requireLeave: () => void,
): Promise<Publication> {
  try {
    requireLeave();
    const bundle = await openBundle(upload);
    try {
      return bundle.kind === 'release'
        ? await publishRelease(core, bundle, upload, run, requireLeave)
        : await publishMetadata(core, bundle, run, requireLeave);
    } finally {
      await bundle.file.close();
    }
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    const next = publishTexts.notTrustedNext;
    throw new Refusal('bundle-untrusted', publishTexts.notTrusted(error.message), next, { cause: error });
  } finally {
    await rm(upload, { force: true });
  }
}

async function publishRelease(
  core: Core,
  bundle: OpenedBundle,
  upload: string,
  run: Run,
  requireLeave: () => void,
): Promise<Publication> {
  const { component, version } = bundle.manifest;
  const manifest = sha256(bundle.manifestBytes);
  const known = core.releases.find(component, version);
  if (known !== undefined && known.manifest !== manifest) {
    throw new Refusal('release-changed', publishTexts.changed(component, version), publishTexts.changedNext);
  }
  // Also for one that is published already: a release from before this rule helps no appliance.
  requireStartable(bundle.manifest);
  const plan = planWithBundle(signingOf(core, 'refused'), bundle);
  const target = findTarget(plan.trusted, manifestTargetName(component, version));
  if (target.sha256 !== manifest) {
    throw new Refusal(
      'manifest-mismatch',
      publishTexts.otherManifest(component, version),
      publishTexts.otherManifestNext,
    );
  }
  verifyTarget(target, bundle.manifestBytes);
  await verifyChunks(bundle);
  const release = known ?? (await rowOf(core, bundle, upload, manifest));
  const place = join(core.shelf.bundles, bundleName(component, version));
  const manifestPlace = join(core.shelf.targets, targetPath(target));
  // A backup has no bundles, and a disk damages some: a release that is listed is published again, and only its files are
  // new.
  const isThere = known !== undefined && holds(manifestPlace, bundle.manifestBytes) && (await isWhole(place, known));
  const outcome = known === undefined ? 'published' : isThere ? 'unchanged' : 'restored';
  const publication = publicationOf(core, plan, { outcome, run, release });
  if (run === 'dry' || (isThere && bringsNothing(core, plan))) return publication;
  await core.turn.take();
  requireLeave();
  if (!isThere) {
    for (const path of [manifestPlace, place]) removeDirectory(path);
    writeDurably(manifestPlace, bundle.manifestBytes);
    await bundle.file.datasync();
    renameSync(upload, place);
  }
  putInPlace(core, plan);
  if (known === undefined) core.releases.add(release);
  markWithdrawn(core, plan);
  core.log.info({ component, version, manifest }, publishTexts.released);
  return { ...publication, release: core.releases.find(component, version) ?? release };
}

/** @throws Refusal `release-not-startable`: every appliance would refuse it, or it would crash-loop there */
function requireStartable(manifest: Manifest): void {
  const why = whyNotStartable(manifest);
  if (why === null) return;
  const message = publishTexts.notStartable(manifest.component, manifest.version, why);
  throw new Refusal('release-not-startable', message, publishTexts.notStartableNext);
}

/** The row of a release that is not in the database yet. */
async function rowOf(core: Core, bundle: OpenedBundle, upload: string, manifest: Digest): Promise<ReleaseRow> {
  const { component, version } = bundle.manifest;
  return {
    serial: 0,
    component,
    version,
    manifest,
    bundle_bytes: bundle.bytes,
    bundle_sha256: await digestOf(upload),
    published_at: core.nowMs(),
    withdrawn_at: null,
  };
}

/** A revocation, or a change of keys. */
async function publishMetadata(
  core: Core,
  bundle: OpenedMetadata,
  run: Run,
  requireLeave: () => void,
): Promise<Publication> {
  const plan = planWithBundle(signingOf(core, 'passed-over'), bundle);
  const outcome = bringsNothing(core, plan) ? 'unchanged' : 'published';
  const publication = publicationOf(core, plan, { outcome, run, release: null });
  if (run === 'dry' || outcome === 'unchanged') return publication;
  await core.turn.take();
  requireLeave();
  putInPlace(core, plan);
  markWithdrawn(core, plan);
  core.log.info(publication.metadata, publishTexts.metadataPublished);
  return publication;
}

function bringsNothing(core: Core, plan: MetadataPlan): boolean {
  const now = trustedNow(core.shelf);
  return plan.trusted.targets?.version === now?.targets?.version && plan.trusted.root.version === now?.root.version;
}

function publicationOf(
  core: Core,
  { trusted }: MetadataPlan,
  rest: Pick<Publication, 'outcome' | 'run' | 'release'>,
): Publication {
  const withdrawn = core.releases
    .list()
    .filter((row) => row.withdrawn_at === null && !isListedRow(trusted, row))
    .map(({ component, version }) => `${component} ${version}`);
  return { ...rest, metadata: { root: trusted.root.version, targets: trusted.targets?.version ?? 0 }, withdrawn };
}

function signingOf(core: Core, expiry: Signing['expiry']): Signing {
  const now = new Date(core.clock.stampMs());
  return { shelf: core.shelf, keys: core.keys, now, above: core.metadata.versions(), expiry };
}

/** Writes the metadata, and switches to the keys that it names. */
function putInPlace(core: Core, plan: MetadataPlan): void {
  for (const { name, bytes } of plan.files) writeDurably(join(core.shelf.metadata, name), bytes);
  pruneSnapshots(core.shelf.metadata, plan.files);
  const replaced = core.keys.settle(namedKeys(plan.trusted));
  if (replaced.length > 0) core.log.warn({ roles: replaced }, publishTexts.keysReplaced);
  core.metadata.raise(plan.versions, Number.MAX_SAFE_INTEGER);
  core.metadata.last = { triedMs: core.nowMs(), failure: null };
  core.metadata.ends = endsOf(plan.trusted);
}

/** @param written what is named from now on, whatever lies there under higher numbers */
function pruneSnapshots(metadata: string, written: MetadataPlan['files']): void {
  const versions = readdirSync(metadata).flatMap((name) => /^([1-9]\d*)\.snapshot\.json$/.exec(name)?.[1] ?? []);
  const old = versions.map(Number).sort((a, b) => b - a);
  const names = old.slice(snapshotsKept).map((version) => `${version}.snapshot.json`);
  for (const name of names) if (!written.some((file) => file.name === name)) rmSync(join(metadata, name));
}

function endsOf({ root, targets }: Trusted): MetadataEnd[] {
  const end = (
    role: MetadataEnd['role'],
    { version, metadata }: NonNullable<Trusted['root' | 'targets']>,
  ): MetadataEnd => {
    return { role, version, endsMs: Date.parse(metadata.signed.expires) };
  };
  return [end('root', root), ...(targets === null ? [] : [end('targets', targets)])];
}

function isListedRow(trusted: Trusted, { component, version, manifest }: ReleaseRow): boolean {
  return isListed(trusted, manifestTargetName(component, version), manifest);
}

/** A release that the deciding targets no longer list is not offered any more. */
function markWithdrawn(core: Core, plan: MetadataPlan): void {
  for (const release of core.releases.list()) {
    const listed = isListedRow(plan.trusted, release);
    if (listed !== (release.withdrawn_at === null)) {
      core.releases.setWithdrawn(release.serial, listed ? null : core.nowMs());
    }
  }
}

/**
 * Signs snapshot and timestamp again, so that appliances see that the server is alive and nothing was held back. A
 * failure is shown to people, and stops nothing else: the next publication may repair it.
 */
export function renewMetadata(core: Core): void {
  try {
    const trusted = trustedNow(core.shelf);
    if (trusted?.targets) putInPlace(core, planOnline(signingOf(core, 'passed-over'), trusted));
    else core.metadata.last = { triedMs: core.nowMs(), failure: null };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    core.metadata.last = { triedMs: core.nowMs(), failure };
    core.log.error(error, publishTexts.notRenewed);
  }
}

/** Renews old metadata, also after the clock was corrected; a failure is tried again sooner. */
export function renewMetadataWhenDue(core: Core): void {
  const { last } = core.metadata;
  const everyMs = last?.failure ? retryMs : renewEveryMs;
  const nowMs = core.nowMs();
  if (last === null || nowMs - last.triedMs >= everyMs || nowMs < last.triedMs) renewMetadata(core);
}

/**
 * An appliance trusts a newer version of the server's own metadata than this server has signed: its database was
 * restored. The server then signs above that, by a bounded step for each message, so that appliances believe it again.
 */
export function signAbove(core: Core, appliance: string, trusted: OnlineVersions): void {
  // If it cannot sign now, it cannot sign higher versions either.
  if (core.metadata.last === null || core.metadata.last.failure !== null) return;
  const signed = core.metadata.versions();
  if (trusted.timestamp <= signed.timestamp && trusted.snapshot <= signed.snapshot) return;
  const nowMs = core.nowMs();
  const { raisedAtMs } = core.metadata;
  const raisedMs = raisedAtMs.get(appliance);
  // An appliance with invented versions must neither keep the disk busy nor take the turn of an honest one.
  if (raisedMs !== undefined && isWithin(raisedMs, nowMs, raiseEveryMs)) return;
  raisedAtMs.set(appliance, nowMs);
  addRareEvent(core, appliance, 'server-restored', eventTexts.serverForgot(trusted.timestamp, signed.timestamp));
  core.metadata.raise(trusted, metadataVersionStepMax);
  renewMetadata(core);
}
