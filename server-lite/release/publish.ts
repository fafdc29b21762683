import { createHash } from 'node:crypto';
import { createReadStream, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { bundleName, manifestTargetName } from '../../protocol/manifest.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { findTarget, targetPath, verifyTarget } from '../../protocol/trust/tuf-targets.ts';
import type { Core } from '../core.ts';
import { writeDurably } from '../keys.ts';
import { Refusal } from '../refusal.ts';
import type { ReleaseRow } from '../store/releases.ts';
import { type OpenedBundle, type OpenedMetadata, openBundle } from './open-bundle.ts';
import { isListed, type MetadataPlan, namedKeys, planOnline, planWithBundle, trustedNow } from './plan-metadata.ts';
import { verifyChunks } from './verify-chunks.ts';

/** A dry run verifies everything and writes nothing. */
export type Run = 'real' | 'dry';

export interface Publication {
  readonly outcome: 'published' | 'unchanged';
  readonly run: Run;
  /** null: metadata alone was brought. */
  readonly release: ReleaseRow | null;
  /** Versions of what is (or would be) trusted now. */
  readonly metadata: { readonly root: number; readonly targets: number };
  /** Releases that are offered to nobody any more, as `app 1.0.53`. */
  readonly withdrawn: readonly string[];
}

/**
 * Publishes an uploaded bundle, or metadata alone: all of it is verified before anything is written, and it is written in
 * an order in which every prefix is a legal repository. One at a time; the caller serialises.
 * @throws Refusal
 */
export async function publishBundle(core: Core, upload: string, run: Run = 'real'): Promise<Publication> {
  try {
    const bundle = await openBundle(upload);
    try {
      return bundle.kind === 'release'
        ? await publishRelease(core, bundle, upload, run)
        : publishMetadata(core, bundle, run);
    } finally {
      await bundle.file.close();
    }
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    const next = 'build it with the repository that this server was set up with; nothing was published';
    throw new Refusal('bundle-untrusted', `the bundle is not trusted: ${error.message}`, next, { cause: error });
  } finally {
    await rm(upload, { force: true });
  }
}

async function publishRelease(core: Core, bundle: OpenedBundle, upload: string, run: Run): Promise<Publication> {
  const { component, version } = bundle.manifest;
  const manifest = sha256(bundle.manifestBytes);
  const known = core.releases.find(component, version);
  if (known !== undefined && known.manifest !== manifest) {
    throw new Refusal(
      'release-changed',
      `${component} ${version} was published before, with another content`,
      'give this build a higher version',
    );
  }
  const plan = planWithBundle(core.shelf, bundle, core.keys, new Date(core.nowMs()));
  const target = findTarget(plan.trusted, manifestTargetName(component, version));
  if (target.sha256 !== manifest) {
    throw new Refusal(
      'manifest-mismatch',
      `the targets list another manifest for ${component} ${version}`,
      'build it anew',
    );
  }
  verifyTarget(target, bundle.manifestBytes);
  await verifyChunks(bundle);
  const release = known ?? (await rowOf(core, bundle, upload, manifest));
  const outcome = known === undefined ? 'published' : 'unchanged';
  const publication = publicationOf(core, plan, { outcome, run, release });
  if (run === 'dry' || (known !== undefined && bringsNothing(core, plan))) return publication;
  if (known === undefined) {
    writeDurably(join(core.shelf.targets, targetPath(target)), bundle.manifestBytes);
    await bundle.file.datasync();
    renameSync(upload, join(core.shelf.bundles, bundleName(component, version)));
  }
  putInPlace(core, plan);
  if (known === undefined) core.releases.add(release);
  markWithdrawn(core, plan);
  core.log.info({ component, version, manifest }, 'release published');
  return { ...publication, release: core.releases.find(component, version) ?? release };
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
function publishMetadata(core: Core, bundle: OpenedMetadata, run: Run): Publication {
  const plan = planWithBundle(core.shelf, bundle, core.keys, new Date(core.nowMs()));
  const outcome = bringsNothing(core, plan) ? 'unchanged' : 'published';
  const publication = publicationOf(core, plan, { outcome, run, release: null });
  if (run === 'dry' || outcome === 'unchanged') return publication;
  putInPlace(core, plan);
  markWithdrawn(core, plan);
  core.log.info(publication.metadata, 'release metadata published');
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

async function digestOf(path: string): Promise<Digest> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(path), digest);
  return digest.digest('hex');
}

/** Writes the metadata, and goes over to the keys that it names. */
function putInPlace(core: Core, plan: MetadataPlan): void {
  for (const { name, bytes } of plan.files) writeDurably(join(core.shelf.metadata, name), bytes);
  const replaced = core.keys.settle(namedKeys(plan.trusted));
  if (replaced.length > 0) core.log.warn({ roles: replaced }, 'the keys of these roles were replaced');
}

function isListedRow(trusted: Trusted, { component, version, manifest }: ReleaseRow): boolean {
  return isListed(trusted, manifestTargetName(component, version), manifest);
}

/** A release that the deciding targets do not list any more is offered to nobody. */
function markWithdrawn(core: Core, plan: MetadataPlan): void {
  for (const release of core.releases.list()) {
    const listed = isListedRow(plan.trusted, release);
    if (listed !== (release.withdrawn_at === null)) {
      core.releases.setWithdrawn(release.serial, listed ? null : core.nowMs());
    }
  }
}

/** Signs snapshot and timestamp anew, so that appliances see that the server is alive and nothing was held back. */
export function refreshOnlineMetadata(core: Core): void {
  const trusted = trustedNow(core.shelf);
  if (trusted?.targets) putInPlace(core, planOnline(core.shelf, trusted, core.keys, new Date(core.nowMs())));
}
