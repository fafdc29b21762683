import { join } from 'node:path';
import type { Digest } from '../../protocol/digest.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { FileEntry, Runtime } from '../../protocol/payload.ts';
import { type Seal, sealName, sealShape } from '../../protocol/seal.ts';
import { replaceJson } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';

/** The content of a slot's seal: everything that launch needs, and every file. */
export function slotSealOf(manifest: Manifest, digest: Digest): Seal {
  const { component, version, securityVersion, entry, runtime, compatibility } = manifest;
  return {
    format: 1,
    component,
    version,
    manifest: digest,
    securityVersion,
    entry: entry ?? '',
    runtime: runtime === null ? null : { digest: runtime.digest, entry: runtime.entry },
    state: compatibility.state,
    files: manifest.files.map(sealed),
    links: manifest.links,
    image: manifest.image === null ? null : { size: manifest.image.size, sha256: manifest.image.sha256 },
  };
}

/** @param digest of the manifest that brought this runtime first; its own digest is in `runtime` */
export function runtimeSealOf(runtime: Runtime, digest: Digest): Seal {
  return {
    format: 1,
    component: 'runtime',
    version: '',
    manifest: digest,
    securityVersion: 0,
    entry: runtime.entry,
    runtime: { digest: runtime.digest, entry: runtime.entry },
    state: { reads: { min: 0, max: 0 }, writes: 0 },
    files: runtime.files.map(sealed),
    links: [],
    image: null,
  };
}

function sealed({ path, size, sha256, executable }: FileEntry): Seal['files'][number] {
  return { path, size, sha256, executable };
}

/** `.seal.tmp`, sync, rename, sync directory: from here on the directory counts as whole. */
export function writeSeal(files: Files, directory: string, seal: Seal): void {
  replaceJson(files, join(directory, sealName), sealShape.parse(seal), 0o644);
}
