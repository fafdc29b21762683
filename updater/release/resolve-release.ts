import { join } from 'node:path';
import { z } from 'zod';
import type { ReleaseName } from '../../protocol/check-in.ts';
import { componentShape } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { bundleName, type Manifest, manifestTargetName } from '../../protocol/manifest.ts';
import { endOfFrames, type Frame } from '../../protocol/manifest-rules.ts';
import { manifestLimits, treeDigestInput } from '../../protocol/payload.ts';
import { parseManifestJson, readManifest } from '../../protocol/read-manifest.ts';
import { TrustError } from '../../protocol/trust/trust-error.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { findTarget, holdfastFields } from '../../protocol/trust/tuf-targets.ts';
import { versionShape } from '../../protocol/version.ts';
import { readFile, replaceFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { Http } from '../effects/http.ts';
import { type ByteSource, fileSource, httpSource } from './byte-source.ts';
import { takeCarriedMetadata } from './carried-metadata.ts';
import { workDirectory } from './chunk-store.ts';
import { type Candidate, firstAccepted } from './fall-over.ts';
import { type Bundle, openBundle } from './open-bundle.ts';
import { refreshMetadata } from './refresh-metadata.ts';
import { asReleaseError, ReleaseError } from './release-error.ts';
import { type Acceptance, refuseQuarantined, requireAcceptable } from './require-acceptable.ts';
import { inOrder, sourcesInUse, takeSources } from './sources.ts';
import type { TrustPlace } from './trust-files.ts';
import { loadTrust } from './trust-store.ts';

/** A release that is trusted, fits, and whose bytes can be read. Close `bundle.source` when done. */
export interface ResolvedRelease {
  readonly manifest: Manifest;
  readonly manifestDigest: Digest;
  readonly manifestBytes: Buffer;
  readonly bundle: Bundle;
  readonly trusted: Trusted;
}

export interface ResolveEffects extends TrustPlace {
  readonly http: Http;
  readonly log?: (line: string) => void;
}

/** What would be the same whoever sent the metadata. */
const ownCodes = new Set<string>(['disk', 'no-space', 'read-only', 'root-not-pinned']);

/**
 * The server is asked first, because it knows what is newest; who comes after it can only be older. When all fail, the
 * first one's failure is the caller's.
 */
async function refreshFromAny(effects: ResolveEffects, bases: readonly string[]): Promise<Trusted> {
  let first: ReleaseError | null = null;
  for (const base of bases) {
    try {
      return await refreshMetadata(effects, effects.http, base);
    } catch (error) {
      if (!(error instanceof ReleaseError) || ownCodes.has(error.code)) throw error;
      first ??= error;
      effects.log?.(`${error.message}; the next source is asked`);
    }
  }
  throw first ?? new ReleaseError('unreachable', 'there is no source of release metadata');
}

/** The operator may name sources in the signed targets; a technician's stay until a higher number is signed. */
function takeSignedSources(place: TrustPlace, trusted: Trusted): void {
  const { sources } = holdfastFields(trusted);
  if (sources !== undefined) takeSources(place, sources, 'targets');
}

/** The bundle of a release in one place; nothing of it is believed but that its manifest is the one that was released. */
function bundleAt({ http }: ResolveEffects, base: string, { component, version, manifest }: ReleaseName): Candidate {
  const url = `${base.replace(/\/$/, '')}/bundles/${bundleName(component, version)}`;
  const open = async (): Promise<Bundle> => {
    const bundle = await openWhole(await httpSource(http, url));
    if (sha256(bundle.manifestBytes) === manifest) return bundle;
    bundle.source.close();
    throw new ReleaseError('wrong-manifest', `${url} holds another manifest than was released`);
  };
  return { name: url, open };
}

async function openWhole(source: ByteSource): Promise<Bundle> {
  try {
    return await openBundle(source);
  } catch (error) {
    source.close();
    throw error;
  }
}

/**
 * The release that the server's signed answer names.
 * @param base address of the release repository: the server's URL and `desired.path`
 * @throws ReleaseError
 */
export async function resolveFromServer(
  effects: ResolveEffects,
  base: string,
  release: ReleaseName,
  acceptance: Acceptance,
): Promise<ResolvedRelease> {
  const { component, version } = release;
  const subject = `${component} ${version}`;
  try {
    refuseQuarantined(acceptance, release.manifest, subject);
    const bases = [...sourcesInUse(effects).flatMap(({ releases }) => inOrder(releases).map(({ url }) => url)), base];
    const trusted = await refreshFromAny(effects, [base, ...bases.slice(0, -1)]);
    takeSignedSources(effects, trusted);
    requireListed(trusted, component, version, release.manifest);
    return await firstAccepted(
      bases.map((from) => bundleAt(effects, from, release)),
      // What a place before this one carried may have brought the trust forward.
      (bundle) => acceptBundle(effects, loadTrust(effects), bundle, acceptance),
      (name, error) => effects.log?.(`${name}: ${error.message}; the next source is asked`),
    );
  } catch (error) {
    throw asReleaseError(error, subject);
  }
}

/**
 * A bundle that somebody brought. The file is opened once; what happens to its name afterwards does not matter.
 * @throws ReleaseError
 */
export async function resolveFromFile(
  effects: TrustPlace,
  path: string,
  acceptance: Acceptance,
): Promise<ResolvedRelease> {
  try {
    const bundle = await openWhole(fileSource(effects.files, path));
    try {
      return { ...acceptBundle(effects, loadTrust(effects), bundle, acceptance), bundle };
    } catch (error) {
      bundle.source.close();
      throw error;
    }
  } catch (error) {
    throw asReleaseError(error, path);
  }
}

function acceptBundle(
  place: TrustPlace,
  before: Trusted,
  bundle: Bundle,
  acceptance: Acceptance,
): Omit<ResolvedRelease, 'bundle'> {
  const trusted = takeCarriedMetadata(place, before, bundle);
  const { manifestBytes } = bundle;
  const manifestDigest = sha256(manifestBytes);
  const { component, version } = claimedName(manifestBytes, bundle.source.name);
  requireListed(trusted, component, version, manifestDigest);
  const manifest = parseManifest(manifestBytes, `${component} ${version}`);
  requireFrames(manifest, bundle);
  requireAcceptable(manifest, manifestDigest, acceptance);
  return { manifest, manifestDigest, manifestBytes, trusted };
}

const nameShape = z.object({ component: componentShape, version: versionShape });

/** Which release the manifest says it is; nothing else of it is looked at before the targets vouch for its digest. */
function claimedName(manifestBytes: Buffer, where: string): Pick<Manifest, 'component' | 'version'> {
  const json = parseManifestJson(manifestBytes);
  const parsed = nameShape.safeParse(json.outcome === 'parsed' ? json.value : null);
  if (parsed.success) return parsed.data;
  const why = json.outcome === 'unusable' ? `: ${json.why}` : '';
  throw new ReleaseError('bad-bundle', `${where} holds a manifest that names no release${why}`);
}

/** Listed by the deciding targets, with this digest; what is not listed never was a release, or was revoked. */
function requireListed(trusted: Trusted, component: string, version: string, manifest: Digest): void {
  const name = manifestTargetName(component, version);
  try {
    const target = findTarget(trusted, name);
    if (target.sha256 === manifest) return;
  } catch (cause) {
    if (!(cause instanceof TrustError) || cause.code !== 'tuf-target-unknown') throw cause;
    throw new ReleaseError('revoked', `${component} ${version} is not among the releases that are listed now`, {
      cause,
    });
  }
  throw new ReleaseError('wrong-manifest', `${component} ${version} is listed with another manifest than this one`);
}

/**
 * @throws ReleaseError `bad-manifest`: it was signed, so whoever signed it must make it anew; `incompatible`: it was
 * written for a newer updater, so nothing that this one makes of it would be right
 */
function parseManifest(bytes: Buffer, subject: string): Manifest {
  const reading = readManifest(bytes);
  if (reading.outcome === 'newer') {
    throw new ReleaseError('incompatible', `${subject} asks for what this updater does not know: ${reading.needs}`);
  }
  if (reading.outcome === 'unusable') {
    const { why, cause } = reading;
    throw new ReleaseError('bad-manifest', `the manifest of ${subject} is not usable: ${why}`, { cause });
  }
  const { runtime } = reading.manifest;
  if (runtime !== null && sha256(treeDigestInput(runtime.files)) !== runtime.digest) {
    throw new ReleaseError('bad-manifest', `the manifest of ${subject} names a runtime that is not the one it lists`);
  }
  return reading.manifest;
}

/** The frames fill the bundle's entries for them, without a rest: there is no place for unsigned bytes. */
function requireFrames({ chunks }: Manifest, { source, chunks: place, patches }: Bundle): void {
  const fills = (what: string, frames: readonly Frame[], bytes: number) => {
    const end = endOfFrames(frames);
    if (end !== bytes) throw new ReleaseError('bad-bundle', `${source.name} has ${bytes} bytes of ${what}, not ${end}`);
  };
  fills('frames', chunks, place.size);
  fills(
    'patches',
    chunks.flatMap((chunk) => chunk.patches ?? []),
    patches?.size ?? 0,
  );
}

/** Keeps the manifest of a transaction, so that a restart carries on without asking anybody; durable when it returns. */
export function keepManifest({ files, layout }: TrustPlace, tx: number, manifestBytes: Buffer): void {
  try {
    for (const directory of [layout.work, workDirectory(layout, tx)]) {
      // Whatever else lies there is in the way, and a link would lead the work somewhere else.
      if (files.stat(directory)?.kind !== 'directory') files.removeTree(directory);
      files.makeDirectory(directory, 0o700);
    }
    files.syncDirectory(layout.work);
    replaceFile(files, join(workDirectory(layout, tx), 'manifest.json'), manifestBytes, 0o600);
  } catch (error) {
    throw asReleaseError(error, 'keeping the manifest');
  }
}

/** What {@link keepManifest} kept, if it still has the digest that the state record names; else null. */
export function keptManifest(
  files: Files,
  layout: TrustPlace['layout'],
  tx: number,
  digest: Digest,
): { manifest: Manifest; manifestBytes: Buffer } | null {
  const path = join(workDirectory(layout, tx), 'manifest.json');
  const facts = files.stat(path);
  if (facts?.kind !== 'file' || facts.size > manifestLimits.manifestBytesMax) return null;
  const manifestBytes = readFile(files, path, manifestLimits.manifestBytesMax);
  if (manifestBytes === null || sha256(manifestBytes) !== digest) return null;
  return { manifest: parseManifest(manifestBytes, 'the transaction'), manifestBytes };
}
