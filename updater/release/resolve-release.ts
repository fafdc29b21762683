import { join } from 'node:path';
import { z } from 'zod';
import type { ReleaseName } from '../../protocol/check-in.ts';
import { componentShape } from '../../protocol/component.ts';
import { type Digest, sha256 } from '../../protocol/digest.ts';
import { bundleName, type Manifest, manifestShape, manifestTargetName } from '../../protocol/manifest.ts';
import { manifestLimits, treeDigestInput } from '../../protocol/payload.ts';
import type { Trusted } from '../../protocol/trust/tuf.ts';
import { TrustError } from '../../protocol/trust/tuf-metadata.ts';
import { findTarget } from '../../protocol/trust/tuf-targets.ts';
import { compareVersions, type Version, versionShape } from '../../protocol/version.ts';
import { readFile, replaceFile } from '../effects/durable.ts';
import type { Files } from '../effects/files.ts';
import type { Http } from '../effects/http.ts';
import { type ByteSource, fileSource, httpSource } from './byte-source.ts';
import { takeCarriedMetadata } from './carried-metadata.ts';
import { workDirectory } from './chunk-store.ts';
import { type Bundle, openBundle } from './open-bundle.ts';
import { refreshMetadata } from './refresh-metadata.ts';
import { asReleaseError, ReleaseError } from './release-error.ts';
import { loadTrust, type TrustPlace } from './trust-store.ts';

/** What this appliance is, and what it does not take. */
export interface Acceptance {
  /** The lowest security version, by component. */
  readonly floor: Readonly<Record<'app' | 'updater', number>>;
  readonly isQuarantined: (manifest: Digest) => boolean;
  /** The running updater's version. */
  readonly updater: Version;
  /** null: unknown, and then only a release for any hardware fits. */
  readonly hardware: string | null;
}

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
    const trusted = await refreshMetadata(effects, effects.http, base);
    requireListed(trusted, component, version, release.manifest);
    const source = await httpSource(effects.http, `${base}/bundles/${bundleName(component, version)}`);
    const resolved = await resolveBundle(effects, trusted, source, acceptance);
    if (resolved.manifestDigest !== release.manifest) {
      source.close();
      throw new ReleaseError('wrong-manifest', `the bundle of ${subject} holds another manifest than was released`);
    }
    return resolved;
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
    return await resolveBundle(effects, loadTrust(effects), fileSource(effects.files, path), acceptance);
  } catch (error) {
    throw asReleaseError(error, path);
  }
}

async function resolveBundle(
  place: TrustPlace,
  before: Trusted,
  source: ByteSource,
  acceptance: Acceptance,
): Promise<ResolvedRelease> {
  try {
    const bundle = await openBundle(source);
    const trusted = takeCarriedMetadata(place, before, bundle);
    const { manifestBytes } = bundle;
    const manifestDigest = sha256(manifestBytes);
    const { component, version } = claimedName(manifestBytes, source.name);
    requireListed(trusted, component, version, manifestDigest);
    const manifest = parseManifest(manifestBytes, `${component} ${version}`);
    requireFrames(manifest, bundle);
    requireAcceptable(manifest, manifestDigest, acceptance);
    return { manifest, manifestDigest, manifestBytes, bundle, trusted };
  } catch (error) {
    source.close();
    throw error;
  }
}

const nameShape = z.object({ component: componentShape, version: versionShape });

/** Which release the manifest says it is; nothing else of it is looked at before the targets vouch for its digest. */
function claimedName(manifestBytes: Buffer, where: string): Pick<Manifest, 'component' | 'version'> {
  const parsed = nameShape.safeParse(parseJson(manifestBytes));
  if (!parsed.success) throw new ReleaseError('bad-bundle', `${where} holds a manifest that names no release`);
  return parsed.data;
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

/** @throws ReleaseError `bad-manifest`: it was signed, so whoever signed it must make it anew */
function parseManifest(bytes: Buffer, subject: string): Manifest {
  if (bytes.length > manifestLimits.manifestBytesMax) throw new ReleaseError('bad-manifest', `${subject} is too large`);
  const parsed = manifestShape.safeParse(parseJson(bytes));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const what = issue === undefined ? '' : `: ${issue.path.join('.')} ${issue.message}`.slice(0, 200);
    throw new ReleaseError('bad-manifest', `the manifest of ${subject} is not usable${what}`, { cause: parsed.error });
  }
  const { runtime } = parsed.data;
  if (runtime !== null && sha256(treeDigestInput(runtime.files)) !== runtime.digest) {
    throw new ReleaseError('bad-manifest', `the manifest of ${subject} names a runtime that is not the one it lists`);
  }
  return parsed.data;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null; // no JSON has no shape either
    throw error;
  }
}

/** The frames fill the bundle's chunks without a gap, an overlap or a rest: there is no place for unsigned bytes. */
function requireFrames(manifest: Manifest, bundle: Bundle): void {
  let end = 0;
  for (const { offset, stored } of manifest.chunks) {
    if (offset !== end) throw new ReleaseError('bad-manifest', 'the frames of the bundle do not follow each other');
    end += stored;
  }
  if (end !== bundle.chunks.size) {
    throw new ReleaseError('bad-bundle', `${bundle.source.name} has ${bundle.chunks.size} bytes of frames, not ${end}`);
  }
}

function refuseQuarantined({ isQuarantined }: Acceptance, manifest: Digest, subject: string): void {
  if (isQuarantined(manifest)) throw new ReleaseError('quarantined', `${subject} failed here before`);
}

function requireAcceptable(manifest: Manifest, digest: Digest, acceptance: Acceptance): void {
  const { component, version, securityVersion, compatibility } = manifest;
  const subject = `${component} ${version}`;
  refuseQuarantined(acceptance, digest, subject);
  if (component === 'os') throw new ReleaseError('incompatible', `${subject}: this updater can not write os slots`);
  const floor = acceptance.floor[component];
  if (securityVersion < floor) {
    throw new ReleaseError('floor', `${subject} has security version ${securityVersion}, the floor here is ${floor}`);
  }
  if (compatibility.updater !== undefined && compareVersions(acceptance.updater, compatibility.updater) < 0) {
    throw new ReleaseError(
      'incompatible',
      `${subject} needs updater ${compatibility.updater} or newer, this is ${acceptance.updater}`,
    );
  }
  const { hardware } = compatibility;
  if (hardware.length > 0 && (acceptance.hardware === null || !hardware.includes(acceptance.hardware))) {
    throw new ReleaseError('incompatible', `${subject} is for ${hardware.join(', ')}, not for this hardware`);
  }
}

/** Keeps the manifest of a transaction, so that a restart carries on without asking anybody; durable when it returns. */
export function keepManifest({ files, layout }: TrustPlace, tx: number, manifestBytes: Buffer): void {
  try {
    files.makeDirectory(layout.work, 0o700);
    files.makeDirectory(workDirectory(layout, tx), 0o700);
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
  const manifestBytes = readFile(files, path, manifestLimits.manifestBytesMax);
  if (manifestBytes === null || sha256(manifestBytes) !== digest) return null;
  return { manifest: parseManifest(manifestBytes, 'the transaction'), manifestBytes };
}
