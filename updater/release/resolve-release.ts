import { join } from 'node:path';
import { z } from 'zod';
import { addressBelow } from '../../protocol/address.ts';
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
import { entriesOf, overPath } from '../effects/over-path.ts';
import { asFileError, asReleaseError, ReleaseError } from '../trust/release-error.ts';
import { inOrder, sourcesInUse, takeSignedSources } from '../trust/sources.ts';
import type { TrustPlace } from '../trust/trust-files.ts';
import { loadTrust } from '../trust/trust-store.ts';
import { releaseTexts } from '../words/texts.ts';
import { type ByteSource, fileSource, httpSource } from './byte-source.ts';
import { takeCarriedMetadata } from './carried-metadata.ts';
import { workDirectory } from './chunk-store.ts';
import { type Candidate, firstAccepted } from './fall-over.ts';
import { type Bundle, openBundle } from './open-bundle.ts';
import { refreshMetadata } from './refresh-metadata.ts';
import { type Acceptance, refuseQuarantined, requireAcceptable } from './require-acceptable.ts';

/** A release that is trusted and fits, and whose bytes can be read. Close `bundle.source` when done. */
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

/** For all metadata of one source, over every entry of the network path, however many roots the walk has. */
const walkTotalMs = 10 * 60_000;
/** Failures that would be the same with metadata from any source. */
const ownCodes = new Set<string>(['disk', 'no-space', 'read-only', 'root-not-pinned']);

function isOfTheSource(error: unknown): error is ReleaseError {
  return error instanceof ReleaseError && !ownCodes.has(error.code);
}

/**
 * Each entry of the path may show another repository, or none: what cannot be verified over one entry is requested over
 * the next.
 */
function refreshOverPath(effects: ResolveEffects, base: string, release: ReleaseName): Promise<Trusted> {
  return overPath(effects.http, {
    totalMs: walkTotalMs,
    work: async (http, totalMs) => {
      const trusted = await refreshMetadata(effects, http, base, undefined, AbortSignal.timeout(totalMs));
      takeNamedSources(effects, trusted);
      // The server has just signed that it wants this release: metadata without it may come from an outdated cache.
      requireListed(trusted, release.component, release.version, release.manifest);
      return trusted;
    },
    isUnverified: isOfTheSource,
    by: 'content',
    log: effects.log,
  });
}

/**
 * The server is asked first, because it knows what is newest; later sources can only be older. If all fail, the caller
 * gets the first one's failure.
 */
async function refreshFromAny(effects: ResolveEffects, bases: readonly string[], release: ReleaseName): Promise<void> {
  let first: ReleaseError | null = null;
  for (const base of bases) {
    try {
      await refreshOverPath(effects, base, release);
      return;
    } catch (error) {
      if (!isOfTheSource(error)) throw error;
      first ??= error;
      effects.log?.(releaseTexts.nextSource(error.message));
    }
  }
  throw first ?? new ReleaseError('unreachable', releaseTexts.noMetadataSource);
}

/** The operator may name sources in the signed targets; a technician's sources stay until those change. */
function takeNamedSources(place: TrustPlace, trusted: Trusted): void {
  const { sources } = holdfastFields(trusted);
  const by = { root: trusted.root.version, targets: trusted.targets?.version ?? 0 };
  if (sources !== undefined) takeSignedSources(place, sources, by);
}

/**
 * The bundle of a release at one source; only its manifest is checked to be the released one, nothing else is trusted.
 */
function bundleAt(http: Http, base: string, { component, version, manifest }: ReleaseName): Candidate {
  const url = addressBelow(base, `/bundles/${bundleName(component, version)}`);
  const open = async (): Promise<Bundle> => {
    const bundle = await openWhole(await httpSource(http, url));
    if (sha256(bundle.manifestBytes) === manifest) return bundle;
    bundle.source.close();
    throw new ReleaseError('wrong-manifest', releaseTexts.otherManifest(url));
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
    await refreshFromAny(effects, [base, ...bases.slice(0, -1)], release);
    return await firstAccepted(
      bases.flatMap((from) => entriesOf(effects.http).map((http) => bundleAt(http, from, release))),
      // Metadata from an earlier source may have moved the trust forward.
      (bundle) => acceptBundle(effects, loadTrust(effects), bundle, acceptance),
      (name, error) => effects.log?.(releaseTexts.nextSourceAfter(name, error.message)),
    );
  } catch (error) {
    throw asReleaseError(error, subject);
  }
}

/**
 * A bundle that somebody brought. The file is opened once; later changes of its name do not matter.
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
    throw asFileError(error, path);
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

/** The release that the manifest claims to be; nothing else in it is read before the targets vouch for its digest. */
function claimedName(manifestBytes: Buffer, where: string): Pick<Manifest, 'component' | 'version'> {
  const json = parseManifestJson(manifestBytes);
  const parsed = nameShape.safeParse(json.outcome === 'parsed' ? json.value : null);
  if (parsed.success) return parsed.data;
  const why = json.outcome === 'unusable' ? `: ${json.why}` : '';
  throw new ReleaseError('bad-bundle', releaseTexts.noReleaseNamed(where, why));
}

/** Requires that the deciding targets list it with this digest; an unlisted release never was one, or was revoked. */
function requireListed(trusted: Trusted, component: string, version: string, manifest: Digest): void {
  const name = manifestTargetName(component, version);
  try {
    const target = findTarget(trusted, name);
    if (target.sha256 === manifest) return;
  } catch (cause) {
    if (!(cause instanceof TrustError) || cause.code !== 'tuf-target-unknown') throw cause;
    throw new ReleaseError('revoked', releaseTexts.notAmongListed(component, version), {
      cause,
    });
  }
  throw new ReleaseError('wrong-manifest', releaseTexts.listedOtherwise(component, version));
}

/**
 * @throws ReleaseError `bad-manifest`: it was signed, so its signer must make it again; `incompatible`: it was written
 * for a newer updater, and this one could only misread it
 */
function parseManifest(bytes: Buffer, subject: string): Manifest {
  const reading = readManifest(bytes);
  if (reading.outcome === 'newer') {
    throw new ReleaseError('incompatible', releaseTexts.needsUnknown(subject, reading.needs));
  }
  if (reading.outcome === 'unusable') {
    const { why, cause } = reading;
    throw new ReleaseError('bad-manifest', releaseTexts.manifestUnusable(subject, why), { cause });
  }
  const { runtime } = reading.manifest;
  if (runtime !== null && sha256(treeDigestInput(runtime.files)) !== runtime.digest) {
    throw new ReleaseError('bad-manifest', releaseTexts.runtimeNotListed(subject));
  }
  return reading.manifest;
}

/** The frames fill their entries of the bundle completely: there is no place for unsigned bytes. */
function requireFrames({ chunks }: Manifest, { source, chunks: place, patches }: Bundle): void {
  const fills = (what: string, frames: readonly Frame[], bytes: number) => {
    const end = endOfFrames(frames);
    if (end !== bytes) throw new ReleaseError('bad-bundle', releaseTexts.otherLength(source.name, bytes, what, end));
  };
  fills('frames', chunks, place.size);
  fills(
    'patches',
    chunks.flatMap((chunk) => chunk.patches ?? []),
    patches?.size ?? 0,
  );
}

/**
 * Keeps the manifest of a transaction, so that it continues after a restart without the network; durable when it
 * returns.
 */
export function keepManifest({ files, layout }: TrustPlace, tx: number, manifestBytes: Buffer): void {
  try {
    for (const directory of [layout.work, workDirectory(layout, tx)]) {
      // Anything else there is in the way, and a link would redirect the work.
      if (files.stat(directory)?.kind !== 'directory') files.removeTree(directory);
      files.makeDirectory(directory, 0o700);
    }
    files.syncDirectory(layout.work);
    replaceFile(files, join(workDirectory(layout, tx), 'manifest.json'), manifestBytes, 0o600);
  } catch (error) {
    throw asReleaseError(error, releaseTexts.keepingManifest);
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
  return { manifest: parseManifest(manifestBytes, releaseTexts.theTransaction), manifestBytes };
}
