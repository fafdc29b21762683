import { createHash } from 'node:crypto';
import { createReadStream, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { bundleName, manifestTargetName } from '../../protocol/manifest.ts';
import { TrustError } from '../../protocol/trust/tuf-metadata.ts';
import { findTarget, targetPath, verifyTarget } from '../../protocol/trust/tuf-targets.ts';
import type { Core } from '../core.ts';
import { writeDurably } from '../keys.ts';
import { Refusal } from '../refusal.ts';
import type { ReleaseRow } from '../store/releases.ts';
import { type OpenedBundle, openBundle } from './open-bundle.ts';
import { isListed, type MetadataPlan, planOnline, planWithBundle, trustedNow } from './plan-metadata.ts';
import { verifyChunks } from './verify-chunks.ts';

export interface Publication {
  readonly outcome: 'published' | 'unchanged';
  readonly release: ReleaseRow;
}

/**
 * Publishes an uploaded bundle: all of it is verified before anything is written, and it is written in an order in
 * which every prefix is a legal repository. One at a time; the caller serialises.
 * @throws Refusal
 */
export async function publishBundle(core: Core, upload: string): Promise<Publication> {
  try {
    const bundle = await openBundle(upload);
    try {
      return await publish(core, bundle, upload);
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

async function publish(core: Core, bundle: OpenedBundle, upload: string): Promise<Publication> {
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
  const nothingNew = plan.trusted.targets?.version === trustedNow(core.shelf)?.targets?.version;
  if (known !== undefined && nothingNew) return { outcome: 'unchanged', release: known };
  if (known === undefined) {
    const digest = await digestOf(upload);
    writeDurably(join(core.shelf.targets, targetPath(target)), bundle.manifestBytes);
    await bundle.file.datasync();
    renameSync(upload, join(core.shelf.bundles, bundleName(component, version)));
    writeMetadata(core, plan);
    core.releases.add({
      component,
      version,
      manifest,
      bundle_bytes: bundle.bytes,
      bundle_sha256: digest,
      published_at: core.nowMs(),
    });
  } else writeMetadata(core, plan);
  markWithdrawn(core, plan);
  const release = core.releases.find(component, version);
  if (release === undefined) throw new Error(`publish ${component} ${version}: it is not in the database`);
  core.log.info({ component, version, manifest }, 'release published');
  return { outcome: known === undefined ? 'published' : 'unchanged', release };
}

async function digestOf(path: string): Promise<Digest> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(path), digest);
  return digest.digest('hex');
}

function writeMetadata(core: Core, plan: MetadataPlan): void {
  for (const { name, bytes } of plan.files) writeDurably(join(core.shelf.metadata, name), bytes);
}

/** A release that the deciding targets do not list any more is offered to nobody. */
function markWithdrawn(core: Core, plan: MetadataPlan): void {
  for (const release of core.releases.list()) {
    const listed = isListed(plan.trusted, manifestTargetName(release.component, release.version), release.manifest);
    if (listed !== (release.withdrawn_at === null)) {
      core.releases.setWithdrawn(release.serial, listed ? null : core.nowMs());
    }
  }
}

/** Signs snapshot and timestamp anew, so that appliances see that the server is alive and nothing was held back. */
export function refreshOnlineMetadata(core: Core): void {
  const trusted = trustedNow(core.shelf);
  if (trusted?.targets) writeMetadata(core, planOnline(core.shelf, trusted, core.keys, new Date(core.nowMs())));
}
